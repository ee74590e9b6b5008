"""Laws that hold for each algorithm, against a model that remembers every hit."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.rate_limiter import SECOND, Algorithm, Limit, StorageUnavailable
from toka.rate_limiter._algorithms import read_state, rules_for

START = 10**12
ALGORITHMS = list(Algorithm)
EXACT = [a for a in ALGORITHMS if a is not Algorithm.SLIDING_COUNTER]

quotas = st.integers(1, 12)
periods = st.sampled_from([7, 1_000, SECOND, 3 * SECOND])
steps = st.lists(st.tuples(st.integers(0, SECOND), st.integers(1, 5)), min_size=1, max_size=30)
algorithms = st.sampled_from(ALGORITHMS)


class Runner:
    """A bucket driven by hand."""

    def __init__(self, limit):
        self.rules = rules_for(limit)
        self.state = ()

    def hit(self, now, cost=1):
        after, status = self.rules.take(self.state, now, cost)
        if after is not None:
            self.state = after
        return status


@given(algorithms, quotas, periods, steps)
def test_retry_after_is_honest_to_the_microsecond(algorithm, quota, period, hits):
    runner, now = Runner(Limit("x", quota, period, algorithm=algorithm)), START
    for step, cost in hits:
        now += step % (2 * period)
        status = runner.hit(now, cost)
        if status.admitted:
            assert status.retry_after == 0
        elif cost > quota:
            assert status.retry_after is None
        else:
            wait = status.retry_after
            assert wait is not None
            assert wait > 0
            take = runner.rules.take
            assert not take(runner.state, now + wait - 1, cost)[1].admitted
            assert take(runner.state, now + wait, cost)[1].admitted


@given(algorithms, quotas, periods, steps)
def test_what_remains_is_exactly_what_can_be_spent(algorithm, quota, period, hits):
    runner, now = Runner(Limit("x", quota, period, algorithm=algorithm)), START
    for step, cost in hits:
        now += step % (2 * period)
        remaining = runner.hit(now, cost).remaining
        take = runner.rules.take
        assert take(runner.state, now, remaining)[1].admitted
        assert not take(runner.state, now, remaining + 1)[1].admitted


@given(algorithms, quotas, periods, steps)
def test_after_reset_after_the_limit_is_whole(algorithm, quota, period, hits):
    runner, now = Runner(Limit("x", quota, period, algorithm=algorithm)), START
    for step, cost in hits:
        now += step % (2 * period)
        reset = runner.hit(now, cost).reset_after
        later = runner.rules.take(runner.state, now + reset, 0)[1]
        assert (later.remaining, later.reset_after) == (quota, 0)
        if reset:
            assert runner.rules.take(runner.state, now + reset - 1, 0)[1].reset_after == 1


@given(st.sampled_from([Algorithm.GCRA, Algorithm.TOKEN_BUCKET]), quotas, periods, steps)
def test_buckets_admit_what_exact_fractions_do(algorithm, quota, period, hits):
    runner, now = Runner(Limit("x", quota, period, algorithm=algorithm)), START
    level, since = Fraction(quota), START
    for step, cost in hits:
        now += step % (2 * period)
        level = min(Fraction(quota), level + Fraction((now - since) * quota, period))
        since = now
        admitted = runner.hit(now, cost).admitted
        assert admitted == (level >= cost)
        level -= cost if admitted else 0


@given(quotas, periods, steps)
def test_a_sliding_log_never_exceeds_its_quota_in_any_interval(quota, period, hits):
    runner, now, log = Runner(Limit("x", quota, period, algorithm=Algorithm.SLIDING_LOG)), START, []
    for step, cost in hits:
        now += step % (2 * period)
        spent = sum(c for t, c in log if t > now - period)
        admitted = runner.hit(now, cost).admitted
        assert admitted == (spent + cost <= quota)
        log += [(now, cost)] if admitted else []


@given(quotas, periods, steps)
def test_a_sliding_counter_admits_by_its_estimate(quota, period, hits):
    runner, now = Runner(Limit("x", quota, period, algorithm=Algorithm.SLIDING_COUNTER)), START
    counts = {}
    for step, cost in hits:
        now += step % (2 * period)
        window = now // period
        weight = Fraction(period - now % period, period)
        used = counts.get(window - 1, 0) * weight + counts.get(window, 0)
        admitted = runner.hit(now, cost).admitted
        assert admitted == (used + cost <= quota)
        counts[window] = counts.get(window, 0) + (cost if admitted else 0)


@given(algorithms, quotas, periods, steps, st.integers(1, 20))
def test_a_refund_never_gives_more_than_was_spent(algorithm, quota, period, hits, back):
    runner, now = Runner(Limit("x", quota, period, algorithm=algorithm)), START
    for step, cost in hits:
        now += step % (2 * period)
        before = runner.hit(now, cost).remaining
        runner.state = runner.rules.give(runner.state, now, back)
        after = runner.rules.take(runner.state, now, 0)[1].remaining
        assert before <= after <= min(quota, before + back)


@given(st.sampled_from(EXACT), quotas, periods, st.integers(1, 12))
def test_a_hit_that_is_given_back_leaves_the_quota_as_it_was(algorithm, quota, period, cost):
    runner = Runner(Limit("x", quota, period, algorithm=algorithm))
    if runner.hit(START, cost).admitted:
        runner.state = runner.rules.give(runner.state, START, cost)
    assert runner.rules.take(runner.state, START, 0)[1].remaining == quota


@given(algorithms, quotas, periods, steps, quotas, periods)
def test_a_changed_limit_stays_within_its_new_bounds(
    algorithm, quota, period, hits, new_quota, new_period
):
    runner, now = Runner(Limit("x", quota, period, algorithm=algorithm)), START
    for step, cost in hits:
        now += step % (2 * period)
        runner.hit(now, cost)
    changed = rules_for(Limit("x", new_quota, new_period, algorithm=algorithm))
    runner.rules = changed
    status = runner.hit(now, new_quota)
    assert 0 <= status.remaining <= new_quota
    assert 0 <= status.reset_after <= 2 * new_period
    if not status.admitted:
        assert status.retry_after is not None
        assert runner.hit(now + status.retry_after, new_quota).admitted


@settings(max_examples=30)
@given(algorithms, st.lists(st.integers(0, 2**53), min_size=1, max_size=6))
def test_no_state_makes_a_limit_admit_more_than_itself(algorithm, numbers):
    rules = rules_for(Limit("x", 5, SECOND, algorithm=algorithm))
    size = rules.size or 2 * (len(numbers) // 2)
    state = tuple((numbers * 3)[:size])
    status = rules.take(state, START, 0)[1]
    assert 0 <= status.remaining <= 5


@pytest.mark.parametrize(
    "text", ["", "1", "1,2,3", "a,b", "1,-2", "1,2,", " 1,2", "9" * 17, None, 5]
)
def test_a_foreign_state_is_refused(text):
    with pytest.raises(StorageUnavailable):
        read_state(rules_for(Limit("x", 5, SECOND)), text)
