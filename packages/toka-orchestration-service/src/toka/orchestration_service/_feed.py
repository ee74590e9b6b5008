"""The newest events as they are sent, written once for all who listen.

Ten times a second at most those who listen are told that there is something new. Each then takes
all that came since, in one piece; whoever stands where others stand gets the very same bytes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import msgspec

from toka.orchestration_service._projection import events_after
from toka.orchestration_service._render import render_event

if TYPE_CHECKING:
    from toka.runtime import Logged, Runtime

KEPT: Final = 8_192
"""Events in memory; whoever is further behind reads the log."""
PACE_SECONDS: Final = 0.1
"""The least time between two tellings; the first event after a silence is told at once."""


@attrs.frozen
class Choice:
    """Which events somebody wants."""

    kinds: tuple[str, ...] = ()
    """Whole kinds, or what they begin with, each with a dot at its end."""
    run: str = ""

    def takes(self, kind: str, intent: str) -> bool:
        """Say whether an event is wanted."""
        below = f"{kind}."
        fits = not self.kinds or any(below.startswith(wanted) for wanted in self.kinds)
        return fits and (not self.run or intent == self.run)


@attrs.define
class _Frame:
    """An event, written when somebody first wants it."""

    logged: Logged
    written: bytes = b""

    @property
    def data(self) -> bytes:
        if not self.written:
            self.written = frame_data(self.logged)
        return self.written


@attrs.frozen
class Piece:
    """What came since."""

    data: bytes
    position: int
    """Of the last event that was looked at."""


class Feed:
    """Follows a runtime's log from its end on.

    Attributes:
        position: Of the newest event in memory.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.position = runtime.position
        self._runtime = runtime
        self._frames: deque[_Frame] = deque(maxlen=KEPT)
        self._pieces: dict[tuple[int, Choice], Piece] = {}
        self._arrived = anyio.Event()
        self._told = anyio.Event()

    async def follow(self) -> None:
        """Take up events until cancelled, and tell of them.

        Raises:
            StoreError: The log cannot be read.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell)
            async with events_after(self._runtime, self.position) as events:
                async for logged in events:
                    self._frames.append(_Frame(logged))
                    self.position = logged.position
                    self._arrived.set()
            group.cancel_scope.cancel()

    async def _tell(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            self._pieces.clear()
            self._told.set()
            self._told = anyio.Event()
            await anyio.sleep(PACE_SECONDS)

    def reaches(self, position: int) -> bool:
        """Say whether all that follows a position is in memory."""
        oldest = self._frames[0].logged.position if self._frames else self.position + 1
        return position >= oldest - 1

    def after(self, position: int, choice: Choice) -> Piece:
        """Return what came after a position that memory reaches."""
        known = self._pieces.get((position, choice))
        if known is None:
            known = self._pieces[position, choice] = self._cut(position, choice)
        return known

    def _cut(self, position: int, choice: Choice) -> Piece:
        wanted: list[bytes] = []
        for frame in reversed(self._frames):
            logged = frame.logged
            if logged.position <= position:
                break
            if choice.takes(logged.event.body.kind, logged.event.intent):
                wanted.append(frame.data)
        return Piece(b"".join(reversed(wanted)), max(position, self.position))

    async def wait(self, position: int) -> None:
        """Wait until there may be something after a position."""
        if self.position <= position:
            await self._told.wait()
        else:
            # Told of already; all others are sent theirs first.
            await anyio.sleep(PACE_SECONDS)


def frame_data(logged: Logged) -> bytes:
    """Return an event as a stream of server-sent events has it."""
    data = msgspec.json.encode(render_event(logged))
    return b"id: %d\ndata: %b\n\n" % (logged.position, data)
