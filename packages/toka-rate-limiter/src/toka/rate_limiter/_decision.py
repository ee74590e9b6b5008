"""What a limiter answers.

These are `msgspec` structs, not attrs classes, for one reason: two of them are made for every hit,
and a frozen attrs class costs four times as much to make as the rest of a hit in memory.
"""

from __future__ import annotations

import msgspec

from toka.capability.core import Denial
from toka.rate_limiter._limit import SECOND, Limit


class LimitStatus(msgspec.Struct, frozen=True, gc=False):
    """What one limit says. Times are microseconds from now."""

    limit: Limit
    admitted: bool
    """Whether this limit admits the hit; a shadow limit that does not is overruled."""
    remaining: int
    """What could be spent at once after this."""
    reset_after: int
    """When the limit is whole again, if nothing is spent meanwhile."""
    retry_after: int | None
    """When this very cost will be admitted if nothing is spent meanwhile; 0 if it is now, None if
    it never will be because it exceeds the whole limit."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Whether a hit is admitted, and why. It is never consumed in part: by all limits or none."""

    admitted: bool
    statuses: tuple[LimitStatus, ...]
    """What each limit says, in the order of the limits; empty if the storage was not asked."""
    degraded: bool = False
    """The storage was down, and this is the answer that was chosen for that case."""

    @property
    def refused_by(self) -> tuple[str, ...]:
        """Names of the enforced limits that refuse."""
        return tuple(
            status.limit.name
            for status in self.statuses
            if not status.admitted and not status.limit.shadow
        )

    @property
    def shadow_refusals(self) -> tuple[str, ...]:
        """Names of the shadow limits that would refuse if they were enforced."""
        return tuple(
            status.limit.name
            for status in self.statuses
            if status.limit.shadow and not status.admitted
        )

    @property
    def remaining(self) -> int | None:
        """The least that an enforced limit has left; None where there is none."""
        left = [status.remaining for status in self.statuses if not status.limit.shadow]
        return min(left, default=None)

    @property
    def retry_after(self) -> int | None:
        """Microseconds until all limits would admit the same cost; None if they never will."""
        waits = [
            status.retry_after
            for status in self.statuses
            if not status.admitted and not status.limit.shadow
        ]
        if not waits:
            return 0 if self.admitted else SECOND
        longest = 0
        for wait in waits:
            if wait is None:
                return None
            longest = max(longest, wait)
        return longest

    @property
    def denial(self) -> Denial | None:
        """The refusal as the value that all security packages share; None if admitted."""
        if self.admitted:
            return None
        if not self.statuses:
            return Denial(code="rate.storage_unavailable", rule="the limits could not be checked")
        wait = self.retry_after
        needed = "a smaller cost" if wait is None else f"{wait} microseconds of patience"
        names = ", ".join(self.refused_by)
        return Denial(code="rate.exceeded", rule=f"over the limit: {names}", needed=needed)
