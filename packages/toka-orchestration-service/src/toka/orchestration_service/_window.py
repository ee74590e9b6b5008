"""A window of the log: so many events of a choice, found with so much work and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.runtime import from_store
from toka.store.core import EVERYTHING, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.runtime import Logged, Runtime
    from toka.store.core import Event, EventStore
    from toka.types import AgentId, EntityId

MAX_SCANNED: Final = 2_000
"""Events that one request looks at; with more to look at, it says how to go on."""
MAX_NANOSECONDS: Final = 100_000_000
"""How long one request looks, whatever it has found; with more to look at, it says how to go on."""
_CHUNK: Final = 250


@attrs.frozen
class Window:
    """Which events are wanted."""

    limit: int
    cursor: int = 0
    """A position, or of one stream a version: what `next` was; 0 to begin."""
    backward: bool = False
    intent: EntityId | None = None
    stream: AgentId | None = None
    kinds: tuple[str, ...] = ()
    """As a query of the store has them."""
    first: int = 0
    """Position before which there is nothing to look for."""
    last: int | None = None
    """Position behind which there is nothing to look for."""


@attrs.frozen
class Found:
    """What was found."""

    asked: Window
    events: tuple[Logged, ...]
    next: str | None
    """The cursor to go on from; None where the log ends in that direction."""
    scanned: int
    reached: int
    """The cursor behind which a later look finds what has come since."""


async def read_window(
    runtime: Runtime,
    window: Window,
    *,
    sees: Callable[[Event], bool] = lambda _: True,
    takes: Callable[[Logged], bool] = lambda _: True,
) -> Found:
    """Read a window of what is committed.

    Args:
        runtime: Whose log it is.
        window: What is wanted.
        sees: Whether an event as it is stored may be wanted: asked first, for to decode one takes
            longer than to look into it.
        takes: Whether an event is wanted.

    Raises:
        StoreError: The log cannot be read.
    """
    reader = _Reader(runtime, window, sees, takes)
    while not reader.is_done:
        await reader.read()
    return reader.result()


async def version_at(store: EventStore, stream: str, position: int) -> int:
    """Return the version that the first event of a stream from a position on has.

    A stream tells no positions but those of its events, so it is halved until one is found.

    Raises:
        StoreError: The log cannot be read.
    """
    newest = await _event_at(store, stream, 0, backward=True)
    low, high = 1, 1 if newest is None else newest.version + 1
    while low < high:
        middle = (low + high) // 2
        found = await _event_at(store, stream, middle - 1)
        if found is None or found.position >= position:
            high = middle
        else:
            low = found.version + 1
    return low


async def _event_at(
    store: EventStore, stream: str, after: int, *, backward: bool = False
) -> Event | None:
    reading = store.read_stream(stream, after_version=after, limit=1, backward=backward)
    try:
        return await anext(reading, None)
    finally:
        await reading.aclose()


@attrs.define
class _Reader:
    runtime: Runtime
    asked: Window
    sees: Callable[[Event], bool]
    takes: Callable[[Logged], bool]
    end: int = attrs.field(init=False)
    cursor: int = attrs.field(init=False)
    newest: int = 0
    until: int = attrs.field(init=False)
    """When to look no further, by the monotonic clock."""
    found: list[Logged] = attrs.Factory(list["Logged"])
    scanned: int = 0
    at_end: bool = False

    def __attrs_post_init__(self) -> None:
        last = self.asked.last
        self.end = self.runtime.position if last is None else min(last, self.runtime.position)
        self.cursor = self.asked.cursor
        self.until = self.runtime.clock.monotonic() + MAX_NANOSECONDS

    @property
    def is_done(self) -> bool:
        enough = self.scanned >= MAX_SCANNED or len(self.found) >= self.asked.limit
        return self.at_end or enough or (self.scanned > 0 and self._took_long)

    @property
    def _took_long(self) -> bool:
        return self.runtime.clock.monotonic() >= self.until

    async def read(self) -> None:
        """Look at the next events."""
        # One more than is wanted, to know whether there is more.
        wanted = min(_CHUNK, MAX_SCANNED - self.scanned)
        if not self.scanned:
            wanted = min(wanted, self.asked.limit + 1)
        chunk = await _chunk(self.runtime, self.asked, self.cursor, wanted)
        self.at_end = len(chunk) < wanted
        for event in chunk:
            # What is on disk, and not yet visible to anybody else, does not count.
            if event.position > self.end:
                self.at_end = self.at_end or not self.asked.backward
                self._pass_by(event)
            elif event.position < self.asked.first:
                self.at_end = self.at_end or self.asked.backward
                self._pass_by(event)
            elif len(self.found) == self.asked.limit:
                self.at_end = False
                return
            else:
                self._look_at(event)

    def _pass_by(self, event: Event) -> None:
        """Get on where there is nothing to look for, which counts as work too."""
        self.scanned += 1
        if self.asked.backward == (event.position > self.end):
            self.cursor = _cursor_of(self.asked, event)

    def _look_at(self, event: Event) -> None:
        self.scanned += 1
        self.cursor = _cursor_of(self.asked, event)
        self.newest = max(self.newest, self.cursor)
        if not event.compacted and _fits(self.asked, event) and self.sees(event):
            logged = from_store(event)
            if self.takes(logged):
                self.found.append(logged)

    def result(self) -> Found:
        """Return what was found so far."""
        onward = None if self.at_end else str(self.cursor)
        return Found(self.asked, tuple(self.found), onward, self.scanned, self._reached())

    def _reached(self) -> int:
        is_log = self.asked.stream is None
        if self.asked.backward:
            return self.end if is_log else self.newest
        return max(self.cursor, self.end) if is_log and self.at_end else self.cursor


def _cursor_of(window: Window, event: Event) -> int:
    return event.position if window.stream is None else event.version


def _fits(window: Window, event: Event) -> bool:
    if window.stream is None:
        return True
    wanted = Query(kinds=window.kinds) if window.kinds else EVERYTHING
    return wanted.matches(event)


async def _chunk(runtime: Runtime, window: Window, cursor: int, limit: int) -> list[Event]:
    store = runtime.store
    if window.stream is None:
        where = Query(kinds=window.kinds, intent=window.intent or "")
        return await store.read_page(cursor, limit, where=where, backward=window.backward)
    reading = store.read_stream(
        window.stream, after_version=cursor, limit=limit, backward=window.backward
    )
    try:
        return [event async for event in reading]
    finally:
        await reading.aclose()
