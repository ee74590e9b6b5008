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
        return cls(
            context.clock, context.clock.monotonic() + context.timeout_ns, context.timeout_ns
        )

    def check(self) -> None:
        """Raise ToolTimeoutError once the time is up."""
        if self.clock.monotonic() > self.at:
            raise timed_out(self.timeout_ns)


def timed_out(timeout_ns: int, details: dict[str, int] | None = None) -> ToolTimeoutError:
    """Return the error of a call that took longer than it may."""
    return ToolTimeoutError(
        f"The call took longer than {timeout_ns / NANOSECONDS:g} s and was ended.",
        hint="Ask for less, or for more time.",
        details={"timeout_ns": timeout_ns, **(details or {})},
    )
