"""Reading segments back: what they hold, how far it is sound, and what the damage means.

The rule that decides between a torn tail and a hole: a batch is written only when the batch before
it is known to be durable. So whoever finds a sound commit of batch N + 2, or a note that N + 1 was
synced, knows that N + 1 had been acknowledged, and if it is not whole now, it was damaged later.
Without such evidence it was being written when the power went, and nobody was told about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from raft_core import NO_NODE, HardState
from raft_storage._frames import (
    ALIGNMENT,
    COMMIT_MAGIC,
    COMMIT_SIZE,
    HEADER,
    HEADER_SIZE,
    SEGMENT_SIZE,
    Commit,
    Frame,
    Kind,
    Sealing,
    SegmentHead,
    frame_end,
    read_mark,
    read_vote,
)
from raft_storage._segment import Segment, no_offsets, read_runs, runs_size
from raft_storage._terms import Terms

if TYPE_CHECKING:
    from array import array

    from raft_storage._folder import File

_CHUNK: Final = 2**20


@attrs.frozen
class SnapshotMark:
    """Which snapshot the log goes on from, and the checksum its file must have."""

    index: int
    term: int
    checksum: int


@attrs.define
class LogState:
    """What the log says besides its entries."""

    hard_state: HardState = attrs.field(factory=HardState)
    base: int = 0
    base_term: int = 0
    mark: SnapshotMark | None = None


@attrs.define
class Walk:
    """A segment as far as it is sound, read frame by frame.

    Invariant: everything in here was ended by a sound commit at or before `end`.
    """

    head: SegmentHead
    end: int = 0
    chain: int = 0
    batch: int = 0
    last_index: int = 0
    index_at: int = 0
    """Where the index is, if the segment is sealed."""
    sealed_chain: int = 0
    """The chain that it was sealed with."""
    first: int = 0
    offsets: array[int] = attrs.field(factory=no_offsets, repr=False)
    terms: Terms = attrs.field(factory=Terms, repr=False)
    state: LogState = attrs.field(factory=LogState)

    @property
    def sealing(self) -> Sealing:
        """Return how the segment computes its checksums."""
        return self.head.sealing

    def segment(self) -> Segment:
        """Return where its entries are."""
        return Segment(
            self.head.number,
            self.sealing,
            self.first,
            self.last_index,
            self.first,
            offsets=self.offsets,
        )

    def run(self, data: bytes) -> None:
        """Read all the batches that are sound."""
        position, frames = self.end, list[tuple[int, int, int, int]]()
        unpack, size_of_data = HEADER.unpack_from, len(data)
        while position + HEADER_SIZE <= size_of_data:
            _, size, index, term, kind, _ = unpack(data, position)
            end = frame_end(position, size)
            if end > size_of_data or not Kind.SEGMENT <= kind <= Kind.COMMIT:
                return
            if kind == Kind.COMMIT:
                if not self._take_batch(data, position, frames):
                    return
                frames = []
            else:
                frames.append((kind, index, term, position))
            position = end

    def _take_batch(
        self, data: bytes, position: int, frames: list[tuple[int, int, int, int]]
    ) -> bool:
        view, checksum = memoryview(data), self.sealing.checksum
        chain = checksum(view[self.end : position], self.chain if self.batch else self.sealing.salt)
        commit = read_commit(self.sealing, data, position)
        if commit is None or commit.chain != chain:
            return False
        if self.batch and commit.batch != self.batch + 1:
            return False
        if not self.batch:
            self.first = commit.last_index + 1
        for kind, index, term, at in frames:
            if kind == Kind.ENTRY:
                self._take_entry(index, term, at)
            else:
                frame = self.sealing.read(data, at)
                self._take(kind, index, term, frame)
        self.end = position + COMMIT_SIZE
        self.chain = checksum(view[position : self.end], chain)
        self.batch, self.last_index = commit.batch, commit.last_index
        self.index_at, self.sealed_chain = commit.index_at, chain
        return True

    def _take_entry(self, index: int, term: int, position: int) -> None:
        place = index - self.first
        if place != len(self.offsets):  # it replaces what was there and above
            if place < 0:
                self.first, place = index, 0
            del self.offsets[place:]
            self.terms.cut(index)
        self.offsets.append(position // ALIGNMENT)
        self.terms.append(index, term)

    def _take(self, kind: int, index: int, term: int, frame: Frame | None) -> None:
        state = self.state
        if kind == Kind.HARD_STATE:
            vote = read_vote(frame.payload) if frame else NO_NODE
            state.hard_state = HardState(term, vote, index)
        elif kind == Kind.SNAPSHOT and frame:
            state.mark = SnapshotMark(index, term, read_mark(frame.payload))
        elif kind in (Kind.BASE, Kind.RESET):
            state.base, state.base_term = index, term
            if kind == Kind.RESET:
                self.first = index + 1
                del self.offsets[:]
                self.terms = Terms()


def read_commit(
    sealing: Sealing, data: bytes | memoryview, position: int, base: int = 0
) -> Commit | None:
    """Return the commit at a position; nothing if there is no sound one.

    `base` is where in the segment the data begins.
    """
    frame = sealing.read(data, position)
    if frame is None or frame.kind != Kind.COMMIT or frame.index != base + position:
        return None
    return Commit.decode(frame)


def last_commit(sealing: Sealing, data: bytes, start: int) -> Commit | None:
    """Return the last sound commit in the bytes from a position on, whatever precedes it."""
    found = None
    at = data.find(COMMIT_MAGIC, start)
    while at >= 0:
        if at >= HEADER_SIZE:
            found = read_commit(sealing, data, at - HEADER_SIZE) or found
        at = data.find(COMMIT_MAGIC, at + 1)
    return found


@attrs.frozen
class SealedSegment:
    """A sealed segment that was found sound."""

    head: SegmentHead
    segment: Segment
    runs: list[tuple[int, int]]
    size: int


def read_sealed(file: File, number: int, chain: int) -> SealedSegment | None:
    """Return a sealed segment whose every byte is as it was written; nothing if it is not.

    `chain` is what the segment after it says it was sealed with.
    """
    head = SegmentHead.decode(file.read(0, SEGMENT_SIZE))
    closing = file.size() - COMMIT_SIZE
    if head is None or head.number != number or closing < SEGMENT_SIZE:
        return None
    sealing = head.sealing
    commit = read_commit(sealing, file.read(closing, COMMIT_SIZE), 0, closing)
    if commit is None or not commit.index_at or commit.chain != chain:
        return None
    if _checksum(file, sealing, closing) != chain:
        return None
    frame = sealing.read(file.read(commit.index_at, closing - commit.index_at), 0)
    if frame is None or frame.kind != Kind.INDEX:
        return None
    size = runs_size(frame.term)
    count = (len(frame.payload) - size) // 4
    segment = Segment(
        number,
        sealing,
        frame.index,
        frame.index + count - 1,
        frame.index,
        offsets_at=commit.index_at + HEADER_SIZE + size,
    )
    return SealedSegment(head, segment, read_runs(frame.payload, frame.term), file.size())


def _checksum(file: File, sealing: Sealing, size: int) -> int:
    checksum, value = sealing.checksum, sealing.salt
    for offset in range(0, size, _CHUNK):
        value = checksum(file.read(offset, min(_CHUNK, size - offset)), value)
    return value
