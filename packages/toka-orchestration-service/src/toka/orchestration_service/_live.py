"""What of a service may be changed while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs

if TYPE_CHECKING:
    from pathlib import Path

RUNS_AT_ONCE: Final = 64
"""Runs that go on at the same time, unless something else is said; the rest wait."""
UNFINISHED_RUNS: Final = 1_000
"""Runs that go on or wait, unless something else is said; further ones are refused."""


@attrs.define(eq=False)
class Live:
    """Bounds and places that hold from the moment at which they are set, for what begins then.

    Attributes:
        workspace: What paths of specifications are relative to; the service's own if None.
        unfinished_runs: Runs that go on or wait; further ones are refused.
        limiter: Lets only so many runs go on at once.
    """

    workspace: Path | None = None
    unfinished_runs: int = UNFINISHED_RUNS
    limiter: anyio.CapacityLimiter = attrs.field(
        factory=lambda: anyio.CapacityLimiter(RUNS_AT_ONCE), repr=False
    )

    @property
    def runs_at_once(self) -> int:
        """How many runs go on at the same time; fewer stop none that goes on."""
        return int(self.limiter.total_tokens)

    @runs_at_once.setter
    def runs_at_once(self, count: int) -> None:
        self.limiter.total_tokens = count
