from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import (
    CPU,
    DISK,
    MEMORY,
    Advice,
    InvalidFigure,
    Resource,
    Urgency,
    fit_scalability,
    report_capacity,
)

DAY = 86_400


def line(level, per_day, days=40, deviation=0.0, seed=0):
    random = Random(seed)  # noqa: S311 - a sample
    return [
        (1e9 + day * DAY, level + per_day * (day - days + 1) + random.gauss(0, deviation))
        for day in range(days)
    ]


def test_the_thresholds_are_those_of_the_first_toka():
    found = [(each.warning, each.full) for each in (CPU, MEMORY, DISK)]

    assert found == [(0.70, 0.85), (0.75, 0.90), (0.80, 0.95)]


def test_an_exact_line_ends_where_arithmetic_says():
    report = report_capacity(DISK, line(0.55, 0.01))

    # (0.95 - 0.55) / 0.01 = 40 days
    assert report.days_left == pytest.approx(40, abs=0.01)
    assert report.soonest == pytest.approx(40, abs=0.01)
    assert report.latest == pytest.approx(40, abs=0.01)
    # The newest observation is of 39 days after 2001-09-09 01:46:40 UTC.
    assert report.observed.isoformat() == "2001-10-18T01:46:40+00:00"
    assert report.exhausted is not None
    assert round(report.exhausted.timestamp() - report.observed.timestamp()) == 40 * DAY
    assert report.forecast.per_day == pytest.approx(0.01)
    assert report.forecast.expected == pytest.approx(1.45)
    assert (report.advice, report.urgency) == (Advice.PLAN, Urgency.MEDIUM)


@given(st.floats(0.1, 0.6), st.floats(-0.01, 0.01), st.floats(0.001, 0.05), st.integers(0, 99))
def test_bounds_lie_around_what_is_expected(level, per_day, deviation, seed):
    report = report_capacity(CPU, line(level, per_day, deviation=deviation, seed=seed))

    assert report.forecast.expected in report.forecast.bounds
    ends = [report.soonest, report.days_left, report.latest]
    known = [end for end in ends if end is not None]
    assert known == sorted(known)
    assert ends == known + [None] * (3 - len(known))


def test_bounds_hold_what_comes_as_often_as_they_say():
    held = 0
    for seed in range(100):
        observations = line(0.5, 0.002, days=41, deviation=0.02, seed=seed)
        bounds = report_capacity(CPU, observations[:40], horizon=1).forecast.bounds
        held += observations[40][1] in bounds

    assert 88 <= held <= 99


@pytest.mark.parametrize(
    ("observations", "advice", "urgency"),
    [
        (line(0.9, 0.001), Advice.SCALE_UP, Urgency.CRITICAL),
        (line(0.6, 0.02), Advice.SCALE_UP, Urgency.HIGH),
        (line(0.5, 0.005), Advice.PLAN, Urgency.MEDIUM),
        (line(0.78, 0.0), Advice.OPTIMIZE, Urgency.MEDIUM),
        (line(0.05, 0.0, deviation=0.005), Advice.SCALE_DOWN, Urgency.LOW),
        (line(0.5, -0.001), Advice.MONITOR, Urgency.LOW),
        (line(0.5, 0.0, deviation=0.02), Advice.MONITOR, Urgency.LOW),
    ],
)
def test_the_advice_fits(observations, advice, urgency):
    report = report_capacity(CPU, observations)

    assert (report.advice, report.urgency) == (advice, urgency)
    assert "cpu" in report.reason


def test_growing_demand_uses_up_what_the_law_of_scaling_allows():
    law = fit_scalability([(load, 1000 * load / (1 + 0.1 * (load - 1))) for load in (1, 2, 4, 8)])
    demand = [(1e9 + day * DAY, 5000 + 50 * day) for day in range(40)]
    report = report_capacity(CPU, [(at, law.share(rate)) for at, rate in demand])

    # The most is 1000 / 0.1; 85 % of it are asked for after (8500 - 5000) / 50 = 70 days.
    assert law.most == pytest.approx(10_000)
    assert report.days_left == pytest.approx(70 - 39, abs=0.01)


def test_what_shrinks_is_never_used_up():
    report = report_capacity(DISK, line(0.5, -0.002, deviation=0.001))

    assert (report.days_left, report.latest) == (None, None)
    assert not report.forecast.grows


def test_the_order_of_observations_does_not_matter():
    observations = line(0.5, 0.003, deviation=0.01)

    assert report_capacity(CPU, observations).days_left == pytest.approx(
        report_capacity(CPU, observations[::-1]).days_left
    )


@pytest.mark.parametrize(
    "observations",
    [[], line(0.5, 0.1, days=29), [(1.0, 0.5)] * 40, [*line(0.5, 0.1), (1e9, float("nan"))]],
)
def test_what_says_nothing_is_refused(observations):
    with pytest.raises(InvalidFigure):
        report_capacity(CPU, observations)


def test_a_warning_above_the_end_is_refused():
    with pytest.raises(InvalidFigure):
        Resource("x", 0.9, 0.8)
