"""Writing segments: batches, each of them one write and one sync."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

import attrs

from raft_storage._errors import NoSpaceError
from raft_storage._frames import (
    ALIGNMENT,
    CHECKSUM,
    COMMIT_SIZE,
    HEADER_SIZE,
    Commit,
    Kind,
    Sealing,
    SegmentHead,
    body_struct,
    mark_payload,
    vote_payload,
)
from raft_storage._ledger import TEMPORARY, Note
from raft_storage._segment import Segment, index_payload, no_offsets, runs_size, segment_name

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence
    from uuid import UUID

    from raft_core import Entry, HardState
    from raft_storage._checksum import ChecksumKind
    from raft_storage._folder import File, Folder
    from raft_storage._scan import LogState, SnapshotMark, Walk
    from raft_storage._terms import Terms

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """Say whether a write failed for want of space."""
    return error.errno in _NO_SPACE


@attrs.frozen
class Room:
    """How much room is made at once for what is still to be written."""

    step: int
    segment_size: int
    """Room is made up to here; what goes beyond it takes just what it needs."""

    def zeros(self, end: int) -> bytes:
        """Return what to write after a batch that ends where the file did not reach yet."""
        return bytes(max(0, min(self.step, self.segment_size - end)))


@attrs.define
class SegmentWriter:
    """The segment that is being written.

    The file is longer than what was written: zeros follow, so that most batches change neither its
    size nor where its blocks are, and a sync has nothing but their data to write. A sync that must
    write metadata waits for the file system's journal, and with it for everybody else's writes.

    Invariant: everything up to `end` is durable, and ends with a commit; zeros follow.
    """

    file: File
    segment: Segment
    end: int
    chain: int
    batch: int
    index_at: int = 0
    """Where the index is, once the segment is sealed and takes no more."""
    sealed_chain: int = 0
    """The chain that the next segment then begins with."""
    room: Room = attrs.field(factory=lambda: Room(0, 0))
    allocated: int = 0
    """The size of the file."""

    @classmethod
    def resume(cls, file: File, walk: Walk, room: Room) -> SegmentWriter:
        """Go on with a segment that was read."""
        return cls(
            file,
            walk.segment(),
            walk.end,
            walk.chain,
            walk.batch,
            walk.index_at,
            walk.sealed_chain,
            room,
            file.size(),
        )

    @property
    def sealing(self) -> Sealing:
        """Return how the segment computes its checksums."""
        return self.segment.sealing

    def append(self, frames: Sequence[bytes], last_index: int, index_at: int = 0) -> None:
        """Write frames and the commit that makes them count, and sync.

        Raises:
            NoSpaceError: There is no room; nothing has changed.
            OSError: The disk failed.

        """
        data = b"".join(frames)
        chain = self.sealing.checksum(data, self.chain)
        commit = Commit(self.end + len(data), self.batch + 1, chain, last_index, index_at)
        ending = commit.encode(self.sealing)
        self._write(data + ending)
        self.file.sync()
        self.end += len(data) + COMMIT_SIZE
        self.chain = self.sealing.checksum(ending, chain)
        self.batch += 1
        self.index_at, self.sealed_chain = index_at, chain

    def _write(self, data: bytes) -> None:
        end = self.end + len(data)
        zeros = self.room.zeros(end) if end > self.allocated else b""
        try:
            self.file.write(self.end, data + zeros)
        except OSError as error:
            self._undo(error)
            if not zeros:
                raise NoSpaceError(f"no room for {len(data)} bytes in the log") from error
            self.room = attrs.evolve(self.room, step=0)  # there may be room for the data alone
            self._write(data)
            return
        self.allocated = max(self.allocated, end + len(zeros))

    def _undo(self, error: OSError) -> None:
        if not is_full(error):
            raise error
        self.file.truncate(self.end)
        self.allocated = self.end

    def trim(self) -> None:
        """Cut the zeros off, durably: a sealed segment ends with its commit."""
        if self.allocated > self.end:
            self.file.truncate(self.end)
            self.file.sync()
            self.allocated = self.end

    def seal(self, terms: Terms) -> None:
        """End the segment with an index of its entries.

        Raises:
            NoSpaceError: There is no room; nothing has changed.
            OSError: The disk failed.

        """
        segment = self.segment
        runs = terms.runs(segment.low, segment.high)
        payload = index_payload(segment, runs)
        frame = self.sealing.frame(Kind.INDEX, segment.low, len(runs), payload)
        self.append((frame,), segment.high, self.end)

    def sealed(self, terms: Terms) -> Segment:
        """Return the segment as one that has its offsets in its file."""
        segment = self.segment
        runs = terms.runs(segment.low, segment.high)
        offsets_at = self.index_at + HEADER_SIZE + runs_size(len(runs))
        return attrs.evolve(segment, offsets_at=offsets_at, offsets=no_offsets())

    def note(self) -> Note:
        """Return what to note of the last batch."""
        return Note(self.batch, self.segment.number, self.end, self.segment.high)


def create_segment(
    folder: Folder,
    head: SegmentHead,
    state: LogState,
    batch: int,
    last_index: int,
    room: Room,
) -> SegmentWriter:
    """Write the first batch of a segment aside, and give it its name, durably.

    It repeats the state, so that the segments before it can go.

    Raises:
        NoSpaceError: There is no room; nothing has changed.
        OSError: The disk failed.

    """
    name = segment_name(head.number)
    segment = Segment(head.number, head.sealing, last_index + 1, last_index, last_index + 1)
    file = folder.open(name + TEMPORARY, create=True)
    writer = SegmentWriter(file, segment, 0, head.sealing.salt, batch, room=room)
    try:
        writer.append((head.encode(), *state_frames(head.sealing, state)), last_index)
    except NoSpaceError:
        file.close()
        folder.remove(name + TEMPORARY)
        raise
    folder.rename(name + TEMPORARY, name)
    folder.sync()
    return writer


def new_head(number: int, store_id: UUID, kind: ChecksumKind, chain: int) -> SegmentHead:
    """Return the head of a segment, with a salt that no other has."""
    salt = int.from_bytes(os.urandom(4), "little")
    return SegmentHead(number, store_id, Sealing(kind, salt), chain)


def state_frames(sealing: Sealing, state: LogState) -> list[bytes]:
    """Return the frames that say what the log says besides its entries."""
    frames = [
        hard_state_frame(sealing, state.hard_state),
        sealing.frame(Kind.BASE, state.base, state.base_term),
    ]
    if state.mark is not None:
        frames.append(mark_frame(sealing, state.mark))
    return frames


def hard_state_frame(sealing: Sealing, state: HardState) -> bytes:
    """Return the one frame of term, vote and commit."""
    return sealing.frame(Kind.HARD_STATE, state.commit, state.term, vote_payload(state.vote))


def mark_frame(sealing: Sealing, mark: SnapshotMark) -> bytes:
    """Return the frame that mentions a snapshot."""
    return sealing.frame(Kind.SNAPSHOT, mark.index, mark.term, mark_payload(mark.checksum))


def entry_frames(
    sealing: Sealing, entries: Sequence[Entry], position: int
) -> tuple[list[bytes], array[int]]:
    """Return the frames of entries, and the offsets they get if they begin at a position."""
    # The same bytes as `Sealing.frame` makes, faster: this is most of what a batch costs.
    frames, offsets, salt, checksum = list[bytes](), no_offsets(), sealing.salt, sealing.checksum
    pack_checksum, kind = CHECKSUM.pack, int(Kind.ENTRY)
    for entry in entries:
        data = entry.data
        size = len(data)
        body = body_struct(size).pack(size, entry.index, entry.term, kind, entry.type, data)
        frames += (pack_checksum(checksum(body, salt)), body)
        offsets.append(position // ALIGNMENT)
        position += CHECKSUM.size + len(body)
    return frames, offsets
