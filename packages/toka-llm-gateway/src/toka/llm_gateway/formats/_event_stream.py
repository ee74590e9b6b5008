"""Amazon's event stream, parsed as its bytes arrive.

`application/vnd.amazon.eventstream`, as the Smithy specification has it ("Amazon Event Stream"): a
prelude of two lengths and their CRC-32, headers of typed values, a payload, and a CRC-32 over all
of it. A damaged frame ends the stream: where the next one begins cannot be known.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import ResponseInvalid, ResponseTooLarge
from toka.llm_gateway.formats._sse import MAX_EVENT_BYTES, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PRELUDE: Final = struct.Struct("!III")
_CHECKSUM: Final = struct.Struct("!I")
_LENGTH: Final = struct.Struct("!H")
_OVERHEAD: Final = _PRELUDE.size + _CHECKSUM.size
_MAX_HEADERS: Final = 128 * 1024
"""Bytes of an event's headers: what the specification allows."""
_BYTES: Final = 6
_STRING: Final = 7
_FIXED_SIZES: Final[Mapping[int, int]] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""How long a value is, by its type: booleans, integers, a timestamp, a UUID."""


class EventStreamParser:
    """Turns chunks of any size into events.

    An event's name is its `:event-type`. What the stream says of a failure comes as an event named
    by its `:exception-type`, or by its `:error-code` and with a `message` as its payload.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit: Final = max_event_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `chunk` completes. Exhaust the iterator before the next chunk.

        Raises:
            ResponseInvalid: A frame is damaged.
            ResponseTooLarge: An event exceeds the limit.

        """
        self._buffer += chunk
        while (length := self._next()) is not None:
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield _event(frame)

    def _next(self) -> int | None:
        """Return the length of the frame in front, once it is here as a whole."""
        if len(self._buffer) < _PRELUDE.size:
            return None
        length, headers, checksum = _PRELUDE.unpack_from(self._buffer)
        if zlib.crc32(self._buffer[:8]) != checksum or length < headers + _OVERHEAD:
            raise _damaged()
        if headers > _MAX_HEADERS:  # Millions of empty ones would take the loop for minutes.
            raise _damaged()
        if length > self._limit:
            raise ResponseTooLarge(
                f"An event of the stream is larger than {self._limit} bytes.",
                details={"limit_bytes": self._limit},
            )
        return length if len(self._buffer) >= length else None


def encode_event(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return the frame of an event whose headers are texts."""
    block = b"".join(
        bytes([len(name)])
        + name.encode()
        + bytes([_STRING])
        + _LENGTH.pack(len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack("!II", _OVERHEAD + len(block) + len(payload), len(block))
    frame = lengths + _CHECKSUM.pack(zlib.crc32(lengths)) + block + payload
    return frame + _CHECKSUM.pack(zlib.crc32(frame))


def _event(frame: bytes) -> ServerSentEvent:
    if zlib.crc32(frame[: -_CHECKSUM.size]) != _CHECKSUM.unpack_from(frame, -_CHECKSUM.size)[0]:
        raise _damaged()
    end = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
    headers = _headers(frame[_PRELUDE.size : end])
    payload = frame[end : -_CHECKSUM.size]
    match headers.get(b":message-type"):
        case b"exception":
            return ServerSentEvent(headers.get(b":exception-type", b"exception"), payload)
        case b"error":
            said = headers.get(b":error-message", b"").decode(errors="replace")
            name = headers.get(b":error-code", b"") + b"Exception"
            return ServerSentEvent(name, msgspec.json.encode({"message": said}))
        case _:
            return ServerSentEvent(headers.get(b":event-type", b""), payload)


def _headers(block: bytes) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    rest = memoryview(block)  # Each step would otherwise copy all that is left.
    while rest:
        name, rest = _take(rest[1:], rest[0])
        kind, rest = _take(rest, 1)
        if kind[0] in {_BYTES, _STRING}:
            size, rest = _take(rest, _LENGTH.size)
            length = _LENGTH.unpack(size)[0]
        elif kind[0] in _FIXED_SIZES:
            length = _FIXED_SIZES[kind[0]]
        else:
            raise _damaged()
        value, rest = _take(rest, length)
        headers[bytes(name)] = bytes(value)
    return headers


def _take(block: memoryview, length: int) -> tuple[memoryview, memoryview]:
    if len(block) < length:
        raise _damaged()
    return block[:length], block[length:]


def _damaged() -> ResponseInvalid:
    return ResponseInvalid("A frame of the provider's event stream is damaged.")
