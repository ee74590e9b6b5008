"""When a provider is to be asked again, as the headers of its answer say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_DURATION: Final = re.compile(
    r"(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
"""As Go writes spans, and OpenAI with it: `6m0s`, `1.5s`, `12ms`."""
_UNITS: Final = (3600.0, 60.0, 1.0, 0.001)
_EPOCH_SECONDS: Final = 1e9
_EPOCH_MILLISECONDS: Final = 1e11


def retry_after_ns(headers: Mapping[str, str], now: int) -> int | None:
    """Read how long a provider asks to be left alone.

    RFC 9110, section 10.2.3: seconds or a date. `Retry-After-Ms` is what both providers add. Where
    neither is said, it is until the last of the limits of which nothing remains is reset.

    Args:
        headers: Of the answer, with case-insensitive keys.
        now: Nanoseconds since the Unix epoch, to make a span of a date.

    """
    milliseconds = _number(headers.get("Retry-After-Ms", ""))
    if milliseconds is not None:
        return _span(milliseconds / 1000)
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is None:
        seconds = _until(_date(value), now)
    if seconds is None:
        seconds = max(_resets(headers, now), default=None)
    return None if seconds is None else _span(seconds)


def _resets(headers: Mapping[str, str], now: int) -> list[float]:
    """Return in how many seconds each limit of which nothing remains is reset.

    `x-ratelimit-remaining-tokens` has its `x-ratelimit-reset-tokens` (OpenAI, Azure, Groq),
    `anthropic-ratelimit-requests-remaining` its `anthropic-ratelimit-requests-reset`, and
    `RateLimit-Remaining` its `RateLimit-Reset`, with an `X-` or without (OpenRouter, others).
    """
    used_up = [
        name.lower()
        for name, value in headers.items()
        if "ratelimit" in name.lower() and "remaining" in name.lower() and _number(value) == 0
    ]
    each = [_reset(headers.get(name.replace("remaining", "reset"), ""), now) for name in used_up]
    return [seconds for seconds in each if seconds is not None]


def _reset(text: str, now: int) -> float | None:
    number = _number(text)
    if number is None:
        duration = _DURATION.fullmatch(text)
        if duration is not None and text:
            amounts = [float(amount or 0) for amount in duration.groups()]
            return sum(a * unit for a, unit in zip(amounts, _UNITS, strict=True))
        return _until(_timestamp(text), now)
    if number < _EPOCH_SECONDS:
        return number
    return _until(number if number < _EPOCH_MILLISECONDS else number / 1000, now)


def _until(moment: float | None, now: int) -> float | None:
    return None if moment is None else moment - now / NANOSECONDS


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # "nan" and "inf" are numbers to Python and nonsense to everybody else.
    return number if abs(number) < float("inf") else None


def _span(seconds: float) -> int:
    return max(0, int(seconds * NANOSECONDS))


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - costs 20 ms and is rarely used

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _timestamp(text: str) -> float | None:
    """Read a moment as RFC 3339 writes it; one without an offset is none."""
    from datetime import datetime  # noqa: PLC0415 - rarely used

    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None
