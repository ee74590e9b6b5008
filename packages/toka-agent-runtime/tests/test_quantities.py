from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.agent_runtime import parse_bytes, parse_cpu, parse_duration
from toka.types import NANOSECONDS, InvalidValueError


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("30s", 30 * NANOSECONDS),
        ("5m", 300 * NANOSECONDS),
        ("2h30m", 9_000 * NANOSECONDS),
        ("2h 30m", 9_000 * NANOSECONDS),
        ("1.5h", 5_400 * NANOSECONDS),
        ("500ms", NANOSECONDS // 2),
        ("1d", 86_400 * NANOSECONDS),
        ("1w1d", 8 * 86_400 * NANOSECONDS),
        ("90", 90 * NANOSECONDS),
        ("0.25", NANOSECONDS // 4),
        ("0s", 0),
    ],
)
def test_durations_as_people_write_them(text: str, nanoseconds: int):
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", " ", "s", "5x", "-5s", "5m5h", "5s5s", "1e9s", "∞", "٣s", "5 minutes", "9" * 400]
)
def test_other_texts_are_no_durations(text: str):
    with pytest.raises(InvalidValueError):
        parse_duration(text)


def test_a_duration_beyond_a_century_is_refused():
    with pytest.raises(InvalidValueError, match="century"):
        parse_duration("99999w")


@given(st.integers(0, 10_000), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_parts_of_a_duration_add_up(days: int, hours: int, minutes: int, seconds: int):
    expected = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * NANOSECONDS
    assert parse_duration(f"{days}d{hours}h{minutes}m{seconds}s") == expected


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512 << 20),
        ("512 mb", 512 << 20),
        ("1.5GiB", 3 << 29),
        ("64K", 64 << 10),
        ("4096", 4096),
        ("1B", 1),
        ("2TB", 2 << 40),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1PB", "1 M B", "lots", "1e3"])
def test_other_texts_are_no_sizes(text: str):
    with pytest.raises(InvalidValueError):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "share"),
    [("75%", 0.75), ("0.75", 0.75), ("75", 0.75), ("100%", 1.0), ("200%", 2.0), ("1", 1.0)],
)
def test_shares_of_a_processor(text: str, share: float):
    assert parse_cpu(text) == share


@pytest.mark.parametrize("text", ["", "%", "0", "0%", "-1", "half"])
def test_other_texts_are_no_shares(text: str):
    with pytest.raises(InvalidValueError):
        parse_cpu(text)
