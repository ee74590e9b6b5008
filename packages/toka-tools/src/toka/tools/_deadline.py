"""A time limit for work that runs in a thread, where nobody can interrupt it but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.tools._errors import ToolTimeoutError
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext
    from toka.types import Clock


@attrs.frozen
class Deadline:
    """A moment after which work must stop."""

    clock: Clock
    at: int
    timeout_ns: int

    @classmethod
    def of(cls, context: ToolContext) -> Deadline:
        """Return the deadline of a call that begins now."""
        return cls.within(None, context)

    @classmethod
    def within(cls, seconds: float | None, context: ToolContext) -> Deadline:
        """Return the deadline of a call that begins now and asked for so many seconds, if any."""
        timeout_ns = shorter(seconds, context)
        return cls(context.clock, context.clock.monotonic() + timeout_ns, timeout_ns)

    @property
    def left_ns(self) -> int:
        """Nanoseconds that are left."""
        return max(0, self.at - self.clock.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.clock.monotonic() > self.at

    def check(self) -> None:
        """Raise ToolTimeoutError once the time is up."""
        if self.passed:
            raise timed_out(self.timeout_ns)


def shorter(seconds: float | None, context: ToolContext) -> int:
    """Return the nanoseconds of a call that asked for so many seconds, or for nothing."""
    if seconds is None:
        return context.timeout_ns
    return min(context.timeout_ns, int(seconds * NANOSECONDS))


def timed_out(timeout_ns: int, details: dict[str, int] | None = None) -> ToolTimeoutError:
    """Return the error of a call that took longer than it may."""
    return ToolTimeoutError(
        f"The call took longer than {timeout_ns / NANOSECONDS:g} s and was ended.",
        hint="Ask for less, or for more time.",
        details={"timeout_ns": timeout_ns, **(details or {})},
    )
