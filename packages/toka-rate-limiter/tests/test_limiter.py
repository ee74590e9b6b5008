from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toka.capability.core import Denial
from toka.rate_limiter import (
    MINUTE,
    SECOND,
    Algorithm,
    InvalidHitError,
    InvalidLimitError,
    Limit,
    Limiter,
    LimitStatus,
    MemoryStorage,
    Reading,
    StorageUnavailable,
    WhenDown,
)

FACTS = {"user": "alice", "ip": "192.0.2.7"}


class DeadStorage:
    def apply(self, action, charges, cost):  # noqa: ARG002 - the protocol's signature
        raise StorageUnavailable("gone")


def test_peek_changes_nothing_and_tells_what_a_hit_would(clock):
    limiter = Limiter([Limit("x", 2, MINUTE, ("user",))], MemoryStorage(clock))
    limiter.hit(FACTS)
    for _ in range(3):
        assert limiter.peek(FACTS).admitted
        assert limiter.peek(FACTS).remaining == 1
        assert not limiter.peek(FACTS, 2).admitted


def test_refund_gives_back(clock):
    limiter = Limiter([Limit("x", 5, MINUTE, ("user",))], MemoryStorage(clock))
    limiter.hit(FACTS, 4)
    assert limiter.refund(FACTS, 3).remaining == 4
    assert limiter.refund(FACTS, 100).remaining == 5


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_one_limit_in_memory_answers_as_several_do(clock, algorithm):
    limit = Limit("x", 3, MINUTE, ("user",), algorithm)
    unlimited = Limit("y", 10**6, SECOND, ("user",))
    alone, among = (
        Limiter(limits, MemoryStorage(clock)) for limits in ([limit], [limit, unlimited])
    )
    for _ in range(12):
        clock.advance(7 * SECOND)
        assert alone.hit(FACTS).statuses[0] == among.hit(FACTS).statuses[0]


def test_a_missing_fact_is_an_error_and_no_admission():
    for limits in ([Limit("x", 5, MINUTE)], [Limit("x", 5, MINUTE), Limit("y", 5, MINUTE)]):
        with pytest.raises(InvalidHitError, match="'key'"):
            Limiter(limits).hit(FACTS)


@pytest.mark.parametrize("fact", [1, None, b"a", ["a"], ("a", "b")])
def test_a_fact_that_is_no_text_is_refused(fact):
    with pytest.raises((InvalidHitError, TypeError)):
        Limiter([Limit("x", 5, MINUTE)]).hit({"key": fact})


def test_limits_need_distinct_names():
    for limits in ([], [Limit("x", 5, MINUTE), Limit("x", 9, MINUTE)]):
        with pytest.raises(InvalidLimitError):
            Limiter(limits)


def test_a_strict_limit_refuses_with_the_longest_wait(clock):
    limits = [Limit("fast", 1, SECOND, ("user",)), Limit("slow", 1, MINUTE, ("user",))]
    limiter = Limiter(limits, MemoryStorage(clock))
    limiter.hit(FACTS)
    decision = limiter.hit(FACTS)
    assert decision.refused_by == ("fast", "slow")
    assert decision.retry_after == MINUTE
    assert decision.denial == Denial(
        code="rate.exceeded",
        rule="over the limit: fast, slow",
        needed="60000000 microseconds of patience",
    )


def test_a_decision_says_never_where_the_cost_exceeds_a_limit(clock):
    limiter = Limiter([Limit("x", 5, MINUTE, ("user",))], MemoryStorage(clock))
    decision = limiter.hit(FACTS, 6)
    assert decision.retry_after is None
    assert decision.denial is not None
    assert decision.denial.needed == "a smaller cost"
    assert limiter.hit(FACTS).denial is None


@pytest.mark.parametrize(("mode", "admitted"), [(WhenDown.CLOSED, False), (WhenDown.OPEN, True)])
def test_a_dead_storage_answers_by_the_mode(mode, admitted, caplog):
    limiter = Limiter([Limit("x", 5, MINUTE, ("user",))], DeadStorage(), when_down=mode)
    for decision in [limiter.hit(FACTS) for _ in range(3)]:
        assert (decision.admitted, decision.degraded) == (admitted, True)
    assert len(caplog.records) == 1


def test_a_closed_refusal_says_what_happened_and_when_to_ask_again():
    decision = Limiter([Limit("x", 5, MINUTE, ("user",))], DeadStorage()).hit(FACTS)
    assert decision.denial is not None
    assert decision.denial.code == "rate.storage_unavailable"
    assert decision.retry_after == SECOND


def test_a_dead_storage_counts_locally_in_local_mode():
    limiter = Limiter([Limit("x", 2, MINUTE, ("user",))], DeadStorage(), when_down=WhenDown.LOCAL)
    assert [limiter.hit(FACTS).admitted for _ in range(3)] == [True, True, False]


def test_nothing_stands_in_for_a_lost_refund():
    limiter = Limiter([Limit("x", 2, MINUTE, ("user",))], DeadStorage(), when_down=WhenDown.OPEN)
    with pytest.raises(StorageUnavailable):
        limiter.refund(FACTS)
    with pytest.raises(StorageUnavailable):
        limiter.reset(FACTS)


def test_load_tightens_and_relaxes(clock):
    limiter = Limiter([Limit("x", 100, MINUTE, ("user",))], MemoryStorage(clock))
    assert limiter.observe([Reading(160, 80), Reading(10, 100)]) == 50
    assert limiter.hit(FACTS).remaining == 49
    assert limiter.observe([Reading(10, 80)]) == 100
    assert limiter.hit(FACTS).statuses[0].limit.quota == 100
    limiter.observe([Reading(10**6, 80)])
    assert limiter.capacity == 10


def test_a_decision_ignores_shadows_in_what_remains(clock):
    limits = [Limit("x", 5, MINUTE, ("user",)), Limit("y", 1, MINUTE, ("user",), shadow=True)]
    limiter = Limiter(limits, MemoryStorage(clock))
    limiter.hit(FACTS)
    decision = limiter.hit(FACTS)
    assert decision.admitted
    assert decision.shadow_refusals == ("y",)
    assert decision.remaining == 3
    assert isinstance(decision.statuses[1], LimitStatus)


limits = st.builds(
    lambda quota, period, algorithm, burst, shadow: Limit(
        "x",
        quota,
        period,
        algorithm=algorithm,
        burst=burst if algorithm in {Algorithm.GCRA, Algorithm.TOKEN_BUCKET} else None,
        shadow=shadow,
    ),
    st.integers(1, 12),
    st.sampled_from([12, 60, 1_000, SECOND, MINUTE]),
    st.sampled_from(list(Algorithm)),
    st.none() | st.integers(1, 5),
    st.booleans(),
)
steps = st.lists(
    st.tuples(st.sampled_from(["hit", "hit", "hit", "refund", "reset"]), st.integers(-50, 500)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits, steps)
def test_one_limit_in_memory_is_hit_by_a_short_way_to_the_same_answers(clock, limit, run):
    clock.mono = 10**12
    quick, plain = Limiter([limit], MemoryStorage(clock)), Limiter([limit], MemoryStorage(clock))
    plain._binding = None
    facts = {"key": "a"}
    for action, step in run:
        clock.mono += step * limit.period // 400
        cost = () if action == "reset" else (1 + step % 3,)
        answers = [getattr(each, action)(facts, *cost) for each in (quick, plain)]
        assert answers[0] == answers[1]
        assert quick.peek(facts) == plain.peek(facts)


@pytest.mark.parametrize("fact", [["a"], {}, 1, None, b"a", ("a",)])
def test_a_fact_that_is_no_text_is_refused_by_the_short_way_too(clock, fact):
    limiter = Limiter([Limit("x", 5, MINUTE)], MemoryStorage(clock))
    assert limiter.hit({"key": "a"}).admitted
    for _ in range(2):
        with pytest.raises(InvalidHitError):
            limiter.hit({"key": fact})
    with ThreadPoolExecutor(1) as another:  # The lock is free.
        assert another.submit(limiter.hit, {"key": "a"}).result(timeout=5).admitted
