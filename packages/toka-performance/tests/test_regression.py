from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import (
    InvalidFigure,
    Kind,
    Result,
    Row,
    Severity,
    Thresholds,
    compare,
    find_regressions,
    find_shift,
    find_trend,
)

positive = st.floats(0.001, 1e9)


@pytest.mark.parametrize(
    ("kind", "figure", "severity"),
    [
        (Kind.THROUGHPUT, 800, None),
        (Kind.THROUGHPUT, 799, Severity.MODERATE),
        (Kind.THROUGHPUT, 700, Severity.MODERATE),
        (Kind.THROUGHPUT, 690, Severity.MAJOR),
        (Kind.THROUGHPUT, 490, Severity.CRITICAL),
        (Kind.THROUGHPUT, 5000, None),
        (Kind.LATENCY, 1200, None),
        (Kind.LATENCY, 1201, Severity.MODERATE),
        (Kind.MEMORY, 1300, None),
        (Kind.MEMORY, 1301, Severity.MAJOR),
        (Kind.ERRORS, 2000, None),
        (Kind.ERRORS, 2001, Severity.CRITICAL),
        (Kind.ERRORS, 0, None),
    ],
)
def test_the_thresholds_of_the_first_toka(kind, figure, severity):
    found = compare("m", kind, 1000, figure)

    assert (found.severity if found else None) == severity


def test_thresholds_can_be_chosen():
    found = compare("m", Kind.LATENCY, 100, 110, Thresholds(latency=1.05))

    assert found
    assert found.severity == Severity.MINOR


def test_ten_falling_results_are_a_trend():
    found = find_trend("m", Kind.THROUGHPUT, [1000 - 20 * step for step in range(10)])

    assert found
    assert (found.before, found.after) == (1000, 820)
    assert "10 results" in found.cause


@pytest.mark.parametrize(
    "figures",
    [
        [1000, 900, 800, 700],  # too few
        [1000 - step for step in range(10)],  # hardly less
        [1000, 1100, 800, 1200, 700, 1100, 600],  # up and down
        [500 + 50 * step for step in range(10)],  # better
    ],
)
def test_what_is_no_trend(figures):
    assert find_trend("m", Kind.THROUGHPUT, figures) is None


def test_only_the_window_counts():
    figures = [5000, 4000, 3000, *([1000] * 10)]

    assert find_trend("m", Kind.THROUGHPUT, figures) is None


@given(positive, positive)
def test_better_is_never_worse(one, other):
    low, high = sorted((one, other))

    assert compare("m", Kind.THROUGHPUT, low, high) is None
    assert all(compare("m", kind, high, low) is None for kind in list(Kind)[1:])


def test_a_shift_that_no_threshold_sees_is_found():
    random = Random(3)  # noqa: S311 - a sample
    series = [random.gauss(100 if step < 15 else 112, 2) for step in range(30)]

    found = find_shift("m", Kind.LATENCY, series)

    assert compare("m", Kind.LATENCY, 100, series[-1]) is None
    assert found
    assert found.after == pytest.approx(112, abs=2)
    assert "since 15 results" in found.cause
    assert find_shift("m", Kind.THROUGHPUT, series) is None


def result(when, **figures):
    units = {"speed": ("steps/s", ">= 10"), "time": ("ms", None), "size": ("MB", None)}
    found = [
        Row(
            suite="demo",
            measure=name,
            unit=units[name][0],
            ours=figure,
            peer=None,
            peer_name=None,
            ratio=None,
            low=None,
            high=None,
            bar=units[name][1],
            met=None,
        )
        for name, figure in figures.items()
    ]
    return Result({"when": when}, found, {})


def test_stored_results_are_judged_by_what_they_measure():
    history = [result(str(day), speed=100 + day, time=10, size=5) for day in range(4)]
    newest = result("9", speed=50, time=11.9, size=6.6)

    found = find_regressions(history, newest)

    assert [(each.name, each.kind) for each in found] == [
        ("demo: speed", Kind.THROUGHPUT),
        ("demo: size", Kind.MEMORY),
    ]


def test_without_history_nothing_is_worse():
    assert find_regressions([], result("1", speed=1, time=9)) == []
    assert find_regressions([result("1", time=9)], result("2", speed=None)) == []


@pytest.mark.parametrize("figure", [-1, float("nan"), float("inf")])
def test_what_is_no_figure_is_refused(figure):
    with pytest.raises(InvalidFigure):
        compare("m", Kind.LATENCY, 1, figure)
