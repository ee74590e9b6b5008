"""The event store in memory: the semantics of the durable ones, without their durability.

Everything happens between two suspensions of one event loop, so there is no lock, and an append
never waits. What is stored is bounded; a store that is full refuses, it never forgets.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from toka.store.core import (
    EMPTY,
    Capabilities,
    ChainCheck,
    DuplicateEvent,
    Event,
    Head,
    InvalidEvent,
    NewEvent,
    OpenRefused,
    ReadOnlyStore,
    Receipt,
    Snapshot,
    StoreClosed,
    StoreFull,
    StoreStats,
    UnknownEvent,
    UnknownParent,
    Unsupported,
    VerifyReport,
    WrongHead,
    WrongVersion,
    check_event,
    check_snapshot,
    closure,
    header_digest,
    make_event,
    meets,
    pack_id,
    payload_digest,
    snapshot_checksum,
    split_location,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from toka.store.core import EventStore, Expected
    from toka.types import EventId

MAX_EVENTS: Final = 1_000_000
MAX_BYTES: Final = 1024 * 1024 * 1024

_SNAPSHOTS_KEPT: Final = 2
_PAGE: Final = 512
_NOTHING: Final[Mapping[str, Expected]] = {}

logger = logging.getLogger(__name__)


class MemoryStore:
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
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._read_only = read_only
        self._closed = False
        self._events: list[Event] = []
        self._bytes = 0
        self._commits = 0
        self._positions: dict[str, int] = {}
        self._streams: dict[str, list[int]] = {}
        self._children: dict[int, list[int]] = {}
        self._snapshots: dict[str, list[tuple[Snapshot, bytes]]] = {}
        self._news: anyio.Event | None = None

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
        return Capabilities(durable=False, backup=False)

    @property
    def location(self) -> str:
        return "memory:"

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = _NOTHING,
        head: int | None = None,
    ) -> Receipt:
        self._check_open()
        if self._read_only:
            raise ReadOnlyStore(self.location)
        if not events:
            raise InvalidEvent("An append holds at least one event.")
        for event in events:
            check_event(event)
        receipt = self._repeated(events)
        if receipt is not None:
            return receipt
        self._check_expectations(streams, head)
        self._check_parents(events)
        self._check_room(events)
        return self._store(self._chained(events))

    def _repeated(self, events: Sequence[NewEvent]) -> Receipt | None:
        ids = [event.id for event in events]
        if self._positions.keys().isdisjoint(ids):
            if len(ids) > 1 and len(set(ids)) != len(ids):
                raise DuplicateEvent(ids[0], "is in an append that repeats itself")
            return None
        first = self._positions.get(ids[0])
        if first is None:
            taken = next(event_id for event_id in ids if event_id in self._positions)
            raise DuplicateEvent(taken, "is stored, others of this append are not")
        return self._receipt(events, first)

    def _receipt(self, events: Sequence[NewEvent], first: int) -> Receipt:
        for event, stored in zip(events, self._events[first - 1 :], strict=False):
            if stored.id != event.id:
                raise DuplicateEvent(event.id, "is not stored next to the others of this append")
            if stored.new() != event:
                raise DuplicateEvent(event.id, "is stored with other content")
        last = first + len(events) - 1
        if last > len(self._events):
            raise DuplicateEvent(events[0].id, "is stored, others of this append are not")
        return Receipt(first, last, self._events[last - 1].digest)

    def _check_expectations(self, streams: Mapping[str, Expected], head: int | None) -> None:
        if head is not None and head != len(self._events):
            raise WrongHead(head, len(self._events))
        for stream, expected in streams.items():
            version = len(self._streams.get(stream, ()))
            if not meets(expected, version):
                raise WrongVersion(stream, expected, version)

    def _check_parents(self, events: Sequence[NewEvent]) -> None:
        if not any(event.parents for event in events):
            return
        places = {event.id: index for index, event in enumerate(events)}
        for index, event in enumerate(events):
            for parent in event.parents:
                if parent not in self._positions and places.get(parent, index) >= index:
                    raise UnknownParent(event.id, parent)

    def _check_room(self, events: Sequence[NewEvent]) -> None:
        count = len(self._events) + len(events)
        if count > self._max_events:
            raise StoreFull(count, self._max_events, "events")
        size = self._bytes + sum([len(event.payload) for event in events])
        if size > self._max_bytes:
            raise StoreFull(size, self._max_bytes, "bytes of payload")

    def _chained(self, events: Sequence[NewEvent]) -> list[Event]:
        previous = self._events[-1].digest if self._events else EMPTY.digest
        position = len(self._events)
        versions: dict[str, int] = {}
        chained: list[Event] = []
        for event in events:
            position += 1
            stream = event.stream
            version = versions.get(stream)
            if version is None:
                version = len(self._streams.get(stream, ()))
            versions[stream] = version = version + 1
            payload = payload_digest(event.payload)
            digest = header_digest(event, position, version, previous, payload)
            chained.append(
                make_event(
                    event.id,
                    stream,
                    event.kind,
                    event.payload,
                    event.time,
                    event.parents,
                    event.intent,
                    event.actor,
                    event.token,
                    event.tags,
                    position,
                    version,
                    payload,
                    previous,
                    digest,
                )
            )
            previous = digest
        return chained

    def _store(self, events: list[Event]) -> Receipt:
        for event in events:
            self._positions[event.id] = event.position
            self._streams.setdefault(event.stream, []).append(event.position)
            for parent in event.parents:
                self._children.setdefault(self._positions[parent], []).append(event.position)
            self._bytes += len(event.payload)
        self._events += events
        self._commits += 1
        self._wake()
        return Receipt(events[0].position, events[-1].position, events[-1].digest)

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def read(
        self,
        after: int = 0,
        *,
        limit: int | None = None,
        kinds: str | tuple[str, ...] = "",
        intent: str = "",
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        while limit is None or limit > 0:
            size = _PAGE if limit is None else min(limit, _PAGE)
            page = await self.read_page(after, size, kinds=kinds, intent=intent, backward=backward)
            for event in page:
                yield event
            if len(page) < size:
                return
            after = page[-1].position
            limit = None if limit is None else limit - size

    async def read_page(
        self,
        after: int,
        limit: int,
        *,
        kinds: str | tuple[str, ...] = "",
        intent: str = "",
        backward: bool = False,
    ) -> list[Event]:
        self._check_open()
        if limit <= 0:
            return []
        everything = not intent and kinds == ""
        if everything and not backward:
            return self._events[after : after + limit]
        found: list[Event] = []
        for position in self._order(after, backward=backward):
            event = self._events[position - 1]
            if event.kind.startswith(kinds) and (not intent or event.intent == intent):
                found.append(event)
                if len(found) == limit:
                    break
        return found

    def _order(self, after: int, *, backward: bool) -> range:
        if backward:
            return range(min(after - 1, len(self._events)) if after else len(self._events), 0, -1)
        return range(after + 1, len(self._events) + 1)

    async def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        step = -1 if backward else 1
        version = after_version + step
        if backward:
            last = await self.stream_version(stream)
            version = min(version, last) if after_version else last
        while limit is None or limit > 0:
            self._check_open()
            positions = self._streams.get(stream, ())
            if not 0 < version <= len(positions):
                return
            yield self._events[positions[version - 1] - 1]
            version += step
            limit = None if limit is None else limit - 1

    async def get(self, event_id: EventId) -> Event | None:
        self._check_open()
        pack_id(event_id)
        position = self._positions.get(event_id)
        return None if position is None else self._events[position - 1]

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        start = await self._position_of(event_id)
        found = closure(start, self._parents_of, newest_first=True, limit=limit)
        return [self._events[position - 1] for position in found]

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        start = await self._position_of(event_id)
        found = closure(start, self._children_of, newest_first=False, limit=limit)
        return [self._events[position - 1] for position in found]

    async def _position_of(self, event_id: EventId) -> int:
        event = await self.get(event_id)
        if event is None:
            raise UnknownEvent(event_id)
        return event.position

    def _parents_of(self, position: int) -> list[int]:
        return [self._positions[parent] for parent in self._events[position - 1].parents]

    def _children_of(self, position: int) -> Sequence[int]:
        return self._children.get(position, ())

    async def head(self) -> Head:
        self._check_open()
        if not self._events:
            return EMPTY
        return Head(len(self._events), self._events[-1].digest)

    async def stream_version(self, stream: str) -> int:
        self._check_open()
        return len(self._streams.get(stream, ()))

    async def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        while not self._closed:
            page = self._events[after : after + _PAGE]
            for event in page:
                yield event
            after += len(page)
            if not page:
                if self._news is None:
                    self._news = anyio.Event()
                await self._news.wait()

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        self._check_open()
        if self._read_only:
            raise ReadOnlyStore(self.location)
        check_snapshot(snapshot, len(self._events))
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

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        self._check_open()
        check, total, walked = ChainCheck(self.location), len(self._events), 0
        while walked < total:
            for event in self._events[walked : min(walked + 1000, total)]:
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
        count = len(self._events)
        return StoreStats(self.location, count, self._bytes, count, self._commits, waiting=0)

    async def aclose(self) -> None:
        self._closed = True
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(self.location)


if TYPE_CHECKING:
    _implements: type[EventStore] = MemoryStore
