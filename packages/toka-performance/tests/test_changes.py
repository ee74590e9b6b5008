from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import InvalidFigure, find_change, find_changes

figures = st.lists(st.integers(1, 1000), min_size=8, max_size=24)


def noise(seed, count, mean=100.0, deviation=3.0):
    random = Random(seed)  # noqa: S311 - a sample
    return [random.gauss(mean, deviation) for _ in range(count)]


def test_a_step_is_found_where_it_is():
    change = find_change(noise(1, 12) + noise(2, 8, mean=120))

    assert change is not None
    assert change.index == 12
    assert change.chance <= 0.01
    assert change.ratio == pytest.approx(1.2, abs=0.03)


def steady(seed):
    return noise(seed, 16, deviation=30)


def heavy(seed):
    """Noise with a long tail, as times of a busy machine have it."""
    random = Random(seed)  # noqa: S311 - a sample
    return [random.lognormvariate(3, 1) for _ in range(24)]


@pytest.mark.parametrize("kind", [steady, heavy])
def test_of_1000_series_of_noise_no_more_are_cried_at_than_stated(kind):
    alarms = [find_change(kind(seed), alpha=0.01, least=0) is not None for seed in range(1000)]

    # By chance alone there would be more than 0.01 + 3 standard deviations once in 700 times.
    assert sum(alarms) <= 1000 * 0.01 + 3 * (1000 * 0.01 * 0.99) ** 0.5


def test_a_step_of_a_tenth_is_found_nearly_always():
    """A step of 10 % in noise of 3 %, with ten figures on each side."""
    series = [noise(seed, 10) + noise(seed + 5000, 10, mean=110) for seed in range(60)]
    found = [find_change(each) for each in series]

    assert sum(change is not None for change in found) >= 59
    assert sum(abs(change.index - 10) <= 1 for change in found if change) >= 57


def test_noise_with_outliers_is_no_change():
    series = noise(5, 20)
    series[4] = series[11] = series[18] = 1000.0

    assert find_change(series) is None


def test_a_certain_change_that_is_small_is_of_no_interest():
    series = [100.0] * 15 + [102.0] * 15

    assert find_change(series) is None
    assert find_change(series, least=0.01) is not None


def test_each_of_several_changes_is_found():
    series = noise(1, 15) + noise(2, 15, mean=150) + noise(3, 15, mean=80)

    found = find_changes(series)

    assert [change.index for change in found] == [15, 30]
    assert [change.after > change.before for change in found] == [True, False]


@given(figures)
def test_only_the_order_of_figures_counts(series):
    plain = find_change(series, least=0)
    cubed = find_change([each**3 for each in series], least=0)

    assert (plain and (plain.index, plain.chance)) == (cubed and (cubed.index, cubed.chance))


@given(st.floats(0.1, 1e9), st.integers(0, 40))
def test_what_is_constant_never_changes(figure, count):
    assert find_change([figure] * count, least=0) is None


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(InvalidFigure):
        find_change([1.0, float("nan")])
    with pytest.raises(InvalidFigure, match="shuffles"):
        find_change([1.0] * 10, alpha=0.0001)
    assert find_change([1, 1, 9, 9, 9]) is None
