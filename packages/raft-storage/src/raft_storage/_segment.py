"""Segments: the files that the log is cut into, and how entries are found in them.

Offsets are counted in units of 8 bytes, so that 32 bits reach through 32 GiB. The segment that is
being written has them in memory; a sealed one has them in its own last frames, so memory does not
grow with the log.
"""

from __future__ import annotations

import sys
from array import array
from struct import Struct
from typing import TYPE_CHECKING, Final

import attrs

from raft_core import Entry, EntryType
from raft_storage._errors import HoleError
from raft_storage._frames import ALIGNMENT, HEADER, HEADER_SIZE, Kind, Sealing, frame_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raft_storage._folder import File

_PREFIX: Final = "segment-"
_RUN: Final = Struct("<QQ")
_OFFSET_SIZE: Final = 4
#: How much is read at once: several entries, usually, and little in vain.
_WINDOW: Final = 2**16
_TYPES: Final = {int(kind): kind for kind in EntryType}


def segment_name(number: int) -> str:
    """Return the name of a segment's file."""
    return f"{_PREFIX}{number:012d}"


def segment_number(name: str) -> int | None:
    """Return which segment a file is; nothing if it is none."""
    digits = name.removeprefix(_PREFIX)
    return int(digits) if digits != name and digits.isdecimal() else None


def no_offsets() -> array[int]:
    """Return no offsets."""
    return array("I")


@attrs.define
class Segment:
    """Where a segment has its entries.

    Entries are live until a later one replaces them; those of a segment that are live follow each
    other without a gap, and so do their offsets.
    """

    number: int
    sealing: Sealing
    low: int
    """The first live entry."""
    high: int
    """The last live entry; `low - 1` if there is none."""
    first: int
    """The entry that the first offset belongs to."""
    offsets_at: int = 0
    """Where in the file the offsets are; 0 if they are in memory."""
    offsets: array[int] = attrs.field(factory=no_offsets, repr=False)

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return segment_name(self.number)

    def locate(self, file: File, low: int, high: int) -> array[int]:
        """Return the offsets of the entries in [low, high).

        Raises:
            HoleError: The file ends before them.

        """
        start, stop = low - self.first, high - self.first
        if not self.offsets_at:
            offsets = self.offsets[start:stop]
            if len(offsets) < stop - start:
                raise self.hole("the index ends early", 0, low, high - 1)
            return offsets
        at, size = self.offsets_at + start * _OFFSET_SIZE, (stop - start) * _OFFSET_SIZE
        data = file.read(at, size)
        if len(data) < size:
            raise self.hole("the index is cut off", at, low, high - 1)
        return unpack_offsets(data)

    def read(self, file: File, low: int, offsets: Sequence[int]) -> Iterator[Entry]:
        """Yield the entries from an index on that lie at some offsets.

        Raises:
            HoleError: An entry is not there as it was written.

        """
        window, start = b"", 0
        for index, unit in enumerate(offsets, low):
            at = unit * ALIGNMENT - start
            if not 0 <= at <= len(window) - HEADER_SIZE:
                start += at
                window, at = file.read(start, _WINDOW), 0
            if at + HEADER_SIZE <= len(window):
                end = frame_end(at, HEADER.unpack_from(window, at)[1])
                if end > len(window) and start + end <= file.size():
                    start += at
                    window, at = file.read(start, max(_WINDOW, end - at)), 0
            frame = self.sealing.read(window, at)
            if (
                frame is None
                or (frame.kind, frame.index) != (Kind.ENTRY, index)
                or frame.detail not in _TYPES
            ):
                raise self.hole("no sound entry", start + at, index, index)
            yield Entry(frame.term, index, frame.payload, _TYPES[frame.detail])

    def hole(self, reason: str, offset: int, low: int, high: int) -> HoleError:
        """Return the error that says which entries cannot be read."""
        return HoleError(reason, file=self.name, offset=offset, first_index=low, last_index=high)


def index_payload(segment: Segment, runs: Sequence[tuple[int, int]]) -> bytes:
    """Return the payload of a segment's INDEX."""
    return b"".join(_RUN.pack(*run) for run in runs) + pack_offsets(segment.offsets)


def pack_offsets(offsets: array[int]) -> bytes:
    """Return offsets as they are in a file."""
    if sys.byteorder == "big":
        offsets = array("I", offsets)
        offsets.byteswap()
    return offsets.tobytes()


def unpack_offsets(data: bytes) -> array[int]:
    """Return the offsets that bytes of a file hold."""
    offsets = array("I")
    offsets.frombytes(data)
    if sys.byteorder == "big":
        offsets.byteswap()
    return offsets


def read_runs(payload: bytes, count: int) -> list[tuple[int, int]]:
    """Return the runs that an INDEX begins with."""
    return [(start, term) for start, term in _RUN.iter_unpack(payload[: count * _RUN.size])]


def runs_size(count: int) -> int:
    """Return how many bytes so many runs take."""
    return count * _RUN.size
