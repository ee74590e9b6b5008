"""How subscribers hear of commits, on asyncio and on trio."""

from __future__ import annotations

import anyio


class News:
    """Wakes all who wait, once for each time."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self.awaited: anyio.Event | None = None
        """Set by the next `wake`; None while nobody waits."""

    async def wait(self) -> None:
        """Wait until the next `wake`."""
        if self.awaited is None:
            self.awaited = anyio.Event()
        await self.awaited.wait()

    def wake(self) -> None:
        """Wake all who wait now."""
        if self.awaited is not None:
            self.awaited.set()
            self.awaited = None
