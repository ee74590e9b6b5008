"""When to try again, and after how long. No clock and no randomness of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.llm_gateway._errors import CallFailed, ModelTimeout, ToolArgumentsInvalid
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@attrs.frozen
class RetryPolicy:
    """How often and how patiently a call is repeated. Times are in seconds.

    The n-th wait is drawn between half and the whole of `first_delay * 2**n`, at most `max_delay`,
    so that callers that failed together do not return together. A provider's Retry-After takes its
    place; one beyond `max_retry_after` ends the call at once, with the wait in the error, because
    coming back sooner would be refused and so long a wait is the caller's to plan.
    """

    attempts: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    """Tries in all, the first included."""
    first_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 120.0

    def delay_ns(self, attempts: int, error: CallFailed, random: Callable[[], float]) -> int | None:
        """Return how long to wait after try number `attempts` failed; None for never.

        Args:
            attempts: Tries made, from 1.
            error: What ended the last one.
            random: Draws from [0, 1).

        """
        if attempts >= self.attempts or not may_repeat(error):
            return None
        asked = error.retry_after_ns
        if asked is None:
            delay = min(self.first_delay * 2 ** (attempts - 1), self.max_delay)
            return int(delay * (0.5 + random() / 2) * NANOSECONDS)
        if asked > self.max_retry_after * NANOSECONDS:
            return None
        # A little later than asked, never sooner.
        return int(asked * (1 + random() / 10))


def may_repeat(error: CallFailed) -> bool:
    """Say whether the gateway itself should try again.

    A route that fell silent is not tried again: that would only multiply the wait. Neither is a
    call whose answer was paid for and makes no sense.
    """
    if isinstance(error, ModelTimeout):
        return error.phase == "connect"
    return error.retryable and not isinstance(error, ToolArgumentsInvalid)


def retry_after_ns(headers: Mapping[str, str], now: int) -> int | None:
    """Read how long a provider asks to be left alone.

    RFC 9110, section 10.2.3: seconds or a date. `Retry-After-Ms` is what both providers add.

    Args:
        headers: Of the answer, with case-insensitive keys.
        now: Nanoseconds since the Unix epoch, to make a span of a date.

    """
    milliseconds = _number(headers.get("Retry-After-Ms", ""))
    if milliseconds is not None:
        return _span(milliseconds / 1000)
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return _span(seconds)
    moment = _date(value)
    return None if moment is None else _span(moment - now / NANOSECONDS)


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
