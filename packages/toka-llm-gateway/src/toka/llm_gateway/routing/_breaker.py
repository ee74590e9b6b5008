"""A circuit breaker: whether a route that failed is to be asked again. No I/O, no clock of its own.

Closed, calls pass and failures in a row are counted. Open, nothing passes until the pause is over.
Half open, one call at a time passes as a probe: its success closes the circuit, its failure opens
it again. The pause never grows, so that a route that has recovered is used again within it.
"""

from __future__ import annotations

import enum

import attrs

from toka.types import NANOSECONDS


class RouteState(enum.StrEnum):
    """Whether a route takes calls."""

    CLOSED = "closed"
    """It does."""
    OPEN = "open"
    """It failed and is left alone for a while."""
    HALF_OPEN = "half_open"
    """The pause is over; one call at a time tries it."""


@attrs.define
class CircuitBreaker:
    """The health of one route. Moments are nanoseconds of a monotonic clock."""

    threshold: int
    """Failures in a row that open the circuit."""
    cooldown: float
    """Seconds for which it stays open."""
    failures: int = 0
    _open_until: int | None = None
    _probing: bool = False

    def state(self, now: int) -> RouteState:
        """Return what the breaker does with calls."""
        if self._open_until is None:
            return RouteState.CLOSED
        return RouteState.OPEN if now < self._open_until else RouteState.HALF_OPEN

    def remaining_ns(self, now: int) -> int:
        """Return how long the circuit stays open."""
        return 0 if self._open_until is None else max(0, self._open_until - now)

    def admit(self, now: int) -> bool:
        """Say whether a call may pass. One that may must end in one of the three methods below."""
        match self.state(now):
            case RouteState.CLOSED:
                return True
            case RouteState.OPEN:
                return False
            case RouteState.HALF_OPEN:
                admitted = not self._probing
                self._probing = True
                return admitted

    def succeeded(self) -> None:
        """Close the circuit: the route answered, whenever the call began."""
        self.failures, self._open_until, self._probing = 0, None, False

    def failed(self, now: int, *, at_once: bool = False, pause_ns: int = 0) -> None:
        """Count a failure, and open the circuit if it was a probe's or one too many.

        Args:
            now: The moment.
            at_once: Do not wait for more failures.
            pause_ns: Stay open at least so long, because the route said so.

        """
        self.failures += 1
        if at_once or pause_ns or self._open_until is not None or self.failures >= self.threshold:
            pause = max(int(self.cooldown * NANOSECONDS), pause_ns)
            self._open_until = max(now + pause, self._open_until or 0)
        self._probing = False

    def ended(self) -> None:
        """Take notice that a call ended without saying anything about the route."""
        self._probing = False
