"""A transaction in the making: appends, judged and turned into rows, one after the other.

Each append is judged by the state that the one before it will leave. What the database knows of all
of them was asked beforehand, under the lock, so judging asks nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.store.core import (
    SHARED_FROM_BYTES,
    ConditionFailed,
    DuplicateEvent,
    Head,
    Receipt,
    UnknownParent,
    WrongHead,
    WrongVersion,
    header_digest,
    meets,
    pack_id,
    payload_digest,
)
from toka.store.postgres._schema import escape

if TYPE_CHECKING:
    from toka.store.core import Absent, Event, NewEvent
    from toka.store.core.backend import Append
    from toka.store.postgres._connection import Row

_encode: Final = msgspec.msgpack.Encoder().encode


@attrs.frozen
class Known:
    """What the database says, under the lock, of all that a draft will be asked."""

    head: Head
    places: dict[bytes, int]
    """Of identifiers of events and of parents that are stored."""
    versions: dict[str, int]
    repeated: dict[int, Event]
    """By position: the stored events that appends may repeat."""
    found: dict[Absent, int]
    """The first stored event of each demand that is not met."""


class Draft:
    """Rows to be committed together, and the state of the log after them."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._position, self._digest = known.head.position, known.head.digest
        self._places = dict(known.places)
        self._versions = dict(known.versions)
        self._drafted: dict[int, tuple[NewEvent, bytes]] = {}
        self.rows: list[Row] = []
        self.edges: list[tuple[int, int]] = []
        self.tags: list[tuple[str, int]] = []
        self.payloads: dict[bytes, tuple[int, bytes]] = {}

    @property
    def head(self) -> Head:
        """Return where the log ends, the draft included."""
        return Head(self._position, self._digest)

    def add(self, append: Append) -> Receipt:
        """Draft an append, or find that it is a repetition, or change nothing.

        Raises:
            AppendRefused: One of its subclasses, as `append` says.
        """
        receipt = self._repetition(append)
        if receipt is not None:
            return receipt
        self._judge(append)
        self._causes(append)
        first = self._position + 1
        self._draft(append)
        return Receipt(first, self._position, self._digest)

    def _repetition(self, append: Append) -> Receipt | None:
        ids, events = append.ids, append.events
        taken = [index for index, each in enumerate(ids) if each in self._places]
        if not taken:
            if len(set(ids)) != len(ids):
                raise DuplicateEvent(events[0].id, "is in an append that repeats itself")
            return None
        if len(taken) < len(ids):
            raise DuplicateEvent(events[taken[0]].id, "is stored, others of this append are not")
        first = self._places[ids[0]]
        digest = b""
        for position, event in enumerate(events, first):
            digest = self._compare(event, position)
        return Receipt(first, first + len(events) - 1, digest)

    def _compare(self, event: NewEvent, position: int) -> bytes:
        """Return the digest of what is at a position, if `event` is what was appended there."""
        stored = self._known.repeated.get(position)
        if stored is not None:
            same, content, digest = stored.id == event.id, stored.repeats(event), stored.digest
        elif position in self._drafted:
            drafted, digest = self._drafted[position]
            same, content = drafted.id == event.id, drafted == event
        else:
            same, content, digest = False, False, b""
        if not same:
            raise DuplicateEvent(event.id, "is not stored next to the others of this append")
        if not content:
            raise DuplicateEvent(event.id, "is stored with other content")
        return digest

    def _judge(self, append: Append) -> None:
        if append.head is not None and append.head != self._position:
            raise WrongHead(append.head, self._position)
        for stream, expected in append.streams.items():
            version = self._versions[stream]
            if not meets(expected, version):
                raise WrongVersion(stream, expected, version)
        for demand in append.absent:
            found = self._find(demand)
            if found is not None:
                raise ConditionFailed(demand, found)

    def _find(self, demand: Absent) -> int | None:
        stored = self._known.found.get(demand)
        if stored is not None:
            return stored
        for position, (event, _) in self._drafted.items():
            if position > demand.after and demand.query.matches(event):
                return position
        return None

    def _causes(self, append: Append) -> None:
        """Draft the edges of the causal graph."""
        edges: list[tuple[int, int]] = []
        earlier: dict[bytes, int] = {}
        for position, (event, identifier) in enumerate(
            zip(append.events, append.ids, strict=True), self._position + 1
        ):
            for name in event.parents:
                parent = pack_id(name)
                place = earlier.get(parent) or self._places.get(parent)
                if place is None:
                    raise UnknownParent(event.id, name)
                edges.append((place, position))
            earlier[identifier] = position
        self.edges += edges

    def _draft(self, append: Append) -> None:
        for event, identifier in zip(append.events, append.ids, strict=True):
            position = self._position = self._position + 1
            version = self._versions[event.stream] = self._versions[event.stream] + 1
            payload, content = event.payload, None
            hashed = payload_digest(payload)
            if len(payload) >= SHARED_FROM_BYTES:
                self.payloads[hashed] = (position, payload)
                payload, content = b"", hashed
            self._digest = header_digest(event, position, version, self._digest, hashed)
            self.tags += [(escape(tag), position) for tag in dict.fromkeys(event.tags)]
            self.rows.append(
                (
                    position,
                    identifier,
                    escape(event.stream),
                    version,
                    escape(event.kind),
                    event.time,
                    escape(event.intent),
                    escape(event.actor),
                    escape(event.token),
                    b"".join(map(pack_id, event.parents)) or None,
                    _encode(event.tags) if event.tags else None,
                    self._digest,
                    payload,
                    content,
                    len(event.payload),
                )
            )
            self._places[identifier] = position
            self._drafted[position] = (event, self._digest)
