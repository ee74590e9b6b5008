"""An event's identifier in 16 bytes, as it is stored, and as the 26 characters of a ULID.

Both directions lie on the path of every event, so they lean on what the interpreter does in C: the
number in base 32 is read by `int` after one translation of the alphabet, and written ten bits at a
time from a table.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from toka.store.core._append_errors import InvalidEvent
from toka.types import EventId

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_halves: Final = Struct(">QQ").unpack
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)

# Whatever is not of the alphabet becomes "~", because `int` would let signs, spaces, underscores
# and lower case pass.
_DIGITS: Final = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_ALPHABET.index(chr(byte))]
    if chr(byte) in _ALPHABET
    else ord("~")
    for byte in range(256)
)


def pack_id(event_id: str) -> bytes:
    """Return the 16 bytes of an identifier.

    Raises:
        InvalidEvent: It is not a ULID in upper case.
    """
    try:
        if len(event_id) == 26:  # noqa: PLR2004 - the length of a ULID
            return int(event_id.encode().translate(_DIGITS), 32).to_bytes(16, "big")
    except (ValueError, OverflowError):  # ValueError covers text that has no UTF-8
        pass
    raise InvalidEvent(
        f"{event_id[:40]!a} is not an event identifier (a ULID of 26 characters).",
        details={"event": ascii(event_id[:40])},
    )


def unpack_id(data: bytes) -> EventId:
    """Return the identifier that 16 bytes stand for."""
    pairs = _PAIRS
    high, low = _halves(data)
    high = high << 4 | low >> 60  # now both are whole numbers of pairs
    return EventId(
        f"{pairs[high >> 60]}{pairs[high >> 50 & 1023]}{pairs[high >> 40 & 1023]}"
        f"{pairs[high >> 30 & 1023]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}"
        f"{pairs[high & 1023]}"
        f"{pairs[low >> 50 & 1023]}{pairs[low >> 40 & 1023]}{pairs[low >> 30 & 1023]}"
        f"{pairs[low >> 20 & 1023]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )
