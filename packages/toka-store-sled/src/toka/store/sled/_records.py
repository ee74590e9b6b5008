"""The record of an event, and the event made of it.

A record is the digest of the event's header, one byte that says where the payload is, the length of
the header in 4 bytes, the header (the MessagePack of `toka.store.core`, the very bytes that were
hashed), and the payload if it is here. To read an event is to hash its header and its payload: no
event leaves a store that is not, to the bit, what was appended.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - a class
from typing import TYPE_CHECKING, Final

import msgspec

from toka.store.core import Damaged, make_digester, make_event
from toka.store.sled._keys import COMPACTED, PAYLOAD, read_number
from toka.types import EventId

if TYPE_CHECKING:
    from toka.store.core import Event
    from toka.store.sled._engine import View

HERE: Final = 0
"""The payload follows the header."""

SHARED: Final = 1
"""The payload stands once for all events that have it."""

DROPPED: Final = 2
"""The payload was given up in favour of a snapshot."""

DIGEST_BYTES: Final = 32

_PREFIX: Final = Struct(">32sBI")

prefix: Final = _PREFIX.pack
"""Return what a record begins with: digest, place of the payload, length of the header."""

_Header = tuple[
    str,
    int,
    int,
    bytes,
    bytes,
    EventId,
    str,
    str,
    int,
    tuple[EventId, ...],
    str,
    str,
    str,
    tuple[str, ...],
]

_decode: Final = msgspec.msgpack.Decoder(_Header).decode
_split: Final = _PREFIX.unpack_from
_START: Final = _PREFIX.size


def record(digest: bytes, header: bytes, place: int, payload: bytes) -> bytes:
    """Return the record of an event."""
    return prefix(digest, place, len(header)) + header + payload


_ALTERED: Final = "the header or the payload is not what was written"


class RecordDecoder:
    """Makes records of one view into events."""

    def __init__(self, location: str, view: View) -> None:
        """Prepare.

        Args:
            location: Of the store, for errors.
            view: Has shared payloads, and the position up to which payloads were dropped.
        """
        self._location = location
        self._view = view
        self._compacted: int | None = None
        self._digest_of = make_digester()

    def event(self, position: int, data: bytes) -> Event:
        """Return the event of a record.

        Raises:
            Damaged: It is not the event that was written at `position`.
            EngineError: A shared payload cannot be read.
        """
        digest_of = self._digest_of
        try:
            digest, place, size = _split(data)
            end = _START + size
            header = data[_START:end]
            (
                _,
                found,
                version,
                previous,
                wanted,
                name,
                stream,
                kind,
                time,
                parents,
                intent,
                actor,
                token,
                tags,
            ) = _decode(header)
        except (StructError, msgspec.DecodeError) as error:
            raise Damaged(self._location, "the record cannot be read", position=position) from error
        if found != position or digest_of(header) != digest:
            raise Damaged(self._location, _ALTERED, position=position)
        payload = data[end:] if place == HERE else self._elsewhere(place, wanted, position)
        if digest_of(payload) != wanted and place != DROPPED:
            raise Damaged(self._location, _ALTERED, position=position)
        return make_event(
            name,
            stream,
            kind,
            payload,
            time,
            parents,
            intent,
            actor,
            token,
            tags,
            found,
            version,
            wanted,
            previous,
            digest,
        )

    def _elsewhere(self, place: int, digest: bytes, position: int) -> bytes:
        if place == SHARED:
            payload = self._view.get(PAYLOAD + digest)
            if payload is None:
                raise Damaged(self._location, "the shared payload is missing", position=position)
            return payload
        if self._compacted is None:
            self._compacted = compacted(self._view)
        if place != DROPPED or position > self._compacted:
            raise Damaged(self._location, "the payload is missing", position=position)
        return b""


def split_record(data: bytes) -> tuple[int, bytes]:
    """Return where the payload of a record is, and its header."""
    _, place, size = _split(data)
    return place, data[_START : _START + size]


def compacted(view: View) -> int:
    """Return the position up to which payloads were dropped."""
    return read_number(view.get(COMPACTED) or b"")


def place_of(data: bytes) -> int:
    """Return where the payload of a record is."""
    return data[DIGEST_BYTES]
