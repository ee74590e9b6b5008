"""Rows of the database made into events, checked against their digest."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec

from toka.store.core import (
    Damaged,
    Event,
    header_digest,
    make_event,
    payload_digest,
    unpack_id,
)
from toka.store.postgres._schema import unescape

if TYPE_CHECKING:
    from toka.store.postgres._connection import Row
    from toka.types import EventId

COLUMNS: Final = (
    "event.position, id, stream, version, kind, time, intent, actor, token, parents, tags, digest,"
    " CASE WHEN content IS NULL THEN payload"
    " WHEN event.position <= (SELECT position FROM compaction) THEN ''"
    " ELSE (SELECT nullif(data, '') FROM payload AS shared WHERE shared.digest = event.content)"
    " END, content"
)
"""The payload is NULL where it is shared and lost."""

LINKED: Final = (
    "(SELECT digest FROM event AS earlier WHERE earlier.position = event.position - 1), " + COLUMNS
)
"""Before them, the digest that the header links to."""

STORED: Final = (
    "position",
    "id",
    "stream",
    "version",
    "kind",
    "time",
    "intent",
    "actor",
    "token",
    "parents",
    "tags",
    "digest",
    "payload",
    "content",
    "size",
)

DIGEST: Final = 11
CONTENT: Final = 13

_ID_BYTES: Final = 16
_tags: Final = msgspec.msgpack.Decoder(tuple[str, ...])


def event_of(location: str, row: Row, previous: bytes) -> Event:
    """Make a row into an event.

    Args:
        location: Of the store.
        row: Of `COLUMNS`.
        previous: The digest of the event before.

    Raises:
        Damaged: It is not what was written.
    """
    event = unchecked(location, row, previous)
    if event.digest != header_digest(
        event, event.position, event.version, previous, event.payload_digest
    ):
        raise Damaged(location, "the event is not what was written", position=event.position)
    return event


def unchecked(location: str, row: Row, previous: bytes) -> Event:
    """Make a row into an event as it stands, for whoever checks more than `event_of` does.

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
        raise Damaged(location, "its payload is missing", position=position)
    try:
        return make_event(
            unpack_id(identifier),
            unescape(stream),
            unescape(kind),
            payload,
            time,
            _parents(parents) if parents else (),
            unescape(intent),
            unescape(actor),
            unescape(token),
            _tags.decode(tags) if tags else (),
            position,
            version,
            payload_digest(payload) if payload or content is None else content,
            previous,
            digest,
        )
    except (struct.error, msgspec.MsgspecError) as error:
        raise Damaged(location, "the row has no meaning", position=position) from error


def _parents(packed: bytes) -> tuple[EventId, ...]:
    starts = range(0, len(packed), _ID_BYTES)
    return tuple([unpack_id(packed[start : start + _ID_BYTES]) for start in starts])
