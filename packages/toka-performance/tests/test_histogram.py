import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import Histogram, InvalidFigure

values = st.integers(0, 2**63 - 1) | st.integers(0, 5000)
lists = st.lists(values, min_size=1, max_size=60)


@given(lists, st.floats(0, 100))
def test_a_percentile_is_the_exact_one_to_within_a_thousandth(figures, percent):
    exact = sorted(figures)[max(1, math.ceil(math.nextafter(percent, 0) * len(figures) / 100)) - 1]

    found = Histogram(figures).percentile(percent)

    assert exact <= found <= exact + exact / 1000


@given(lists)
def test_count_mean_least_and_most_are_exact(figures):
    histogram = Histogram(figures)

    assert histogram.count == len(figures)
    assert (histogram.minimum, histogram.maximum) == (min(figures), max(figures))
    assert histogram.mean == sum(figures) / len(figures)
    assert histogram.percentile(100) == max(figures)


@given(lists, lists)
def test_merged_is_as_if_counted_together(one, other):
    merged = Histogram(one)
    merged.merge(Histogram(other))

    assert merged == Histogram(one + other)


@given(lists)
def test_buckets_ascend_and_hold_all(figures):
    buckets = list(Histogram(figures).buckets())

    assert [highest for highest, _ in buckets] == sorted({highest for highest, _ in buckets})
    assert sum(count for _, count in buckets) == len(figures)


def test_percentiles_of_one_to_a_thousand():
    histogram = Histogram(range(1, 1001))

    found = [histogram.percentile(each) for each in (0, 0.1, 50, 90, 99, 99.9, 100)]
    assert found == [1, 1, 500, 900, 990, 999, 1000]


def test_memory_does_not_grow_with_what_is_counted():
    histogram = Histogram()
    for value in (7, 1_000_000, 1_000_001):
        histogram.record(value, 10**9)

    assert len(list(histogram.buckets())) == 2


def test_a_stall_is_counted_for_the_calls_that_it_kept_away():
    # One call a millisecond was meant; one of them took 5 ms, so four others would have waited.
    histogram = Histogram()
    histogram.record_at_pace(5_000_000, 1_000_000)

    assert histogram == Histogram([5_000_000, 4_000_000, 3_000_000, 2_000_000, 1_000_000])


@pytest.mark.parametrize("value", [-1, 2**63])
def test_what_cannot_be_counted_is_refused(value):
    histogram = Histogram()
    with pytest.raises(InvalidFigure):
        histogram.record(value)
    assert histogram == Histogram()


def test_nonsense_is_refused():
    histogram = Histogram([1])
    with pytest.raises(InvalidFigure):
        histogram.record(1, 0)
    with pytest.raises(InvalidFigure):
        histogram.record_at_pace(1, 0)
    with pytest.raises(InvalidFigure):
        histogram.percentile(101)
    with pytest.raises(InvalidFigure):
        Histogram().percentile(50)
