"""The picture that every read is served from: the log, folded by one task as it grows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import anyio

from toka.orchestration import Runs
from toka.orchestration_service._errors import Starting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.runtime import Logged, Runtime

PATIENCE_SECONDS: Final = 5.0
"""How long a read waits for the projection to reach what is committed."""
NOBODY: Final = 1 << 63
"""Beyond every position."""


class Projection:
    """Follows a runtime's log.

    Attributes:
        runs: What the log amounts to, up to `runs.position`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runs = Runs()
        self._runtime = runtime
        self._moved = anyio.Event()
        self._wanted = NOBODY
        """The first position that somebody waits for."""

    async def follow(self) -> None:
        """Fold the log until the runtime is closed.

        Raises:
            StoreError: The log cannot be read.
        """
        async with events_after(self._runtime, 0) as events:
            async for logged in events:
                self.runs.apply(logged)
                if logged.position >= self._wanted:
                    self._tell()

    async def current(self) -> Runs:
        """Return the runs with everything that is committed now, so that a caller sees its writes.

        Raises:
            Starting: The log is longer than could be read so far.
        """
        wanted = self._runtime.position
        if self.runs.position >= wanted:
            return self.runs
        with anyio.move_on_after(PATIENCE_SECONDS):
            while self.runs.position < wanted:
                # All who wait wait for one event: whoever replaced it would strand the others.
                self._wanted = min(self._wanted, wanted)
                await self._moved.wait()
        if self.runs.position < wanted:
            raise Starting(
                f"The service has read the log up to {self.runs.position} of {wanted}.",
                hint="Ask again shortly.",
            )
        return self.runs

    def _tell(self) -> None:
        self._wanted = NOBODY
        self._moved.set()
        self._moved = anyio.Event()


@asynccontextmanager
async def events_after(runtime: Runtime, position: int) -> AsyncGenerator[AsyncGenerator[Logged]]:
    """Subscribe to what follows a position, and end the subscription on leaving."""
    # It is a generator, whatever the annotation says: left alone, it would be ended by the garbage
    # collector, at any time and in any task.
    events = cast("AsyncGenerator[Logged]", runtime.subscribe(position))
    try:
        yield events
    finally:
        await events.aclose()
