"""Where everything is: the keys of a store, the same on either engine.

======================================  ==========================================================
`e/` position                           an event's record (`_records`)
`i/` id                                 the position of an event
`s/` stream NUL version                 the position of a stream's event
`k/` kind NUL position                  the events of a kind
`n/` intent NUL position                the events of an intent
`g/` tag NUL position                   the events with a tag
`c/` position position                  a cause and its effect
`z/` zone                               the earliest and the latest time in 256 positions
`p/` payload digest                     a payload that events share
`r/` payload digest position            an event that shares it
`v/` name NUL position                  a snapshot
`m/compacted`                           the position up to which payloads were dropped
======================================  ==========================================================

Positions, versions and zones are 8 bytes, big-endian, so that their order is the order of the keys.
A NUL inside a text becomes NUL 0xFF; as a position begins with less than 0x80, no key is a prefix
of another.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

number: Final = Struct(">Q").pack
"""Return a position, version or zone as it stands in keys and values."""

pair: Final = Struct(">QQ").pack

split_pair: Final = Struct(">QQ").unpack

NUMBER_BYTES: Final = 8

ZONE_BITS: Final = 8
"""A zone is 256 positions."""

_HIGHEST: Final = 2**63 - 1

EVENT: Final = b"e/"
ID: Final = b"i/"
STREAM: Final = b"s/"
KIND: Final = b"k/"
INTENT: Final = b"n/"
TAG: Final = b"g/"
CAUSE: Final = b"c/"
ZONE: Final = b"z/"
PAYLOAD: Final = b"p/"
REFERENCE: Final = b"r/"
SNAPSHOT: Final = b"v/"
COMPACTED: Final = b"m/compacted"

DERIVED: Final = (ID, STREAM, KIND, INTENT, TAG, CAUSE, ZONE, REFERENCE)
"""What follows from the events alone."""


def text(prefix: bytes, value: str) -> bytes:
    """Return the beginning of the keys of a text."""
    encoded = value.encode()
    if b"\0" in encoded:
        encoded = encoded.replace(b"\0", b"\0\xff")
    return prefix + encoded + b"\0"


def read_text(key: bytes) -> str:
    """Return the text of a key that `text` began and a number ended."""
    return key[2 : -NUMBER_BYTES - 1].replace(b"\0\xff", b"\0").decode()


def last_number(key: bytes) -> int:
    """Return the number that ends a key."""
    return int.from_bytes(key[-NUMBER_BYTES:], "big")


def read_number(value: bytes) -> int:
    """Return a value that is one number."""
    return int.from_bytes(value, "big")


def event_key(position: int) -> bytes:
    """Return the key of an event's record."""
    return EVENT + number(position)


def beyond(prefix: bytes) -> bytes:
    """Return the key after all that begin with a prefix, whose last byte is not the highest."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def span(prefix: bytes, after: int, *, backward: bool) -> tuple[bytes, bytes]:
    """Return the range of the keys of a prefix whose number lies beyond `after`.

    Args:
        prefix: What comes before the number.
        after: As in `EventStore.read`: 0 is the start, or for `backward` the end.
        backward: Beyond means lower.
    """
    if backward:
        end = min(after, _HIGHEST) if after > 0 else _HIGHEST
        return prefix + number(0), prefix + number(end)
    return prefix + number(min(max(after, 0) + 1, _HIGHEST)), prefix + number(_HIGHEST)
