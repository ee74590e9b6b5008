"""What a memory store holds: the log as a list, and what finds things in it.

Pure state: every method is done when it returns, and an append that is refused changed nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.store.core import (
    EMPTY,
    EVERYTHING,
    SHARED_FROM_BYTES,
    ConditionFailed,
    DuplicateEvent,
    Event,
    Head,
    NewEvent,
    StoreFull,
    UnknownParent,
    WrongHead,
    WrongVersion,
    header_bytes,
    make_digester,
    make_event,
    make_receipt,
    meets,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toka.store.core import Absent, Expected, Query, Receipt


@attrs.define(eq=False)
class _Shared:
    """A payload that several events may have."""

    payload: bytes
    last: int
    """The position of the last event that has it."""


class Log:
    """The events of a store."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.events: list[Event] = []
        self.positions: dict[str, int] = {}
        self.streams: dict[str, list[int]] = {}
        self.children: dict[int, list[int]] = {}
        self.compacted = 0
        self.stored_bytes = 0
        self._shared: dict[bytes, _Shared] = {}
        self._digest_of = make_digester()

    @property
    def shared_payloads(self) -> int:
        """Return how many payloads are stored once for all who have them."""
        return len(self._shared)

    def head(self) -> Head:
        """Return where the log ends."""
        return Head(len(self.events), self.events[-1].digest) if self.events else EMPTY

    def version(self, stream: str) -> int:
        """Return the version of a stream's last event, or 0."""
        return len(self.streams.get(stream, ()))

    # ---- appending

    def append(
        self,
        events: Sequence[NewEvent],
        streams: Mapping[str, Expected],
        head: int | None,
        absent: Sequence[Absent],
    ) -> Receipt:
        """Append events, or find the receipt of the append that this repeats.

        Raises:
            AppendRefused: Its subclasses say why.
            StoreFull: The bound is reached.
        """
        positions, size, caused = self.positions, self.stored_bytes, False
        for event in events:
            if event.id in positions:
                return self._repeated(events)
            size += len(event.payload)
            if event.parents:
                caused = True
        if len(events) > 1 and len({event.id for event in events}) < len(events):
            raise DuplicateEvent(events[0].id, "is in an append that repeats itself")
        if head is not None or streams or absent:
            self._check_expectations(streams, head, absent)
        if caused:
            self._check_parents(events)
        if size > self._max_bytes or len(self.events) + len(events) > self._max_events:
            self._check_room(len(self.events) + len(events), size)
        return self._store(events)

    def _repeated(self, events: Sequence[NewEvent]) -> Receipt:
        first = self.positions.get(events[0].id)
        if first is None:
            taken = next(event.id for event in events if event.id in self.positions)
            raise DuplicateEvent(taken, "is stored, others of this append are not")
        return self._receipt(events, first)

    def _receipt(self, events: Sequence[NewEvent], first: int) -> Receipt:
        last = first + len(events) - 1
        for event, stored in zip(events, self.events[first - 1 : last], strict=False):
            if stored.id != event.id:
                raise DuplicateEvent(event.id, "is not stored next to the others of this append")
            if not stored.repeats(event):
                raise DuplicateEvent(event.id, "is stored with other content")
        if last > len(self.events):
            raise DuplicateEvent(events[0].id, "is stored, others of this append are not")
        return make_receipt(first, last, self.events[last - 1].digest)

    def _check_expectations(
        self, streams: Mapping[str, Expected], head: int | None, absent: Sequence[Absent]
    ) -> None:
        if head is not None and head != len(self.events):
            raise WrongHead(head, len(self.events))
        for stream, expected in streams.items():
            version = self.version(stream)
            if not meets(expected, version):
                raise WrongVersion(stream, expected, version)
        for demand in absent:
            found = next(self.select(demand.query, demand.after), None)
            if found is not None:
                raise ConditionFailed(demand, found.position)

    def _check_parents(self, events: Sequence[NewEvent]) -> None:
        places = {event.id: index for index, event in enumerate(events)}
        for index, event in enumerate(events):
            for parent in event.parents:
                if parent not in self.positions and places.get(parent, index) >= index:
                    raise UnknownParent(event.id, parent)

    def _check_room(self, count: int, size: int) -> None:
        if count > self._max_events:
            raise StoreFull(count, self._max_events, "events")
        if size > self._max_bytes:
            raise StoreFull(size, self._max_bytes, "bytes of payload")

    def _store(self, events: Sequence[NewEvent]) -> Receipt:
        log, positions, streams = self.events, self.positions, self.streams
        digest_of = self._digest_of
        position, previous = len(log), log[-1].digest if log else EMPTY.digest
        for event in events:
            position += 1
            stream, payload = event.stream, event.payload
            size = len(payload)
            places = streams.get(stream)
            if places is None:
                places = streams[stream] = []
            places.append(position)
            positions[event.id] = position
            for parent in event.parents:
                self.children.setdefault(positions[parent], []).append(position)
            hashed = digest_of(payload)
            if size < SHARED_FROM_BYTES:
                self.stored_bytes += size
            else:
                payload = self._shared_payload(payload, hashed, position)
            version = len(places)
            digest = digest_of(header_bytes(event, position, version, previous, hashed))
            log.append(
                make_event(
                    event.id,
                    stream,
                    event.kind,
                    payload,
                    event.time,
                    event.parents,
                    event.intent,
                    event.actor,
                    event.token,
                    event.tags,
                    position,
                    version,
                    hashed,
                    previous,
                    digest,
                )
            )
            previous = digest
        return make_receipt(position - len(events) + 1, position, previous)

    def _shared_payload(self, payload: bytes, digest: bytes, position: int) -> bytes:
        """Return the object that all events of this payload share."""
        shared = self._shared.get(digest)
        if shared is not None:
            shared.last = position
            return shared.payload
        self._shared[digest] = _Shared(payload, position)
        self.stored_bytes += len(payload)
        return payload

    # ---- reading

    def select(
        self, where: Query = EVERYTHING, after: int = 0, *, backward: bool = False
    ) -> Iterator[Event]:
        """Yield the events of a query beyond a position."""
        for position in self._order(after, backward=backward):
            event = self.events[position - 1]
            if where.matches(event):
                yield event

    def _order(self, after: int, *, backward: bool) -> range:
        count = len(self.events)
        if backward:
            return range(min(after - 1, count) if after else count, 0, -1)
        return range(after + 1, count + 1)

    def at(self, positions: Sequence[int]) -> list[Event]:
        """Return the events at positions."""
        return [self.events[position - 1] for position in positions]

    def parents_of(self, position: int) -> list[int]:
        """Return where the direct causes of an event stand."""
        return [self.positions[parent] for parent in self.events[position - 1].parents]

    def children_of(self, position: int) -> Sequence[int]:
        """Return where the direct effects of an event stand."""
        return self.children.get(position, ())

    # ---- compacting

    def compact(self, end: int) -> tuple[int, int]:
        """Drop the payloads up to a position; return how many events had one, and its bytes."""
        count = size = 0
        for index in range(self.compacted, end):
            event = self.events[index]
            if event.payload:
                count += 1
                size += len(event.payload)
                if len(event.payload) < SHARED_FROM_BYTES:
                    self.stored_bytes -= len(event.payload)
                self.events[index] = attrs.evolve(event, payload=b"")
        self.compacted = max(self.compacted, end)
        for digest, shared in list(self._shared.items()):
            if shared.last <= self.compacted:
                self.stored_bytes -= len(shared.payload)
                del self._shared[digest]
        return count, size
