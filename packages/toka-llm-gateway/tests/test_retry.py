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
from toka.llm_gateway.http._retry import may_repeat

SECOND = 1_000_000_000


def limited(seconds: float | None = None) -> RateLimited:
    return RateLimited(
        "x", details={} if seconds is None else {"retry_after_ns": int(seconds * SECOND)}
    )


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
