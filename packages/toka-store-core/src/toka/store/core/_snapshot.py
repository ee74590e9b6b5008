"""Snapshots: derived data that saves a reader the events before a position."""

from __future__ import annotations

from typing import Final

import attrs
import msgspec
from blake3 import blake3

from toka.store.core._errors import InvalidSnapshot
from toka.store.core._event import byte_count
from toka.store.core._limits import MAX_TEXT_CHARACTERS

_FRAME: Final = "toka.snapshot.1"


@attrs.frozen
class Snapshot:
    """What someone made of the log up to a position."""

    name: str
    """Whose snapshot this is; a store keeps the newest few of each name."""
    position: int
    """The last event that went into it."""
    data: bytes = attrs.field(repr=byte_count)
    digest: bytes = attrs.field(repr=bytes.hex)
    """Of the state, as its owner defines it. The store keeps a checksum of its own."""


def snapshot_checksum(snapshot: Snapshot) -> bytes:
    """Return the BLAKE3 over all fields, framed; what a store keeps beside a snapshot."""
    fields = (_FRAME, snapshot.name, snapshot.position, snapshot.data, snapshot.digest)
    return blake3(msgspec.msgpack.encode(fields)).digest()


def check_snapshot(snapshot: Snapshot, head: int) -> None:
    """Check a snapshot against the log it belongs to.

    Raises:
        InvalidSnapshot: It has no name, or a position that the log has not reached.
    """
    if not 0 < len(snapshot.name) <= MAX_TEXT_CHARACTERS:
        raise InvalidSnapshot(
            f"A snapshot's name has 1 to {MAX_TEXT_CHARACTERS} characters,"
            f" not {len(snapshot.name)}."
        )
    if not 0 <= snapshot.position <= head:
        raise InvalidSnapshot(
            f"The snapshot {snapshot.name!r} claims position {snapshot.position};"
            f" the log ends at {head}.",
            hint="Append the events first; a snapshot never leads the log.",
            details={"name": snapshot.name, "position": snapshot.position, "head": head},
        )
