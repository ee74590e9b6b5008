"""How things are written for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.cli._exits import Exit, exit_for
from toka.cli._show import cost, count, duration, moment, printable
from toka.types import NOTHING, Amounts


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (-1, "0.0s"),
        (400_000_000, "0.4s"),
        (12 * 10**9, "12s"),
        (185 * 10**9, "3m05s"),
        (7_800 * 10**9, "2h10m"),
    ],
)
def test_durations(nanoseconds, text):
    assert duration(nanoseconds) == text


def test_moments():
    assert moment(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"


def test_costs():
    assert cost(NOTHING) == ""
    assert cost(Amounts(money=12_300, tokens=1_500, calls=2)) == "$0.0123, 1,500 tokens"


def test_counts():
    assert (count(1, "step"), count(2_000, "step")) == ("1 step", "2,000 steps")


@given(st.text(), st.integers(2, 50))
def test_text_from_outside_cannot_drive_a_terminal(text, limit):
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("store.locked", Exit.DATA),
        ("auth.bad_key_file", Exit.DATA),
        ("auth.denied", Exit.REFUSED),
        ("kernel.capability_denied", Exit.REFUSED),
        ("spec.cycle", Exit.USAGE),
        ("cli.unreachable", Exit.FAILED),
        ("cli.usage", Exit.USAGE),
        ("nobody.knows", Exit.FAILED),
    ],
)
def test_exit_statuses(code, status):
    assert exit_for(code) == status
