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


class Projection:
    """Follows a runtime's log.

    Attributes:
        runs: What the log amounts to, up to `runs.position`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runs = Runs()
        self._runtime = runtime
        self._moved = anyio.Event()

    async def follow(self) -> None:
        """Fold the log until the runtime is closed.

        Raises:
            StoreError: The log cannot be read.
        """
        async with events_after(self._runtime, 0) as events:
            async for logged in events:
                self.runs.apply(logged)
                self._moved.set()

    async def current(self) -> Runs:
        """Return the runs with everything that is committed now, so that a caller sees its writes.

        Raises:
            Starting: The log is longer than could be read so far.
        """
        wanted = self._runtime.position
        with anyio.move_on_after(PATIENCE_SECONDS):
            while self.runs.position < wanted:
                self._moved = anyio.Event()
                await self._moved.wait()
        if self.runs.position < wanted:
            raise Starting(
                f"The service has read the log up to {self.runs.position} of {wanted}.",
                hint="Ask again shortly.",
            )
        return self.runs


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
