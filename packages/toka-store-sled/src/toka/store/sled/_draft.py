"""A commit in the making: appends, checked and turned into keys, one after the other.

Each append is judged by the state that the one before it will leave. The common path asks the
engine nothing: versions and recent identifiers are in memory, and an identifier above all stored
ones cannot be taken. Every cache says what is committed or will be by the draft in hand, so a draft
that is thrown away empties them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.store.core import (
    SHARED_FROM_BYTES,
    ConditionFailed,
    DuplicateEvent,
    Head,
    UnknownParent,
    WrongHead,
    WrongVersion,
    header_bytes,
    make_digester,
    make_receipt,
    meets,
    pack_id,
)
from toka.store.sled._keys import (
    CAUSE,
    EVENT,
    ID,
    INTENT,
    KIND,
    PAYLOAD,
    REFERENCE,
    STREAM,
    TAG,
    ZONE,
    ZONE_BITS,
    beyond,
    number,
    pair,
    split_pair,
    text,
)
from toka.store.sled._reader import Reader
from toka.store.sled._records import HERE, SHARED, prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Absent, NewEvent, Receipt
    from toka.store.core.backend import Append
    from toka.store.sled._engine import Engine

_CACHED: Final = 50_000
"""Entries of a cache, which is emptied when it has more."""

_NO_TIMES: Final = (2**63, 0)
"""The earliest and latest time of a zone without events."""


class _Prefixes(dict[str, bytes]):
    """The beginnings of the keys of texts, which are mostly the same few."""

    def __init__(self, prefix: bytes) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, value: str) -> bytes:
        if len(self) > _CACHED:
            self.clear()
        key = self[value] = text(self._prefix, value)
        return key


class Draft:
    """Keys to be committed together, and the state of the log after them."""

    def __init__(self, engine: Engine, location: str) -> None:
        self._engine = engine
        self._location = location
        self._streams, self._kinds = _Prefixes(STREAM), _Prefixes(KIND)
        self._intents, self._tags = _Prefixes(INTENT), _Prefixes(TAG)
        self._digest_of = make_digester()
        self._stored: Reader | None = None
        self.reset()

    def reset(self) -> None:
        """Throw the draft away and learn the state from the engine."""
        self.look_again()
        head = self._reader.head()
        self._position, self._digest = head.position, head.digest
        self._versions: dict[str, int] = {}
        self._positions: dict[bytes, int] = {}
        self._highest = self._last_id()
        self._zone = head.position >> ZONE_BITS
        self._low, self._high = self._times(self._zone)
        self._begin()

    def _begin(self) -> None:
        self._batch = self._engine.batch()
        self._events: list[NewEvent] = []
        self._payloads: set[bytes] = set()

    @property
    def _reader(self) -> Reader:
        """Return what is committed."""
        if self._stored is None:
            self._stored = Reader(self._engine.view(), self._location)
        return self._stored

    def look_again(self) -> None:
        """Forget the view of what is committed, for there is more now."""
        if self._stored is not None:
            self._stored.view.close()
            self._stored = None

    def _last_id(self) -> bytes:
        for key, _ in self._reader.view.scan(ID, beyond(ID), backward=True):
            return key[len(ID) :]
        return b""

    def _times(self, zone: int) -> tuple[int, int]:
        value = self._reader.view.get(ZONE + number(zone))
        if value is None:
            return _NO_TIMES
        low, high = split_pair(value)
        return low, high

    @property
    def head(self) -> Head:
        """Return where the log ends, the draft included."""
        return Head(self._position, self._digest)

    @property
    def event_count(self) -> int:
        """Return how many events are drafted."""
        return len(self._events)

    def add(self, append: Append) -> Receipt:
        """Draft an append, or change nothing.

        Raises:
            DuplicateEvent: An identifier is taken, which may be a repetition.
            WrongHead: The log does not end where the append expects.
            WrongVersion: A stream is not as expected.
            ConditionFailed: An event is there that is to be absent.
            UnknownParent: A parent is not in the log.
            EngineError: The engine cannot be asked; the draft must be reset.
        """
        highest = self._check_ids(append)
        if append.head is not None and append.head != self._position:
            raise WrongHead(append.head, self._position)
        for stream, expected in append.streams.items():
            version = self._version(stream)
            if not meets(expected, version):
                raise WrongVersion(stream, expected, version)
        for demand in append.absent:
            self._check_absent(demand)
        edges = self._edges(append) if any(event.parents for event in append.events) else ()
        first = self._position + 1
        self._draft(append)
        for edge in edges:
            self._batch.put(edge, b"")
        self._highest = highest
        return make_receipt(first, self._position, self._digest)

    def _check_ids(self, append: Append) -> bytes:
        highest = self._highest
        for index, identifier in enumerate(append.ids):
            if identifier > highest:
                highest = identifier
            elif self._place(identifier) is not None or identifier in append.ids[:index]:
                raise DuplicateEvent(append.events[index].id, "is taken")
        return highest

    def _check_absent(self, demand: Absent) -> None:
        if demand.after >= self._position:
            return
        stored = self._position - len(self._events)
        if demand.after < stored:
            for found in self._reader.selected(demand.after, demand.query):
                raise ConditionFailed(demand, found.position)
        for position, event in enumerate(self._events, stored + 1):
            if position > demand.after and demand.query.matches(event):
                raise ConditionFailed(demand, position)

    def _edges(self, append: Append) -> list[bytes]:
        """Return the keys of the edges from the parents."""
        edges: list[bytes] = []
        earlier: dict[bytes, int] = {}
        for index, event in enumerate(append.events):
            position = self._position + 1 + index
            for name in event.parents:
                parent = pack_id(name)
                place = earlier.get(parent) or self._place(parent)
                if place is None:
                    raise UnknownParent(event.id, name)
                edges.append(CAUSE + pair(place, position))
            earlier[append.ids[index]] = position
        return edges

    def _place(self, identifier: bytes) -> int | None:
        return self._positions.get(identifier) or self._reader.position(identifier)

    def _draft(self, append: Append) -> None:
        position, previous = self._position, self._digest
        versions, streams, kinds = self._versions, self._streams, self._kinds
        put, digest_of = self._batch.put, self._digest_of
        for event, identifier in zip(append.events, append.ids, strict=True):
            position += 1
            stream, payload = event.stream, event.payload
            version = versions.get(stream)
            version = 1 + (self._version(stream) if version is None else version)
            versions[stream] = version
            digest = digest_of(payload)
            header = header_bytes(event, position, version, previous, digest)
            previous = digest_of(header)
            packed = number(position)
            place = HERE
            if len(payload) >= SHARED_FROM_BYTES:
                self._share(payload, digest, packed)
                place, payload = SHARED, b""
            put(EVENT + packed, prefix(previous, place, len(header)) + header + payload)
            put(ID + identifier, packed)
            put(streams[stream] + number(version), packed)
            put(kinds[event.kind] + packed, b"")
            if event.intent:
                put(self._intents[event.intent] + packed, b"")
            for tag in event.tags:
                put(self._tags[tag] + packed, b"")
        first = self._position + 1
        self._positions.update(zip(append.ids, range(first, position + 1), strict=True))
        self._add_times(first, append.events)
        self._events += append.events
        self._position, self._digest = position, previous

    def _share(self, payload: bytes, digest: bytes, position: bytes) -> None:
        key = PAYLOAD + digest
        if digest not in self._payloads and self._reader.view.get(key) is None:
            self._batch.put(key, payload)
        self._payloads.add(digest)
        self._batch.put(REFERENCE + digest + position, b"")

    def _add_times(self, first: int, events: Sequence[NewEvent]) -> None:
        start = 0
        while start < len(events):
            zone = first + start >> ZONE_BITS
            if zone != self._zone:
                self._put_zone()
                self._zone, self._low, self._high = zone, *_NO_TIMES
            stop = (zone + 1 << ZONE_BITS) - first
            times = [event.time for event in events[start:stop]]
            self._low, self._high = min(self._low, *times), max(self._high, *times)
            start = stop

    def _put_zone(self) -> None:
        self._batch.put(ZONE + number(self._zone), pair(self._low, self._high))

    def _version(self, stream: str) -> int:
        version = self._versions.get(stream)
        if version is None:
            version = self._versions[stream] = self._reader.version(stream)
        return version

    def commit(self) -> None:
        """Write the draft in one batch and begin the next.

        Raises:
            EngineError: Output failed; what is stored then, only a new open can tell.
        """
        self._put_zone()
        self._engine.write(self._batch)
        self.look_again()
        self._begin()
        for cache in (self._versions, self._positions):
            if len(cache) > _CACHED:
                cache.clear()
