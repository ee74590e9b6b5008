import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import Above, Alerts, AlertState, Below, InvalidFigure, Outside, Rule

HOT = Rule("hot", "cpu", Above(0.9, clear=0.7), patience=20, calm=10, cooldown=60)
values = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40)), max_size=40)


def played(rule, observations):
    alerts = Alerts([rule])
    found = []
    for at, value in observations:
        found += [(event.at, event.state.value) for event in alerts.observe(rule.metric, value, at)]
    return found


def test_an_alert_is_raised_once_and_ends():
    simple = Rule("hot", "cpu", Above(0.9))

    assert played(simple, [(0, 0.5), (1, 0.95), (2, 0.99), (3, 0.9), (4, 0.5), (5, 0.91)]) == [
        (1, "active"),
        (3, "resolved"),
        (5, "active"),
    ]


def test_it_must_hold_before_it_is_raised_and_be_calm_before_it_ends():
    observations = [
        *[(0, 0.95), (10, 0.5), (20, 0.95), (30, 0.95), (40, 0.95)],  # 20 s only from 20 to 40
        *[(50, 0.6), (55, 0.75), (60, 0.6), (70, 0.6)],  # calm only from 60 to 70
    ]

    assert played(HOT, observations) == [(40, "active"), (70, "resolved")]


def test_between_the_limits_nothing_changes():
    between = [(at, 0.8) for at in range(100, 900, 10)]

    assert played(HOT, between) == []
    assert played(HOT, [(0, 0.95), (20, 0.95), *between]) == [(20, "active")]


def test_after_the_end_it_is_quiet_for_a_while():
    observations = [(0, 0.95), (20, 0.95), (30, 0.1), (40, 0.1)]
    hot_again = [(at, 0.95) for at in range(50, 150, 10)]

    assert played(HOT, observations + hot_again) == [
        (20, "active"),
        (40, "resolved"),
        (100, "active"),
    ]


@given(values)
def test_raised_and_resolved_take_turns_and_the_cooldown_is_kept(steps):
    at, observations = 0, []
    for value, wait in steps:
        at += wait
        observations.append((at, value))

    found = played(HOT, observations)

    states = [state for _, state in found]
    assert states == ["active", "resolved"] * (len(states) // 2) + ["active"] * (len(states) % 2)
    for (ended, state), (raised, _) in itertools.pairwise(found):
        assert state != "resolved" or raised - ended >= HOT.cooldown


@given(values)
def test_whatever_was_it_ends_once_all_is_well(steps):
    alerts = Alerts([HOT])
    for at, (value, _) in enumerate(steps):
        alerts.observe("cpu", value, at)
    alerts.observe("cpu", 0.1, 1000)
    alerts.observe("cpu", 0.1, 1010)

    assert alerts.raised == []


@pytest.mark.parametrize(
    ("condition", "bad", "between", "good"),
    [
        (Above(10, clear=5), 10.1, 7, 5),
        (Below(10, clear=15), 9.9, 12, 15),
        (Outside(10, 20, margin=2), 9, 11, 12),
        (Outside(10, 20, margin=2), 21, 19, 18),
    ],
)
def test_conditions_have_two_limits(condition, bad, between, good):
    rule = Rule("r", "m", condition)

    assert played(rule, [(0, good), (1, between), (2, bad), (3, between), (4, good)]) == [
        (2, "active"),
        (4, "resolved"),
    ]


def test_a_rate_of_change_is_a_condition_too():
    rule = Rule("leak", "memory", Above(100, clear=10), rate=True)

    # 50 a second, 150 a second, 5 a second
    assert played(rule, [(0, 1000), (10, 1500), (20, 3000), (30, 3050)]) == [
        (20, "active"),
        (30, "resolved"),
    ]


def test_an_acknowledged_alert_ends_by_itself():
    alerts = Alerts([Rule("hot", "cpu", Above(0.9))])
    alerts.observe("cpu", 1, 0)
    event = alerts.acknowledge("hot", 1)

    assert event.state is AlertState.ACKNOWLEDGED
    assert [rule.name for rule in alerts.raised] == ["hot"]
    assert alerts.observe("cpu", 1, 2) == []
    assert [event.state for event in alerts.observe("cpu", 0, 3)] == [AlertState.RESOLVED]
    assert alerts.state("hot") is AlertState.RESOLVED


def test_pending_is_told_apart():
    alerts = Alerts([HOT])
    alerts.observe("cpu", 1, 0)
    assert alerts.state("hot") is AlertState.PENDING
    alerts.observe("cpu", 0.8, 1)
    assert alerts.state("hot") is AlertState.QUIET
    assert alerts.observe("disk", 1, 100) == []


def test_nonsense_is_refused():
    for make in (
        lambda: Above(1, clear=2),
        lambda: Below(2, clear=1),
        lambda: Outside(1, 2, margin=0.6),
        lambda: Rule("r", "m", Above(1), patience=-1),
        lambda: Alerts([HOT, HOT]),
    ):
        with pytest.raises(ValueError, match=r".+"):
            make()
    alerts = Alerts([HOT])
    alerts.observe("cpu", 1, 10)
    for refused in (
        lambda: alerts.observe("cpu", 1, 9),
        lambda: alerts.observe("cpu", float("nan"), 11),
        lambda: alerts.acknowledge("hot", 11),
        lambda: alerts.acknowledge("cold", 11),
    ):
        with pytest.raises(InvalidFigure):
            refused()
