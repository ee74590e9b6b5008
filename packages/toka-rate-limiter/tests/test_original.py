"""The faults of the first Toka's limiter, by the section of its inventory: 20."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from toka.rate_limiter import (
    DAY,
    HOUR,
    MINUTE,
    AdaptivePolicy,
    Algorithm,
    AsyncLimiter,
    FailureGuard,
    InvalidHitError,
    Limit,
    Limiter,
    MemoryStorage,
    Reading,
    SqliteStorage,
)

ALL = pytest.mark.parametrize("algorithm", list(Algorithm))


@ALL
def test_original_20_1_quota_flows_back(clock, algorithm):
    limiter = Limiter([Limit("x", 5, MINUTE, algorithm=algorithm)], MemoryStorage(clock))
    while limiter.hit({"key": "a"}).admitted:
        clock.advance(1_000)
    # Asking again and again does not put it off.
    for _ in range(240):
        clock.advance(MINUTE // 120)
        limiter.peek({"key": "a"})
    assert limiter.peek({"key": "a"}).remaining == 5


@ALL
def test_original_20_2_a_hit_costs_one(clock, algorithm):
    limiter = Limiter([Limit("x", 5, HOUR, algorithm=algorithm)], MemoryStorage(clock))
    assert [limiter.hit({"key": "a"}).remaining for _ in range(5)] == [4, 3, 2, 1, 0]


def test_original_20_3_a_fact_that_is_missing_lets_nobody_pass(clock):
    limiter = Limiter([Limit("x", 5, HOUR, ("api_key",))], MemoryStorage(clock))
    for facts in ({}, {"ip": "192.0.2.7"}):
        with pytest.raises(InvalidHitError, match="api_key"):
            limiter.hit(facts)


@pytest.mark.anyio
async def test_original_20_4_a_limit_of_failures_counts(clock):
    storage = MemoryStorage(clock)
    attempts = AsyncLimiter([Limit("attempts", 8, HOUR, ("ip",))], storage)
    guard = FailureGuard(
        attempts, AsyncLimiter([Limit("failures", 4, HOUR, ("ip",))], storage), AdaptivePolicy()
    )
    facts, admitted = {"ip": "192.0.2.7"}, 0
    while (await guard.attempt(facts)).admitted:
        await guard.failed(facts)
        admitted += 1
    assert admitted == 3  # At 1, 2 and 4; without failures it were 8.


def test_original_20_5_many_at_once_are_admitted_exactly():
    limiter = Limiter([Limit("x", 50, DAY)])
    barrier = threading.Barrier(8)

    def run():
        barrier.wait()
        return sum(limiter.hit({"key": "a"}).admitted for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert sum(future.result() for future in [pool.submit(run) for _ in range(8)]) == 50


def test_original_20_6_two_nodes_share_what_they_count(tmp_path, clock):
    storages = [SqliteStorage(tmp_path / "limits.db", clock) for _ in range(2)]
    nodes = [Limiter([Limit("x", 5, HOUR)], storage) for storage in storages]
    answers = [nodes[turn % 2].hit({"key": "a"}).admitted for turn in range(8)]
    assert answers == [True] * 5 + [False] * 3
    for storage in storages:
        storage.close()


def test_original_20_7_load_tightens_limits_and_rest_relaxes_them(clock):
    limiter = Limiter([Limit("x", 100, HOUR)], MemoryStorage(clock))
    assert limiter.observe([Reading(160, 80)]) == 50
    assert sum(limiter.hit({"key": "a"}).admitted for _ in range(100)) == 50
    assert limiter.observe([Reading(10, 80)]) == 100
    assert sum(limiter.hit({"key": "b"}).admitted for _ in range(120)) == 100


@ALL
def test_original_20_8_the_algorithm_that_is_chosen_decides(clock, algorithm):
    limiter = Limiter([Limit("x", 10, MINUTE, algorithm=algorithm)], MemoryStorage(clock))
    clock.mono = 100 * MINUTE
    assert limiter.hit({"key": "a"}, 10).admitted
    clock.advance(30 * 1_000_000)
    evenly = algorithm in {Algorithm.GCRA, Algorithm.TOKEN_BUCKET}
    assert limiter.peek({"key": "a"}).remaining == (5 if evenly else 0)
