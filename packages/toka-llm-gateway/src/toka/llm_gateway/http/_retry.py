"""When to try again, and after how long. No clock and no randomness of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.llm_gateway._errors import CallFailed, ModelTimeout, ToolArgumentsInvalid
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.frozen
class RetryPolicy:
    """How often and how patiently a call is repeated. Times are in seconds.

    The n-th wait is drawn between half and the whole of `first_delay * 2**n`, at most `max_delay`,
    so that callers that failed together do not return together. What a provider asks for takes its
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
