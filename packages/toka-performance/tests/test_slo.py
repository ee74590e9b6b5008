import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import ErrorBudget, InvalidFigure, ServiceLevel

HOUR = 3600
DAY = 24 * HOUR
LEVEL = ServiceLevel("api", 0.999)


def budget(*phases, every=60):
    """Return a budget after phases of (seconds, share of errors) at 10 requests a second."""
    made, at, good, total = ErrorBudget(LEVEL), 0, 0.0, 0.0
    made.observe(0, 0, 0)
    for seconds, errors in phases:
        for _ in range(seconds // every):
            at += every
            total += 10 * every
            good += 10 * every * (1 - errors)
            made.observe(good, total, at)
    return made, at


def test_burn_rates_by_hand():
    # An hour at 2 % errors after five at none: 2 % / 0.1 % = 20 over the hour, 20 / 6 over six.
    made, at = budget((5 * HOUR, 0), (HOUR, 0.02))

    assert made.burn_rate(HOUR, at) == pytest.approx(20)
    assert made.burn_rate(6 * HOUR, at) == pytest.approx(20 / 6)
    assert made.error_rate(HOUR / 2, at) == pytest.approx(0.02)


def test_a_fast_burn_is_seen_soon_and_ends_soon():
    made, at = budget((5 * HOUR, 0), (HOUR, 0.02))
    assert [rule.rate for rule in made.burning(at)] == [14.4, 1.0]

    made, at = budget((5 * HOUR, 0), (HOUR, 0.02), (10 * 60, 0))
    assert 14.4 not in [rule.rate for rule in made.burning(at)]


def test_a_short_hiccup_pages_nobody():
    made, at = budget((5 * HOUR, 0), (120, 0.05))

    assert 14.4 not in [rule.rate for rule in made.burning(at)]


def test_what_just_lasts_burns_at_one():
    made, at = budget((3 * DAY, 0.001), every=600)

    assert made.burn_rate(3 * DAY, at) == pytest.approx(1)
    assert made.remaining(at) == pytest.approx(0, abs=1e-6)
    assert made.burning(at) == []


def test_a_counter_that_begins_again_loses_nothing():
    made = ErrorBudget(LEVEL)
    for at, (good, total) in enumerate([(0, 0), (90, 100), (5, 10), (10, 20)]):
        made.observe(good, total, at * 60)

    assert made.error_rate(HOUR, 180) == pytest.approx((10 + 10) / 120)


def test_what_was_before_the_first_observation_counts_as_nothing():
    made = ErrorBudget(LEVEL)
    made.observe(0, 1_000_000, 0)
    made.observe(100, 1_000_100, 60)

    assert made.error_rate(HOUR, 60) == 0


def test_when_nothing_comes_any_more_the_alert_ends():
    made, at = budget((HOUR, 0.5))
    assert made.burning(at)

    assert made.burning(at + 4 * DAY) == []
    assert made.error_rate(HOUR, at + 4 * DAY) == 0


def test_memory_is_bounded_however_often_one_looks():
    made = ErrorBudget(ServiceLevel("api", 0.99, window=HOUR), [])
    for second in range(20_000):
        made.observe(second, second, second)

    assert len(made._samples) <= 25


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30))
def test_the_rate_is_the_share_of_all_that_was_bad(steps):
    made, good, total = ErrorBudget(LEVEL), 0, 0
    made.observe(0, 0, 0)
    for number, (well, badly) in enumerate(steps, 1):
        good, total = good + well, total + well + badly
        made.observe(good, total, number * 10)

    rate = made.error_rate(DAY, len(steps) * 10)
    assert rate == pytest.approx((total - good) / total if total else 0)


def test_nonsense_is_refused():
    for target in (0, 1, 1.5, float("nan")):
        with pytest.raises(InvalidFigure):
            ServiceLevel("x", target)
    made = ErrorBudget(LEVEL)
    made.observe(1, 1, 100)
    for good, total, at in [(2, 1, 101), (-1, 1, 101), (5, 6, 99), (9, 5, 101)]:
        with pytest.raises(InvalidFigure):
            made.observe(good, total, at)
    assert made.error_rate(HOUR, 100) == 0
