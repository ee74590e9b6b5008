from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from toka.llm_gateway.http._retry_after import retry_after_ns

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND  # Tue, 14 Nov 2023 22:13:20 GMT


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


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h0m1.5s"}, 3601.5),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000009"}, 9),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000009500"}, 9.5),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "17"}, 17),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:50Z",
            },
            30,
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:13:25+00:00",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:22Z",
                "anthropic-ratelimit-output-tokens-remaining": "5",
                "anthropic-ratelimit-output-tokens-reset": "2023-11-14T23:00:00Z",
            },
            5,
        ),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": ""}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2023-11-14T22:13:50"}, None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "17", "Retry-After": "2"}, 2),
    ],
)
def test_a_limit_that_is_used_up_says_when_it_is_reset(headers, seconds):
    expected = None if seconds is None else int(seconds * SECOND)
    assert retry_after_ns(CIMultiDict(headers), NOW) == expected


@given(st.text())
def test_any_reset_is_read_without_failing(text):
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": text}
    wait = retry_after_ns(CIMultiDict(headers), NOW)
    assert wait is None or wait >= 0
