"""Times, amounts and text as they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.orchestration_service.dashboard import _format

MICRO = 1_000_000


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (0, "$0"),
        (1, "$0.000001"),
        (80_000, "$0.08"),
        (123_456, "$0.1235"),
        (5_000_000, "$5.00"),
        (1_234_567_890, "$1,234.57"),
    ],
)
def test_money_is_shown_with_the_digits_it_needs(micro_usd, text):
    assert _format.money(micro_usd) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0 ms"), (0.25, "250 ms"), (3.14, "3.1 s"), (75, "1 min 15 s"), (3_660, "1 h 1 min")],
)
def test_a_duration_has_about_three_digits(seconds, text):
    assert _format.duration(seconds) == text


def test_times_are_told_from_now():
    assert _format.ago("2026-01-01T00:00:00.000Z", 1767225600 + 90) == "1 min ago"
    assert _format.ago("2026-01-01T00:00:00.000Z", 1767225600 - 90) == "in 1 min"
    assert _format.ago("2026-01-01T00:00:00.000Z", 1767225600) == "now"


@given(st.text())
def test_nothing_that_hides_is_left(text):
    shown = _format.visible(text)
    assert _format.visible(shown) == shown
    assert not any(_format.visible(each) != each for each in shown)
    shown.encode()


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text):
    assert _format.visible(text) == text


def test_other_scripts_stay_as_they_are():
    for text in ("שלום", "नमस्ते", "👩\u200d🔬", "日本語", "tab\tand\nline"):
        assert _format.visible(text) == text
