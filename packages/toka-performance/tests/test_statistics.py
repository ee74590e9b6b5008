from random import Random
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import InvalidFigure, bootstrap
from toka.performance._statistics import spread, student_t

figures = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(figures)
def test_an_interval_lies_within_the_figures_and_around_the_median(values):
    interval = bootstrap(values, resamples=200)

    assert min(values) <= interval.low <= interval.high <= max(values)
    assert len(values) < 4 or median(values) in interval


def test_the_same_figures_give_the_same_interval():
    assert bootstrap([3, 1, 4, 1, 5, 9]) == bootstrap([3, 1, 4, 1, 5, 9])


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    random = Random(1)  # noqa: S311 - a sample
    samples = [[random.gauss(10, 2) for _ in range(30)] for _ in range(100)]

    covered = sum(10 in bootstrap(each, fmean, resamples=200) for each in samples)

    assert 0.87 <= covered / 100 <= 0.99


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_what_is_no_figure_is_refused(values):
    with pytest.raises(InvalidFigure):
        bootstrap(values)


def test_a_confidence_of_one_is_refused():
    with pytest.raises(InvalidFigure):
        bootstrap([1.0, 2.0], confidence=1)


def test_one_outlier_does_not_widen_the_spread():
    assert spread([9, 10, 11]) == spread([9, 10, 1_000_000]) == pytest.approx(1.4826)


@pytest.mark.parametrize(("freedom", "exact"), [(5, 2.5706), (10, 2.2281), (30, 2.0423)])
def test_quantiles_of_student_are_those_of_the_tables(freedom, exact):
    assert student_t(0.95, freedom) == pytest.approx(exact, rel=0.01)


def test_two_degrees_of_freedom_are_refused():
    with pytest.raises(InvalidFigure):
        student_t(0.95, 2)
