"""Rows of the database made into events.

No event leaves a store whose header does not have its digest. The payload's digest and the link to
the event before are part of the header and are computed afresh, so a changed byte in any column of
a row, in the row before, or in a text that the row names, is found by whoever reads it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from toka.store.core import (
    Damaged,
    Event,
    header_bytes,
    make_digester,
    make_event,
    unpack_id,
)
from toka.types import EventId

if TYPE_CHECKING:
    import sqlite3

Row: TypeAlias = tuple[
    int,
    bytes,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    bytes | None,
    bytes | None,
    bytes,
    bytes | None,
    bytes | None,
]
"""Position, id, stream, version, kind, time, intent, actor, token, parents, tags, digest, payload,
content; the parents packed, the tags as a MessagePack array, texts by number. The content is the
payload's digest where the payload lies elsewhere or was dropped."""

DIGEST: Final = 11
"""The index of the digest in a row."""

CONTENT: Final = 13
"""The index of the digest of a payload that lies elsewhere."""

_TEXTS_KEPT: Final = 100_000
_NAMES_KEPT: Final = 10_000
_ID_BYTES: Final = 16

_tags: Final = msgspec.msgpack.Decoder(tuple[str, ...])


class _Texts(dict[int, str]):
    """The texts that rows name by number, read when first met."""

    def __init__(self, connection: sqlite3.Connection, location: str) -> None:
        super().__init__({0: ""})
        self._connection = connection
        self._location = location

    def __missing__(self, number: int) -> str:
        row = self._connection.execute("SELECT value FROM text WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise Damaged(self._location, f"text {number} is missing")
        if len(self) > _TEXTS_KEPT:
            self.clear()
            self[0] = ""
        text: str = row[0]
        self[number] = text
        return text


class _Names(dict[bytes, EventId]):
    """Identifiers as text. An event's parents are mostly recent, and writing one costs a lot."""

    def __missing__(self, identifier: bytes) -> EventId:
        if len(self) > _NAMES_KEPT:
            self.clear()
        name = self[identifier] = unpack_id(identifier)
        return name


class RowDecoder:
    """Makes rows of one connection into events."""

    def __init__(self, connection: sqlite3.Connection, location: str) -> None:
        self._location = location
        self._texts = _Texts(connection, location)
        self._names = _Names()
        self._digest_of = make_digester()
        self._last: tuple[bytes, EventId] = (b"", EventId(""))

    def event(self, row: Row, previous: bytes) -> Event:
        """Make a row into an event, checked against its digest.

        Args:
            row: As it is stored.
            previous: The digest of the event before.

        Raises:
            Damaged: It is not what was written.
        """
        event = self.unchecked(row, previous)
        header = header_bytes(event, event.position, event.version, previous, event.payload_digest)
        if self._digest_of(header) != event.digest:
            raise Damaged(
                self._location, "the event is not what was written", position=event.position
            )
        return event

    def unchecked(self, row: Row, previous: bytes) -> Event:
        """Make a row into an event as it stands, for whoever checks more than `event` does.

        Raises:
            Damaged: The row has no meaning.
        """
        (
            position,
            identifier,
            stream,
            version,
            kind,
            time,
            intent,
            actor,
            token,
            parents,
            tags,
            digest,
            payload,
            content,
        ) = row
        if payload is None:
            raise Damaged(self._location, "its payload is missing", position=position)
        texts = self._texts
        before, name = self._last
        causes: tuple[EventId, ...] = ()
        try:
            if parents:
                # Most events have one cause, and it is the event before.
                causes = (name,) if parents == before else self._parents(parents)
            name = unpack_id(identifier)
            self._last = (identifier, name)
            return make_event(
                name,
                texts[stream],
                texts[kind],
                payload,
                time,
                causes,
                texts[intent],
                texts[actor],
                texts[token],
                _tags.decode(tags) if tags else (),
                position,
                version,
                self._digest_of(payload) if payload or content is None else content,
                previous,
                digest,
            )
        except (struct.error, msgspec.MsgspecError) as error:
            raise Damaged(self._location, "the row has no meaning", position=position) from error

    def _parents(self, packed: bytes) -> tuple[EventId, ...]:
        names = self._names
        if len(packed) == _ID_BYTES:
            return (names[packed],)
        starts = range(0, len(packed), _ID_BYTES)
        return tuple([names[packed[start : start + _ID_BYTES]] for start in starts])
