"""Time as a dependency: whoever needs the time is handed a `Clock`."""

from __future__ import annotations

import time
from typing import Protocol

NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """Tells the time of day and a time that never goes backwards, both in integer nanoseconds."""

    def now(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        ...

    def monotonic(self) -> int:
        """Return nanoseconds since an arbitrary start; never decreases."""
        ...

    async def sleep(self, nanoseconds: int) -> None:
        """Wait until `monotonic` has advanced by `nanoseconds`."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, nanoseconds: int) -> None:
        import anyio  # noqa: PLC0415 - anyio costs 40 ms at import, and most users never sleep here

        await anyio.sleep(nanoseconds / NANOSECONDS)
