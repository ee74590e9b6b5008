"""The attacks on rate limiters, by the numbers of the project's list (4.4)."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from toka.rate_limiter import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Algorithm,
    AsyncLimiter,
    ClientAddress,
    InvalidHitError,
    InvalidLimitError,
    Limit,
    Limiter,
    MemoryStorage,
    RedisStorage,
    SqliteStorage,
    WhenDown,
)
from toka.rate_limiter._algorithms import rules_for
from toka.rate_limiter._storage import bucket_digest

ALL = pytest.mark.parametrize("algorithm", list(Algorithm))
SMOOTH = [a for a in Algorithm if a is not Algorithm.FIXED_WINDOW]


@pytest.mark.parametrize("algorithm", SMOOTH)
def test_attack_4_4_01_no_double_burst_around_a_boundary(clock, algorithm):
    clock.mono = 100 * MINUTE
    limiter = Limiter([Limit("x", 100, MINUTE, algorithm=algorithm)], MemoryStorage(clock))
    admitted = 0
    for moment in (59_400_000, 60_400_000):
        clock.mono = 100 * MINUTE + moment
        admitted += sum(limiter.hit({"key": "a"}).admitted for _ in range(150))
    # One second lets one and two thirds flow back into a bucket.
    assert admitted == (101 if algorithm in {Algorithm.GCRA, Algorithm.TOKEN_BUCKET} else 100)


@ALL
def test_attack_4_4_02_eight_threads_are_admitted_exactly_in_memory(algorithm):
    limiter = Limiter([Limit("x", 100, DAY, algorithm=algorithm)])
    barrier = threading.Barrier(8)

    def run():
        barrier.wait()
        return sum(limiter.hit({"key": "a"}).admitted for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert sum(future.result() for future in [pool.submit(run) for _ in range(8)]) == 100


async def _admitted_by_tasks(storage):
    limiter = AsyncLimiter([Limit("x", 100, DAY)], storage, timeout_seconds=30)
    admitted = []

    async def run():
        admitted.extend([(await limiter.hit({"key": "a"})).admitted for _ in range(3)])

    async with anyio.create_task_group() as tasks:
        for _ in range(64):
            tasks.start_soon(run)
    assert len(admitted) == 192
    return sum(admitted)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
async def test_attack_4_4_02_64_coroutines_are_admitted_exactly(kind, tmp_path, request):
    if kind == "memory":
        assert await _admitted_by_tasks(MemoryStorage()) == 100
    elif kind == "sqlite":
        storage = SqliteStorage(tmp_path / "limits.db")
        assert await _admitted_by_tasks(storage) == 100
        storage.close()
    else:
        storage = RedisStorage.from_url(request.getfixturevalue("redis_url"))
        assert await _admitted_by_tasks(storage) == 100
        await storage.close()


_CHILD = """
import sys
from toka.rate_limiter import DAY, AsyncLimiter, Limit, Limiter, RedisStorage, SqliteStorage
limit, facts = Limit("x", 100, DAY), {"key": "a"}
file, url = sys.argv[1:]
if file:
    storage = SqliteStorage(file, wait_seconds=30)
    print(sum([Limiter([limit], storage).hit(facts).admitted for _ in range(100)]))
    storage.close()
async def redis():
    storage = RedisStorage.from_url(url)
    limiter = AsyncLimiter([limit], storage, timeout_seconds=30)
    print(sum([(await limiter.hit(facts)).admitted for _ in range(100)]))
    await storage.close()
if url:
    import asyncio
    asyncio.run(redis())
"""


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_attack_4_4_02_four_processes_are_admitted_exactly(kind, tmp_path, request):
    url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    file = str(tmp_path / "limits.db") if kind == "sqlite" else ""
    command = [sys.executable, "-c", _CHILD, file, url]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
        for _ in range(4)
    ]
    assert sum(int(child.communicate(timeout=60)[0]) for child in children) == 100


@ALL
@pytest.mark.parametrize("step", [-HOUR, HOUR, -1])
def test_attack_4_4_03_a_stepped_clock_neither_locks_out_nor_gives_away(algorithm, step):
    rules = rules_for(Limit("x", 5, MINUTE, algorithm=algorithm))
    now = 100 * HOUR
    state = rules.take((), now, 5)[0]
    assert state
    now += step
    if step > 0:
        # An hour forward is an hour, and no more than whole.
        assert rules.take(state, now, 0)[1].remaining == 5
        return
    after, status = rules.take(state, now, 1)
    assert not status.admitted
    wait = status.retry_after
    assert wait is not None
    assert wait <= 2 * MINUTE
    assert rules.take(after or state, now + wait, 1)[1].admitted


def test_attack_4_4_03_the_time_of_day_plays_no_part(clock):
    # HandClock raises when it is asked for the time of day.
    assert Limiter([Limit("x", 5, MINUTE)], MemoryStorage(clock)).hit({"key": "a"}).admitted


@ALL
@pytest.mark.parametrize("cost", [0, -5, float("nan"), 1.5, 1.0, True, "1", None])
def test_attack_4_4_04_a_cost_that_is_no_whole_number_above_zero_is_refused(clock, algorithm, cost):
    limiter = Limiter([Limit("x", 5, MINUTE, algorithm=algorithm)], MemoryStorage(clock))
    for action in (limiter.hit, limiter.peek, limiter.refund):
        with pytest.raises(InvalidHitError):
            action({"key": "a"}, cost)
    assert limiter.peek({"key": "a"}).remaining == 5


@ALL
@pytest.mark.parametrize("cost", [6, 2**53, 2**63, 10**100])
def test_attack_4_4_04_a_cost_over_the_whole_limit_never_fits(clock, algorithm, cost):
    limiter = Limiter([Limit("x", 5, MINUTE, algorithm=algorithm)], MemoryStorage(clock))
    decision = limiter.hit({"key": "a"}, cost)
    assert (decision.admitted, decision.retry_after, decision.remaining) == (False, None, 5)
    assert limiter.peek({"key": "a"}).remaining == 5


@ALL
@pytest.mark.parametrize(
    ("quota", "period"),
    [(0, MINUTE), (-1, MINUTE), (5, 0), (5, -1), (5, 1e308), (1e308, MINUTE), (10**308, MINUTE)],
)
def test_attack_4_4_05_a_limit_of_nothing_or_without_time_is_refused(algorithm, quota, period):
    with pytest.raises(InvalidLimitError):
        Limit("x", quota, period, algorithm=algorithm)


STRANGE = ["a:b", "a/b", "\r\nX", "user:admin*", "\ud800", "", "\0", "x" * 10**6, "x" * 10**6 + "y"]


def test_attack_4_4_06_strange_facts_have_buckets_of_their_own(clock):
    storage = MemoryStorage(clock)
    one = Limiter([Limit("x", 1, MINUTE)], storage)
    two = Limiter([Limit("x", 1, MINUTE, ("a", "b"))], storage)
    assert all(one.hit({"key": fact}).admitted for fact in STRANGE)
    assert not any(one.hit({"key": fact}).admitted for fact in STRANGE)
    assert two.hit({"a": "a/b", "b": "c"}).admitted
    assert two.hit({"a": "a", "b": "b/c"}).admitted
    kept = [key for table in storage._tables.values() for key in table.states]
    assert max(len("".join(key)) for key in kept) < 1_000


def test_attack_4_4_06_a_bucket_s_name_elsewhere_is_a_digest():
    one, two = Limit("x", 1, MINUTE), Limit("x", 1, MINUTE, ("a", "b"))
    names = [bucket_digest(one, fact) for fact in STRANGE]
    names += [bucket_digest(two, key) for key in [("a/b", "c"), ("a", "b/c"), ("", ""), ("", "a")]]
    names.append(bucket_digest(Limit("y", 1, MINUTE), ""))
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {16}


def test_attack_4_4_07_a_flood_of_keys_neither_fills_the_memory_nor_gives_quota(clock):
    storage = MemoryStorage(clock, max_keys=1_000)
    limiter = Limiter([Limit("x", 1, HOUR)], storage)
    assert limiter.hit({"key": "victim"}).admitted
    admitted = sum(limiter.hit({"key": str(index)}).admitted for index in range(20_000))
    assert admitted == 999
    assert len(storage) == 1_000
    assert not limiter.hit({"key": "victim"}).admitted
    clock.advance(HOUR)
    assert limiter.hit({"key": "newcomer"}).admitted


def test_attack_4_4_08_one_bucket_for_one_client_whatever_it_claims():
    peer_only, proxied = ClientAddress(), ClientAddress(["10.0.0.0/8"])
    spoofs = [["1.2.3.4"], ["1.2.3.4, 5.6.7.8"], ["1.2.3.4", "5.6.7.8"], ["::1"], ["\0"]]
    assert {peer_only.of("198.51.100.7", spoof) for spoof in spoofs} == {"198.51.100.7"}
    assert {proxied.of("198.51.100.7", spoof) for spoof in spoofs} == {"198.51.100.7"}
    assert peer_only.of("::ffff:1.2.3.4") == peer_only.of("1.2.3.4") == "1.2.3.4"
    spellings = ["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8::0001"]
    assert len({peer_only.of(spelling) for spelling in spellings}) == 1
    rotated = {peer_only.of(f"2001:db8::{index:x}") for index in range(1_000)}
    assert rotated == {"2001:db8::/64"}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@ALL
def test_attack_4_4_09_what_the_second_limit_refuses_the_first_does_not_spend(
    clock, tmp_path, kind, algorithm
):
    file = SqliteStorage(tmp_path / "x.db", clock)
    storage = file if kind == "sqlite" else MemoryStorage(clock)
    user = Limit("by-user", 10, HOUR, ("user",), algorithm)
    address = Limit("by-ip", 1, HOUR, ("ip",), algorithm)
    limiter = Limiter([user, address], storage)
    facts = {"user": "alice", "ip": "192.0.2.7"}
    assert limiter.hit(facts).admitted
    for _ in range(5):
        decision = limiter.hit(facts)
        assert decision.refused_by == ("by-ip",)
        assert [status.remaining for status in decision.statuses] == [9, 0]
    assert limiter.hit({"user": "alice", "ip": "192.0.2.8"}).statuses[0].remaining == 8
    file.close()


@pytest.fixture
def silent_server():
    """Accepts connections and says nothing, like a server that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def babbling_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1_000)
                    connection.sendall(b"\x16\x03\x01 this is not Redis\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


MODES = pytest.mark.parametrize(
    ("mode", "answers"),
    [
        (WhenDown.CLOSED, [False, False, False]),
        (WhenDown.OPEN, [True, True, True]),
        (WhenDown.LOCAL, [True, True, False]),
    ],
)


async def _answers(port, mode):
    pytest.importorskip("redis")
    storage = RedisStorage.from_url(f"redis://127.0.0.1:{port}/0", timeout_seconds=30)
    limits = [Limit("x", 2, HOUR)]
    limiter = AsyncLimiter(limits, storage, when_down=mode, timeout_seconds=0.1)
    with anyio.fail_after(5):
        decisions = [await limiter.hit({"key": "a"}) for _ in range(3)]
    await storage.close()
    assert all(decision.degraded for decision in decisions)
    return [decision.admitted for decision in decisions]


@pytest.mark.anyio
@MODES
async def test_attack_4_4_10_a_server_that_is_down_hangs_or_babbles(
    mode, answers, silent_server, babbling_server
):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = probe.getsockname()[1]
    for port in (nobody, silent_server, babbling_server):
        assert await _answers(port, mode) == answers


@pytest.mark.anyio
async def test_attack_4_4_10_a_key_of_the_wrong_type_refuses(redis_url):
    import redis  # noqa: PLC0415 - only where there is a server

    storage = RedisStorage.from_url(redis_url)
    limiter = AsyncLimiter([Limit("x", 5, HOUR)], storage)
    await limiter.hit({"key": "a"})
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys("*")
        client.delete(key)
        client.lpush(key, "1")
    assert not (await limiter.hit({"key": "a"})).admitted
    assert (await limiter.hit({"key": "b"})).admitted
    await storage.close()


@pytest.mark.anyio
async def test_attack_4_4_10_after_a_pause_of_the_server_nothing_is_counted_twice(redis_url):
    import redis  # noqa: PLC0415 - only where there is a server

    storage = RedisStorage.from_url(redis_url)
    limiter = AsyncLimiter([Limit("x", 5, HOUR)], storage, timeout_seconds=0.2)
    assert (await limiter.hit({"key": "a"})).remaining == 4
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("CLIENT", "PAUSE", "500", "ALL")
        assert (await limiter.hit({"key": "a"})).degraded
        client.execute_command("CLIENT", "UNPAUSE")
    # The hit that went unanswered may have been counted, once; its answer is nobody else's.
    decision = await AsyncLimiter([Limit("x", 5, HOUR)], storage).peek({"key": "a"})
    assert not decision.degraded
    assert decision.remaining in {3, 4}
    await storage.close()


@pytest.mark.anyio
async def test_attack_4_4_11_a_flushed_script_and_a_key_without_time_to_live(redis_url):
    import redis  # noqa: PLC0415 - only where there is a server

    storage = RedisStorage.from_url(redis_url)
    limiter = AsyncLimiter([Limit("x", 5, HOUR)], storage)
    assert (await limiter.hit({"key": "a"})).remaining == 4
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
        (key,) = client.keys("*")
        client.persist(key)
        assert (await limiter.hit({"key": "a"})).remaining == 3
        assert client.pttl(key) > 0
    await storage.close()


@ALL
def test_attack_4_4_13_retry_after_is_honest_to_the_millisecond(clock, algorithm):
    clock.mono = 100 * HOUR
    limiter = Limiter([Limit("x", 3, MINUTE, algorithm=algorithm)], MemoryStorage(clock))
    while limiter.hit({"key": "a"}).admitted:
        clock.advance(1_234_567)
    wait = limiter.hit({"key": "a"}).retry_after
    assert wait is not None
    clock.advance(wait - 1_000)
    assert not limiter.hit({"key": "a"}).admitted
    clock.advance(1_000)
    assert limiter.hit({"key": "a"}).admitted


BUCKETS = pytest.mark.parametrize("algorithm", [Algorithm.GCRA, Algorithm.TOKEN_BUCKET])


def _as_soon_as_admitted(limit, hits):
    """Return the microseconds that so many hits take, each as soon as it is admitted."""
    rules, start, admitted = rules_for(limit), 10**12, 0
    state, now = (), start
    while admitted < hits:
        after, status = rules.take(state, now, 1)
        if status.admitted:
            state, admitted = after or (), admitted + 1
        else:
            now += status.retry_after or 0
    return now - start


@BUCKETS
@pytest.mark.parametrize("burst", [2, 3, 1_000])
def test_attack_4_4_14_no_drift_over_a_long_time(algorithm, burst):
    # A third of a second is no whole number of anything.
    hits = 60_000
    taken = _as_soon_as_admitted(Limit("x", 3, SECOND, algorithm=algorithm, burst=burst), hits)
    assert hits - burst == taken * 3 // SECOND


@BUCKETS
@pytest.mark.parametrize("quota", [3, 7, 999, 1_000])
def test_attack_4_4_14_without_a_burst_the_spacing_is_exact(algorithm, quota):
    # Nothing makes up for a hit that comes late, and on this clock the next one can only come at
    # the microsecond after its moment: so 20 in ten million are missing at 3 a second.
    hits = 20_000
    taken = _as_soon_as_admitted(Limit("x", quota, SECOND, algorithm=algorithm, burst=1), hits)
    assert taken == (hits - 1) * -(-SECOND // quota)


@ALL
def test_attack_4_4_15_a_limit_that_changes_keeps_what_was_spent(clock, algorithm):
    storage = MemoryStorage(clock)
    Limiter([Limit("x", 10, MINUTE, algorithm=algorithm)], storage).hit({"key": "a"}, 8)
    lower = Limiter([Limit("x", 5, MINUTE, algorithm=algorithm)], storage)
    assert lower.peek({"key": "a"}).remaining in range(5)
    higher = Limiter([Limit("x", 20, MINUTE, algorithm=algorithm)], storage)
    assert higher.peek({"key": "a"}).remaining in range(20)
    clock.advance(2 * DAY)
    assert lower.peek({"key": "a"}).remaining == 5


def test_attack_4_4_16_an_exhausted_shadow_hides_no_enforced_limit(clock):
    limits = [
        Limit("shadow", 1, HOUR, shadow=True),
        Limit("enforced", 3, HOUR),
        Limit("last", 100, HOUR, shadow=True),
    ]
    limiter = Limiter(limits, MemoryStorage(clock))
    decisions = [limiter.hit({"key": "a"}) for _ in range(5)]
    assert [decision.admitted for decision in decisions] == [True, True, True, False, False]
    assert decisions[1].shadow_refusals == ("shadow",)
    assert decisions[3].refused_by == ("enforced",)
