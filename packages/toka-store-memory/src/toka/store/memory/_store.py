"""The event store in memory: the semantics of the durable ones, without their durability.

Everything happens between two suspensions of one event loop, so there is no lock, and an append
never waits. What is stored is bounded; a store that is full refuses, it never forgets.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

from toka.store.core import (
    EVERYTHING,
    ORIGIN,
    Capabilities,
    ChainCheck,
    Compaction,
    Damaged,
    InvalidEvent,
    OpenRefused,
    ReadOnlyStore,
    Snapshot,
    StoreClosed,
    StoreStats,
    UnknownEvent,
    UnknownSnapshot,
    Unsupported,
    VerifyReport,
    check_event,
    check_snapshot,
    closure,
    pack_id,
    snapshot_checksum,
    split_location,
)
from toka.store.core.backend import NO_EXPECTATIONS, News, PagedStore
from toka.store.memory._log import Log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path

    from toka.store.core import (
        Absent,
        Event,
        EventStore,
        Expected,
        Head,
        NewEvent,
        Query,
        Receipt,
    )
    from toka.types import EventId

MAX_EVENTS: Final = 1_000_000
MAX_BYTES: Final = 1024 * 1024 * 1024

_SNAPSHOTS_KEPT: Final = 2

logger = logging.getLogger(__name__)


class MemoryStore(PagedStore):
    """An `EventStore` that lives as long as its process."""

    def __init__(
        self,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        read_only: bool = False,
    ) -> None:
        """Make an empty store.

        Args:
            max_events: Refuse to hold more.
            max_bytes: Refuse to hold more bytes of payload than this.
            read_only: Refuse to append.
        """
        super().__init__()
        self._log = Log(max_events, max_bytes)
        self._read_only = read_only
        self._commits = 0
        self._snapshots: dict[str, list[tuple[Snapshot, bytes]]] = {}
        self._news = News()

    @classmethod
    async def open(
        cls, location: str = "", *, read_only: bool = False, create: bool = True
    ) -> MemoryStore:
        """Make an empty store from an address.

        Args:
            location: Empty, or options: `?max_events=1000&max_bytes=1000000`.
            read_only: Refuse to append.
            create: Must be true, for there is never one to find.

        Raises:
            OpenRefused: The location names a place or has options that are no numbers.
        """
        place, options = split_location(location, ("max_events", "max_bytes"))
        if place or not create:
            raise OpenRefused(
                f"A memory store has no place to be found at: {location!r}.",
                hint="Use memory: alone, with create.",
                details={"location": location},
            )
        try:
            limits = {name: int(value) for name, value in options.items()}
        except ValueError as error:
            raise OpenRefused(f"A limit in {location!r} is not a number.") from error
        return cls(read_only=read_only, **limits)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(durable=False, backup=False, compaction=True, shared_payloads=True)

    @property
    def location(self) -> str:
        return "memory:"

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = NO_EXPECTATIONS,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        if self._closed or self._read_only:
            self._check_open()
            raise ReadOnlyStore(self.location)
        if not events:
            raise InvalidEvent("An append holds at least one event.")
        for event in events:
            check_event(event)
        log = self._log
        before = len(log.events)
        receipt = log.append(events, streams, head, absent)
        if len(log.events) > before:
            self._commits += 1
            if self._news.awaited is not None:
                self._news.wake()
        return receipt

    async def _page(
        self,
        after: int,
        limit: int,
        where: Query,
        *,
        backward: bool,
        budget: int,  # noqa: ARG002 - payloads in memory cost a page nothing
    ) -> list[Event]:
        self._check_open()
        if where == EVERYTHING and not backward:
            start = max(after, 0)
            return self._log.events[start : start + limit]
        return list(islice(self._log.select(where, after, backward=backward), limit))

    async def _stream_page(
        self,
        stream: str,
        after: int,
        limit: int,
        *,
        backward: bool,
        budget: int,  # noqa: ARG002 - payloads in memory cost a page nothing
    ) -> list[Event]:
        self._check_open()
        positions = self._log.streams.get(stream, ())
        if backward:
            last = min(after - 1, len(positions)) if after > 0 else len(positions)
            return self._log.at(positions[max(0, last - limit) : last][::-1])
        start = max(after, 0)
        return self._log.at(positions[start : start + limit])

    async def get(self, event_id: EventId) -> Event | None:
        self._check_open()
        pack_id(event_id)
        position = self._log.positions.get(event_id)
        return None if position is None else self._log.events[position - 1]

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        start = await self._position_of(event_id)
        found = closure(start, self._log.parents_of, newest_first=True, limit=limit)
        return self._log.at(found)

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        start = await self._position_of(event_id)
        found = closure(start, self._log.children_of, newest_first=False, limit=limit)
        return self._log.at(found)

    async def _position_of(self, event_id: EventId) -> int:
        event = await self.get(event_id)
        if event is None:
            raise UnknownEvent(event_id)
        return event.position

    async def head(self) -> Head:
        self._check_open()
        return self._log.head()

    async def stream_version(self, stream: str) -> int:
        self._check_open()
        return self._log.version(stream)

    async def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        while not self._closed:
            page = self._log.events[after : after + self.page_events]
            for event in page:
                yield event
            after += len(page)
            if not page:
                await self._news.wait()

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        self._check_open()
        if self._read_only:
            raise ReadOnlyStore(self.location)
        check_snapshot(snapshot, len(self._log.events))
        kept = self._snapshots.setdefault(snapshot.name, [])
        kept[:] = [each for each in kept if each[0].position != snapshot.position]
        kept.append((snapshot, snapshot_checksum(snapshot)))
        kept.sort(key=lambda each: each[0].position)
        del kept[:-_SNAPSHOTS_KEPT]

    async def load_snapshot(self, name: str) -> Snapshot | None:
        self._check_open()
        for snapshot, checksum in reversed(self._snapshots.get(name, ())):
            if snapshot_checksum(snapshot) == checksum:
                return snapshot
            logger.warning("Passing over the damaged snapshot %r at %d", name, snapshot.position)
        return None

    async def compact(self, snapshot: str) -> Compaction:
        self._check_open()
        if self._read_only:
            raise ReadOnlyStore(self.location)
        kept = self._snapshots.get(snapshot)
        if not kept:
            raise UnknownSnapshot(snapshot, self.location)
        if not any(snapshot_checksum(each) == checksum for each, checksum in kept):
            raise Damaged(self.location, f"no snapshot {snapshot!r} is what was saved")
        count, size = self._log.compact(kept[0][0].position)
        end = self._log.compacted
        return Compaction(end, self._log.events[end - 1].digest if end else ORIGIN, count, size)

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        self._check_open()
        check, total, walked = ChainCheck(self.location), len(self._log.events), 0
        while walked < total:
            self._check_open()
            check.compacted = self._log.compacted
            for event in self._log.events[walked : min(walked + 1000, total)]:
                check.add(event)
                walked += 1
            if progress is not None:
                progress(walked, total)
            await anyio.lowlevel.checkpoint()
        for name, kept in self._snapshots.items():
            for snapshot, checksum in kept:
                if snapshot_checksum(snapshot) != checksum:
                    what = (
                        f"the snapshot {name!r} of position {snapshot.position} is not as written"
                    )
                    check.problem(None, what)
        return check.report()

    async def backup(self, path: str | Path) -> Head:
        raise Unsupported(
            f"A memory store has no files to copy to {path}.",
            hint="Copy its events to a store on disk.",
        )

    async def stats(self) -> StoreStats:
        self._check_open()
        count = len(self._log.events)
        return StoreStats(
            self.location,
            count,
            self._log.stored_bytes,
            count,
            self._commits,
            waiting=0,
            shared_payloads=self._log.shared_payloads,
            compacted=self._log.compacted,
        )

    async def aclose(self) -> None:
        self._closed = True
        self._news.wake()

    def _check_open(self) -> None:
        # A child process has a copy of its own, which it may use.
        if self._closed:
            raise StoreClosed(self.location)


if TYPE_CHECKING:
    _implements: type[EventStore] = MemoryStore
