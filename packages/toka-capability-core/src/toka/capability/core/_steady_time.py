"""Time for judging tokens: it follows the time of day forwards and never goes back.

Whoever sets a machine's clock back would otherwise revive tokens that had expired. Tolerance: a
clock that was wrongly *ahead* and is corrected stays ahead in this process, so that fresh tokens of
other machines may be refused until the process starts anew. Closed, not open, is the safe side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.types import Clock


class SteadyTime:
    """The highest time of day seen so far, carried on by the monotonic clock."""

    __slots__ = ("_clock", "_offset")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.monotonic()

    def seconds(self) -> int:
        """Return seconds since the Unix epoch; never less than before."""
        # The time of day is read first: if the thread is held up between the two readings, the
        # difference comes out too small, which the highest one seen forgives.
        offset = self._clock.now() - (monotonic := self._clock.monotonic())
        self._offset = max(self._offset, offset)
        return (self._offset + monotonic) // NANOSECONDS
