"""Frames: what a segment of the log is made of.

A frame is a header of 32 bytes, a payload, and zeros up to a multiple of 8. All numbers are
little-endian. The checksum covers everything after itself, zeros included, and begins with the
segment's salt, so that no frame of another segment, or of a file that somebody stored as an
entry's data, passes for one of this.

    0   u32  checksum
    4   u32  size of the payload
    8   u64  index      } what they mean depends on the kind
    16  u64  term       }
    24  u8   kind
    25  u8   detail
    26  6 x  zero

| kind       | index        | term           | detail     | payload                              |
|------------|--------------|----------------|------------|--------------------------------------|
| SEGMENT    | number       | 0              | checksum   | version, salt, store, chain          |
| ENTRY      | index        | term           | entry type | data                                 |
| HARD_STATE | commit       | term           | 0          | vote                                 |
| BASE       | index        | term           | 0          |                                      |
| RESET      | index        | term           | 0          |                                      |
| SNAPSHOT   | index        | term           | 0          | checksum of the snapshot's file      |
| INDEX      | first index  | number of runs | 0          | runs of terms, offsets of entries    |
| COMMIT     | own position | batch number   | 0          | magic, chain, last index, index's at |

Frames count from the COMMIT on that follows them: it ends a batch, which was written by one write
and synced before the next was begun. Its `chain` is the checksum of the whole segment before it,
its last index that of the log. The COMMIT that seals a segment also says where the INDEX is.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

import attrs

from raft_storage._checksum import ChecksumKind, checksum_of
from raft_storage._errors import FormatError

if TYPE_CHECKING:
    from uuid import UUID

    from raft_storage._checksum import Checksum

VERSION: Final = 1
ALIGNMENT: Final = 8
HEADER: Final = Struct("<IIQQBB6x")
HEADER_SIZE: Final = HEADER.size
#: Found in the bytes after damage, it may be a commit that proves more than a torn tail.
COMMIT_MAGIC: Final = b"\xf1raftOK\n"
_COMMIT: Final = Struct("<8sIIQQ")
COMMIT_SIZE: Final = HEADER_SIZE + _COMMIT.size
_SEGMENT: Final = Struct("<II16sII")
SEGMENT_SIZE: Final = HEADER_SIZE + _SEGMENT.size
_VOTE: Final = Struct("<Q")
_MARK: Final = Struct("<I4x")
CHECKSUM: Final = Struct("<I")
MAX_PAYLOAD: Final = 2**30


class Kind(IntEnum):
    """What a frame says. The numbers are part of the format."""

    SEGMENT = 1
    ENTRY = 2
    HARD_STATE = 3
    BASE = 4
    """The log was compacted up to here."""
    RESET = 5
    """A snapshot from here replaced the whole log."""
    SNAPSHOT = 6
    """The latest snapshot ends here."""
    INDEX = 7
    COMMIT = 8


@lru_cache(maxsize=1024)
def body_struct(size: int) -> Struct:
    """Return what packs all of a frame but its checksum, for a payload of a size."""
    return Struct(f"<IQQBB6x{size}s{-size % ALIGNMENT}x")


@attrs.frozen
class Frame:
    """A frame that was read."""

    kind: int
    detail: int
    index: int
    term: int
    payload: bytes
    end: int
    """Where in the bytes it was read from the next frame begins."""


@attrs.frozen
class Sealing:
    """How one segment computes its checksums."""

    kind: ChecksumKind
    salt: int
    checksum: Checksum = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(lambda self: checksum_of(self.kind), takes_self=True),
    )

    def frame(
        self, kind: int, index: int, term: int, payload: bytes = b"", detail: int = 0
    ) -> bytes:
        """Return the bytes of a frame."""
        size = len(payload)
        body = body_struct(size).pack(size, index, term, kind, detail, payload)
        return CHECKSUM.pack(self.checksum(body, self.salt)) + body

    def read(self, data: bytes | memoryview, offset: int) -> Frame | None:
        """Return the frame that begins at an offset; nothing if there is no sound one."""
        if offset + HEADER_SIZE > len(data):
            return None
        found, size, index, term, kind, detail = HEADER.unpack_from(data, offset)
        end = frame_end(offset, size)
        body = memoryview(data)[offset + 4 : end]
        if end > len(data) or self.checksum(body, self.salt) != found:
            return None
        start = offset + HEADER_SIZE
        return Frame(kind, detail, index, term, bytes(data[start : start + size]), end)


def frame_end(offset: int, payload_size: int) -> int:
    """Return where a frame ends."""
    return offset + HEADER_SIZE + payload_size + -payload_size % ALIGNMENT


@attrs.frozen
class Commit:
    """The end of a batch, as its frame says."""

    position: int
    batch: int
    chain: int
    last_index: int
    """The last entry of the log from this batch on."""
    index_at: int
    """Where the index of a sealed segment is; 0 in all other commits."""

    def encode(self, sealing: Sealing) -> bytes:
        """Return the frame."""
        payload = _COMMIT.pack(COMMIT_MAGIC, self.chain, 0, self.last_index, self.index_at)
        return sealing.frame(Kind.COMMIT, self.position, self.batch, payload)

    @classmethod
    def decode(cls, frame: Frame) -> Commit:
        """Return what a sound COMMIT frame says."""
        _, chain, _, last_index, index_at = _COMMIT.unpack(frame.payload)
        return cls(frame.index, frame.term, chain, last_index, index_at)


@attrs.frozen
class SegmentHead:
    """The first frame of a segment. Its own checksum is always CRC32, without a salt."""

    number: int
    store_id: UUID
    sealing: Sealing
    previous_chain: int
    """The chain of the segment before, where that was sealed: they belong together."""

    def encode(self) -> bytes:
        """Return the frame."""
        payload = _SEGMENT.pack(
            VERSION, self.sealing.salt, self.store_id.bytes, self.previous_chain, 0
        )
        return _PLAIN.frame(Kind.SEGMENT, self.number, 0, payload, self.sealing.kind)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> SegmentHead | None:
        """Return the head that a segment begins with; nothing if there is no sound one.

        Raises:
            FormatError: It is sound, but of a format that this installation cannot read.

        """
        from uuid import UUID  # noqa: PLC0415

        frame = _PLAIN.read(data, 0)
        if frame is None or frame.kind != Kind.SEGMENT:
            return None
        version, salt, store_id, chain, _ = _SEGMENT.unpack_from(frame.payload)
        if version != VERSION:
            raise FormatError(f"segment {frame.index} has format {version}; this is {VERSION}")
        sealing = Sealing(ChecksumKind(frame.detail), salt)
        return cls(frame.index, UUID(bytes=store_id), sealing, chain)


_PLAIN: Final = Sealing(ChecksumKind.CRC32, 0)


def vote_payload(vote: int) -> bytes:
    """Return the payload of a HARD_STATE."""
    return _VOTE.pack(vote)


def read_vote(payload: bytes) -> int:
    """Return what `vote_payload` packed."""
    return int(_VOTE.unpack(payload)[0])


def mark_payload(checksum: int) -> bytes:
    """Return the payload of a SNAPSHOT."""
    return _MARK.pack(checksum)


def read_mark(payload: bytes) -> int:
    """Return what `mark_payload` packed."""
    return int(_MARK.unpack(payload)[0])
