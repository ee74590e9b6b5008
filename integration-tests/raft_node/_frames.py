"""Frames on a TCP connection: four bytes of length, then so many bytes.

Between nodes a frame is a message as raft_core encodes it. Between a client and a node it is a
`Request` or a `Reply` as MessagePack.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

import msgspec

from ._errors import FrameError

_LENGTH: Final = Struct(">I")
#: What a peer may make this process keep in memory for one frame.
MAX_FRAME: Final = 2**30


class Kind(IntEnum):
    """What a client wants."""

    WRITE = 1
    READ = 2
    STATUS = 3
    MEMBERS = 4
    """Who belongs to the group, with all that anybody was told is done."""
    CHANGE = 5
    """Change who belongs to the group; the body is a `Change`."""


class Status(IntEnum):
    """What became of a request. The numbers are the wire format."""

    DONE = 0
    NOT_LEADER = 1
    """Nothing was done. The body is the id of the leader, if one is known."""
    UNKNOWN = 2
    """It may have been done or may be done yet: this node lost sight of it."""
    BUSY = 3
    """Nothing was done; try again, in a while."""
    REFUSED = 4
    """It makes no sense; the body says why."""


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request of a client."""

    id: int
    """Chosen by the client; the reply carries it."""
    kind: Kind
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The answer to one request; answers come in any order."""

    id: int
    status: Status
    body: bytes = b""


def frame(payload: bytes) -> bytes:
    """Return the frame that carries some bytes."""
    return _LENGTH.pack(len(payload)) + payload


class Splitter:
    """Cuts what arrives on a connection into frames."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._wanted = 0

    @property
    def holds(self) -> bool:
        """Say whether a part of a frame is waiting for the rest."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in any pieces; return the frames that are whole by now.

        Raises:
            FrameError: A frame is longer than it may be.

        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:  # a long frame comes in many pieces
                return []
            data = bytes(self._rest)
            self._rest.clear()
        found: list[bytes] = []
        start, size = 0, len(data)
        while size - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > self._limit:
                raise FrameError(f"a frame of {length} bytes; {self._limit} at most")
            end = start + _LENGTH.size + length
            if end > size:
                break
            found.append(data[start + _LENGTH.size : end])
            start = end
        self._keep(data, start)
        return found

    def _keep(self, data: bytes, start: int) -> None:
        self._rest += data[start:]
        known = len(self._rest) >= _LENGTH.size
        self._wanted = _LENGTH.size
        if known:
            self._wanted += _LENGTH.unpack_from(self._rest)[0]
