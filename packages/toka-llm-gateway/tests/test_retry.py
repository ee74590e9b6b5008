from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import (
    CallFailed,
    InvalidRequest,
    ModelTimeout,
    ProviderError,
    RateLimited,
    RetryPolicy,
    StreamInterrupted,
)
from toka.llm_gateway.http._retry import may_repeat, retry_after_ns

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND  # Tue, 14 Nov 2023 22:13:20 GMT


def limited(seconds: float | None = None) -> RateLimited:
    return RateLimited(
        "x", details={} if seconds is None else {"retry_after_ns": int(seconds * SECOND)}
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
    ],
)
def test_retry_after_is_read_in_every_form(headers, seconds):
    expected = None if seconds is None else int(seconds * SECOND)
    assert retry_after_ns(headers, NOW) == expected


@given(st.text())
def test_any_header_is_read_without_failing(text):
    wait = retry_after_ns({"Retry-After": text}, NOW)
    assert wait is None or wait >= 0


@given(st.integers(1, 30), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_half_and_whole(attempts, draw):
    policy = RetryPolicy(attempts=31)
    delay = policy.delay_ns(attempts, limited(), lambda: draw)
    whole = min(0.5 * 2 ** (attempts - 1), 8.0) * SECOND
    assert delay is not None
    assert whole / 2 - 1 <= delay <= whole


@given(st.floats(0, 120), st.floats(0, 1, exclude_max=True))
def test_a_provider_is_never_called_sooner_than_it_asked(asked, draw):
    delay = RetryPolicy().delay_ns(1, limited(asked), lambda: draw)
    assert delay is not None
    assert delay >= int(asked * SECOND)


def test_a_wait_beyond_the_cap_is_left_to_the_caller():
    assert RetryPolicy().delay_ns(1, limited(121), lambda: 0.0) is None


def test_the_last_try_is_the_last():
    assert RetryPolicy(attempts=2).delay_ns(2, limited(), lambda: 0.0) is None


@pytest.mark.parametrize(
    ("error", "repeat"),
    [
        (RateLimited("x"), True),
        (ProviderError("x"), True),
        (StreamInterrupted("x"), True),
        (InvalidRequest("x"), False),
        (ModelTimeout("x", details={"phase": "connect"}), True),
        (ModelTimeout("x", details={"phase": "first_token"}), False),
        (ModelTimeout("x", details={"phase": "idle"}), False),
        (RateLimited("x", details={"should_retry": False}), False),
        (InvalidRequest("x", details={"should_retry": True}), True),
    ],
)
def test_only_what_passes_is_repeated(error: CallFailed, repeat: bool):
    assert may_repeat(error) is repeat
