"""The questions that a store answers, each from one frozen view of the engine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from toka.store.core import (
    EMPTY,
    EVERYTHING,
    ORIGIN,
    Damaged,
    Head,
    Snapshot,
    UnknownEvent,
    closure,
    pack_id,
    snapshot_checksum,
)
from toka.store.sled._keys import (
    CAUSE,
    EVENT,
    ID,
    NUMBER_BYTES,
    SNAPSHOT,
    STREAM,
    beyond,
    event_key,
    last_number,
    number,
    read_number,
    read_text,
    span,
    text,
)
from toka.store.sled._records import DIGEST_BYTES, RecordDecoder
from toka.store.sled._select import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toka.store.core import Event, Query
    from toka.store.sled._engine import View
    from toka.types import EventId

logger = logging.getLogger(__name__)

_snapshot: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes])


class Reader:
    """Answers questions from one view; belongs to one thread."""

    def __init__(self, view: View, location: str) -> None:
        self.view = view
        self._location = location
        self._decoder = RecordDecoder(location, view)

    def event(self, position: int, data: bytes) -> Event:
        """Return the event of a record.

        Raises:
            Damaged: It is not what was written at `position`.
        """
        return self._decoder.event(position, data)

    def head(self) -> Head:
        """Return where the log ends."""
        for key, data in self.view.scan(EVENT, beyond(EVENT), backward=True):
            return Head(last_number(key), data[:DIGEST_BYTES])
        return EMPTY

    def digest_at(self, position: int) -> bytes | None:
        """Return the digest of the event at `position`, unchecked, or None."""
        if position <= 0:
            return ORIGIN
        data = self.view.get(event_key(position))
        return None if data is None else data[:DIGEST_BYTES]

    # ---- the log

    def page(
        self, after: int, limit: int, where: Query, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return the events beyond a position that a query selects.

        Args:
            after: As in `EventStore.read`.
            limit: The most events.
            where: The query.
            backward: From high positions to low.
            budget: Bytes of payload after which to stop early.
        """
        if where != EVERYTHING:
            found = self.selected(after, where, backward=backward)
        elif backward:
            found = self._backward(after)
        else:
            found = self.chain(after)
        return _take(found, limit, budget)

    def chain(self, after: int, last: int | None = None) -> Iterator[Event]:
        """Yield the events after a position, each linked to the one before.

        Args:
            after: The position.
            last: The last position of interest; the end of the log if None.

        Raises:
            Damaged: One is missing or not what was written.
        """
        position = max(after, 0)
        previous = self.digest_at(position)
        decode, start = self._decoder.event, event_key(position + 1)
        stop = beyond(EVENT) if last is None else event_key(last + 1)
        for key, data in self.view.scan(start, stop):
            position += 1
            try:
                event = decode(position, data)
            except Damaged:
                if last_number(key) != position:
                    raise self._missing(position) from None
                raise
            if event.previous != previous:
                if previous is None:
                    raise self._missing(position - 1)
                raise self._unlinked(position)
            yield event
            previous = event.digest

    def _backward(self, after: int) -> Iterator[Event]:
        later: Event | None = None
        for key, data in self.view.scan(*span(EVENT, after, backward=True), backward=True):
            position = last_number(key)
            event = self._decoder.event(position, data)
            if later is not None and later.position != position + 1:
                raise self._missing(position + 1)
            if later is not None and later.previous != event.digest:
                raise self._unlinked(position + 1)
            yield event
            later = event
        if later is not None and later.position != 1:
            raise self._missing(later.position - 1)

    def selected(self, after: int, where: Query, *, backward: bool = False) -> Iterator[Event]:
        """Yield the events beyond a position that a query selects."""
        end = self.head().position
        matches = where.matches
        for position in Selection(self.view, where, after, end, backward=backward).positions():
            event = self.at(position)
            if matches(event):
                yield event

    # ---- streams

    def stream(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return the events of a stream beyond a version."""
        return _take(self._stream(stream, after, backward=backward), limit, budget)

    def _stream(self, stream: str, after: int, *, backward: bool) -> Iterator[Event]:
        keys = span(text(STREAM, stream), after, backward=backward)
        step = -1 if backward else 1
        expected = None if backward else max(after, 0) + 1
        for key, value in self.view.scan(*keys, backward=backward):
            event = self.at(read_number(value))
            version = last_number(key)
            if (event.stream, event.version) != (stream, version) or expected not in {
                None,
                version,
            }:
                what = f"the index of its stream {stream!r} leads astray"
                raise Damaged(self._location, what, position=event.position)
            yield event
            expected = version + step

    def version(self, stream: str) -> int:
        """Return the version of a stream's last event, or 0."""
        prefix = text(STREAM, stream)
        for key, _ in self.view.scan(*span(prefix, 0, backward=True), backward=True):
            return last_number(key)
        return 0

    # ---- single events

    def at(self, position: int) -> Event:
        """Return the event at a position.

        Raises:
            Damaged: It is missing, or not what was written.
        """
        data = self.view.get(event_key(position))
        if data is None:
            raise self._missing(position)
        return self._decoder.event(position, data)

    def position(self, identifier: bytes) -> int | None:
        """Return the position of an event, or None."""
        value = self.view.get(ID + identifier)
        return None if value is None else read_number(value)

    def get(self, identifier: bytes) -> Event | None:
        """Return the event of an identifier, or None.

        Raises:
            Damaged: The event is not what was written.
        """
        position = self.position(identifier)
        if position is None:
            return None
        event = self.at(position)
        if pack_id(event.id) != identifier:
            raise Damaged(
                self._location, "the index of identifiers leads astray", position=position
            )
        return event

    # ---- causes and effects

    def related(
        self, event_id: EventId, identifier: bytes, limit: int | None, *, causes: bool
    ) -> list[Event]:
        """Return the causes of an event, or its effects, nearest in the log first.

        Raises:
            UnknownEvent: It is not in the log.
            Damaged: An event is not what was written.
        """
        start = self.position(identifier)
        if start is None:
            raise UnknownEvent(event_id)
        neighbours = self._causes if causes else self._effects
        found = closure(start, neighbours, newest_first=causes, limit=limit)
        return [self.at(position) for position in found]

    def _causes(self, position: int) -> Iterator[int]:
        for parent in self.at(position).parents:
            place = self.position(pack_id(parent))
            if place is None:
                raise Damaged(self._location, f"its parent {parent} is missing", position=position)
            yield place

    def _effects(self, position: int) -> Iterator[int]:
        for key, _ in self.view.scan(*span(CAUSE + number(position), 0, backward=False)):
            yield last_number(key)

    # ---- snapshots

    def snapshot(self, name: str) -> Snapshot | None:
        """Return the newest sound snapshot of a name."""
        for position, data in self.snapshots(name):
            snapshot = read_snapshot(name, position, data)
            if snapshot is not None:
                return snapshot
            logger.warning(
                "%s: passing over the damaged snapshot %r of position %d",
                self._location,
                name,
                position,
            )
        return None

    def snapshots(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Yield the positions of the snapshots of a name and what is stored, the newest first."""
        prefix = text(SNAPSHOT, name)
        stop = prefix + b"\x80"
        for key, data in self.view.scan(prefix, stop, backward=True):
            yield last_number(key), data

    def snapshot_names(self) -> set[str]:
        """Return the names under which there are snapshots."""
        scan = self.view.scan(SNAPSHOT, beyond(SNAPSHOT))
        return {read_text(key) for key, _ in scan if len(key) > len(SNAPSHOT) + NUMBER_BYTES}

    def _missing(self, position: int) -> Damaged:
        return Damaged(self._location, "an event is missing", position=position)

    def _unlinked(self, position: int) -> Damaged:
        what = "the link to the event before does not hold"
        return Damaged(self._location, what, position=position)


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """Return what is stored of a snapshot, with its checksum."""
    return msgspec.msgpack.encode((snapshot_checksum(snapshot), snapshot.digest, snapshot.data))


def read_snapshot(name: str, position: int, data: bytes) -> Snapshot | None:
    """Return a stored snapshot, or None if it is not what was written."""
    try:
        checksum, digest, content = _snapshot.decode(data)
    except msgspec.DecodeError:
        return None
    snapshot = Snapshot(name, position, content, digest)
    return snapshot if snapshot_checksum(snapshot) == checksum else None


def _take(events: Iterable[Event], limit: int, budget: int) -> list[Event]:
    """Return at least one event, and more up to the limit and while payloads fit the budget."""
    taken: list[Event] = []
    for event in events:
        taken.append(event)
        limit -= 1
        budget -= len(event.payload)
        if limit <= 0 or budget <= 0:
            break
    return taken
