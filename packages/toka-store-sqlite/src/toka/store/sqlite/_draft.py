"""A transaction in the making: appends, checked and turned into rows, one after the other.

Each append is judged by the state that the one before it will leave. The common path asks the
database nothing: versions, text numbers and recent identifiers are in memory. Every cache says what
is committed or will be by the draft in hand, so a draft that is thrown away empties them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.store.core import (
    SHARED_FROM_BYTES,
    ConditionFailed,
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
from toka.store.sqlite._schema import SPAN, SUM_UP

if TYPE_CHECKING:
    import sqlite3

    from toka.store.core import Absent, NewEvent, Receipt
    from toka.store.core.backend import Append
    from toka.store.sqlite._reader import Reader
    from toka.store.sqlite._rows import Row

_CACHED: Final = 50_000
"""Entries of a cache, which is emptied when it has more."""

_INSERT_TEXT: Final = "INSERT INTO text (id, value) VALUES (?, ?)"
_INSERT_EVENT: Final = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_CAUSE: Final = "INSERT INTO cause (parent, child) VALUES (?, ?)"
_INSERT_TAG: Final = "INSERT OR IGNORE INTO tag (value, position) VALUES (?, ?)"

# Writing the same bytes again touches no page; where the stored ones were damaged, the new event,
# whose payload is at hand, must not depend on them.
_INSERT_PAYLOAD: Final = (
    "INSERT INTO payload (digest, last, data) VALUES (?, ?, ?)"
    " ON CONFLICT (digest) DO UPDATE SET last = excluded.last, data = excluded.data"
)

_encode: Final = msgspec.msgpack.Encoder().encode


class _Numbers(dict[str, int]):
    """The numbers of texts; a text that is met for the first time gets the next."""

    def __init__(self, reader: Reader) -> None:
        super().__init__({"": 0})
        self._reader = reader
        self._next = reader.last_text() + 1
        self.new: list[tuple[int, str]] = []
        """What the transaction in hand has to add to the database."""

    def __missing__(self, text: str) -> int:
        number = self._reader.text_number(text)
        if number is None:
            number = self._next
            self._next += 1
            self.new.append((number, text))
        self[text] = number
        return number

    def written(self) -> None:
        """Say that what is new was committed."""
        self.new = []
        if len(self) > _CACHED:
            self.clear()
            self[""] = 0


class Draft:
    """Rows to be committed together, and the state of the log after them."""

    def __init__(self, connection: sqlite3.Connection, reader: Reader) -> None:
        self._connection = connection
        self._reader = reader
        self._digest_of = make_digester()
        self.reset()

    def reset(self) -> None:
        """Throw the draft away and learn the state from the database."""
        head = self._reader.head()
        self._position, self._digest = head.position, head.digest
        self._numbers = _Numbers(self._reader)
        self._versions: dict[str, int] = {}
        self._positions: dict[bytes, int] = {}
        self._summed = self._reader.summed()
        self._begin()

    def _begin(self) -> None:
        self._rows: list[Row] = []
        self._edges: list[tuple[int, int]] = []
        self._tags: list[tuple[str, int]] = []
        self._payloads: list[tuple[bytes, int, bytes]] = []
        self._events: list[NewEvent] = []

    @property
    def head(self) -> Head:
        """Return where the log ends, the draft included."""
        return Head(self._position, self._digest)

    @property
    def event_count(self) -> int:
        """Return how many events are drafted."""
        return len(self._rows)

    def add(self, append: Append) -> Receipt:
        """Draft an append, or change nothing.

        Raises:
            WrongHead: The log does not end where the append expects.
            WrongVersion: A stream is not as expected.
            ConditionFailed: An event is there that is to be absent.
            UnknownParent: A parent is not in the log.
            sqlite3.Error: The database cannot be asked; the draft must be reset.
        """
        if append.head is not None and append.head != self._position:
            raise WrongHead(append.head, self._position)
        for stream, expected in append.streams.items():
            version = self._version(stream)
            if not meets(expected, version):
                raise WrongVersion(stream, expected, version)
        for demand in append.absent:
            found = self._find(demand)
            if found is not None:
                raise ConditionFailed(demand, found)
        causes = self._causes(append) if any(event.parents for event in append.events) else {}
        first = self._position + 1
        self._draft(append, causes)
        return make_receipt(first, self._position, self._digest)

    def _find(self, demand: Absent) -> int | None:
        """Return the first event of a query, stored or drafted, after a position."""
        query, after = demand.query, demand.after
        committed = self._position - len(self._rows)
        if after < committed:
            stored = self._reader.first(query, after)
            if stored is not None:
                return stored
        for position, event in enumerate(self._events, committed + 1):
            if position > after and query.matches(event):
                return position
        return None

    def _causes(self, append: Append) -> dict[int, bytes]:
        """Return the packed parents by index of the event, and draft the edges."""
        packed: dict[int, bytes] = {}
        edges: list[tuple[int, int]] = []
        earlier: dict[bytes, int] = {}
        for index, event in enumerate(append.events):
            position = self._position + 1 + index
            for name in event.parents:
                parent = pack_id(name)
                place = earlier.get(parent) or self._place(parent)
                if place is None:
                    raise UnknownParent(event.id, name)
                if place != position - 1:
                    edges.append((place, position))
                packed[index] = packed.get(index, b"") + parent
            earlier[append.ids[index]] = position
        self._edges += edges
        return packed

    def _place(self, identifier: bytes) -> int | None:
        return self._positions.get(identifier) or self._reader.position(identifier)

    def _draft(self, append: Append, causes: dict[int, bytes]) -> None:
        position, previous = self._position, self._digest
        versions, positions, numbers = self._versions, self._positions, self._numbers
        digest_of = self._digest_of
        for index, event in enumerate(append.events):
            position += 1
            stream, identifier = event.stream, append.ids[index]
            version = versions.get(stream)
            version = 1 + (self._version(stream) if version is None else version)
            payload, content = event.payload, None
            hashed = digest_of(payload)
            if len(payload) >= SHARED_FROM_BYTES:
                self._payloads.append((hashed, position, payload))
                payload, content = b"", hashed
            if event.tags:
                self._tags += [(tag, position) for tag in event.tags]
            previous = digest_of(header_bytes(event, position, version, previous, hashed))
            self._rows.append(
                (
                    position,
                    identifier,
                    numbers[stream],
                    version,
                    numbers[event.kind],
                    event.time,
                    numbers[event.intent],
                    numbers[event.actor],
                    numbers[event.token],
                    causes.get(index),
                    _encode(event.tags) if event.tags else None,
                    previous,
                    payload,
                    content,
                )
            )
            versions[stream] = version
            positions[identifier] = position
        self._position, self._digest = position, previous
        self._events += append.events

    def _version(self, stream: str) -> int:
        version = self._versions.get(stream)
        if version is None:
            version = self._versions[stream] = self._reader.version(stream)
        return version

    def commit(self) -> None:
        """Write the draft in one transaction and begin the next.

        Raises:
            sqlite3.IntegrityError: An identifier is taken; the draft must be reset.
            sqlite3.Error: Output failed.
        """
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        if self._numbers.new:
            connection.executemany(_INSERT_TEXT, self._numbers.new)
        connection.executemany(_INSERT_EVENT, self._rows)
        if self._edges:
            connection.executemany(_INSERT_CAUSE, self._edges)
        if self._tags:
            connection.executemany(_INSERT_TAG, self._tags)
        if self._payloads:
            connection.executemany(_INSERT_PAYLOAD, self._payloads)
        summed = self._position - self._position % SPAN
        if summed > self._summed:
            connection.execute(SUM_UP, (self._summed, summed))
        connection.execute("COMMIT")
        self._summed = summed
        self._begin()
        self._numbers.written()
        self._trim()

    def _trim(self) -> None:
        for cache in (self._versions, self._positions):
            if len(cache) > _CACHED:
                cache.clear()
