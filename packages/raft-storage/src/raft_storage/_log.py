"""The log in segments, and the state that is written with it.

Writing is for one thread at a time. Readers may run meanwhile: `lock` is held while a page of
entries is read and while memory is changed, never while the disk syncs.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import attrs

from raft_core import CompactedError, Entry, HardState, UnavailableError
from raft_storage._frames import Kind
from raft_storage._ledger import Note
from raft_storage._recent import Recent
from raft_storage._segment import Segment, segment_number
from raft_storage._writer import (
    Room,
    SegmentWriter,
    create_segment,
    entry_frames,
    hard_state_frame,
    mark_frame,
    new_head,
)

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence

    from raft_storage._checksum import ChecksumKind
    from raft_storage._folder import File, Folder
    from raft_storage._ledger import Ledger
    from raft_storage._scan import LogState, SnapshotMark
    from raft_storage._terms import Terms

#: What an entry counts in size limits besides its data, as in raft_core.
_OVERHEAD: Final = 24
#: How many entries are looked up at once.
_PAGE: Final = 512
#: How much of the log's end is kept in memory.
_RECENT: Final = 4 * 2**20


@attrs.frozen
class Batch:
    """What one write changes, all of it or nothing."""

    mark: SnapshotMark | None = None
    replaces_log: bool = False
    """Whether the snapshot came from a leader and replaces the whole log."""
    base: tuple[int, int] | None = None
    """The (index, term) that the log is compacted up to."""
    hard_state: HardState | None = None
    entries: Sequence[Entry] = ()


@attrs.define(eq=False)
class SegmentedLog:
    """The log.

    Invariants: `sealed` and then the writer's segment hold the entries from at most
    `state.base + 1` to the last one, in order, without a gap; everything in memory is durable.
    """

    folder: Folder
    ledger: Ledger
    kind: ChecksumKind
    room: Room
    writer: SegmentWriter
    sealed: list[Segment]
    terms: Terms
    state: LogState
    recent: Recent = attrs.field(factory=lambda: Recent(_RECENT), init=False)
    lock: threading.RLock = attrs.field(factory=threading.RLock, init=False)

    # Reading

    def last_index(self) -> int:
        """Return the index of the last entry."""
        return self.writer.segment.high

    def term(self, index: int) -> int:
        """Return the term of an entry, or of the one before the first.

        Raises:
            CompactedError: The index is below these.
            UnavailableError: The index is above these.

        """
        with self.lock:
            if index == self.state.base:
                return self.state.base_term
            if index < self.state.base:
                raise CompactedError(f"entry {index} is compacted away")
            if index > self.last_index():
                raise UnavailableError(f"entry {index} is not there yet")
            return self.terms.at(index)

    def entries(self, low: int, high: int, max_size: int) -> tuple[Entry, ...]:
        """Return the entries in [low, high) within a size, at least one.

        Raises:
            CompactedError: `low` is below the first index.
            UnavailableError: `high` is above the last index by more than one.
            HoleError: One of them is not there as it was written.

        """
        found: list[Entry] = []
        size = 0
        while low < high:
            with self.lock:
                self._check_range(low, high)
                for entry in self._page(low, high):
                    size += len(entry.data) + _OVERHEAD
                    if size > max_size and found:
                        return tuple(found)
                    found.append(entry)
            low = found[-1].index + 1
        return tuple(found)

    def _check_range(self, low: int, high: int) -> None:
        if low <= self.state.base:
            raise CompactedError(f"entry {low} is compacted away")
        if high > self.last_index() + 1:
            raise UnavailableError(f"entry {high - 1} is not there yet")

    def _page(self, low: int, high: int) -> Iterator[Entry]:
        """Yield the first of the entries in [low, high), all from one place."""
        if recent := self.recent.find(low, high):
            yield from recent
            return
        active = self.writer.segment
        if low >= active.low:
            yield from self._read(self.writer.file, active, low, high)
            return
        segment = self.sealed[bisect_right(self.sealed, low, key=_low) - 1]
        try:
            file = self.folder.open(segment.name)
        except FileNotFoundError as error:
            raise segment.hole("the segment is missing", 0, low, segment.high) from error
        try:
            yield from self._read(file, segment, low, min(high, segment.high + 1))
        finally:
            file.close()

    def _read(self, file: File, segment: Segment, low: int, high: int) -> Iterator[Entry]:
        return segment.read(file, low, segment.locate(file, low, min(high, low + _PAGE)))

    # Writing

    def write(self, batch: Batch) -> None:
        """Write a batch durably.

        Raises:
            NoSpaceError: There is no room; nothing has changed.
            OSError: The disk failed.

        """
        self._make_room()
        writer = self.writer
        frames = self._state_frames(batch)
        position = writer.end + sum(map(len, frames))
        more, offsets = entry_frames(writer.sealing, batch.entries, position)
        last = self._last_index_after(batch)
        writer.append(frames + more, last)
        self.ledger.write(Note(writer.batch, writer.segment.number, writer.end, last))
        with self.lock:
            self._apply(batch, offsets)
            writer.segment.high = last

    def _state_frames(self, batch: Batch) -> list[bytes]:
        sealing, frames = self.writer.sealing, list[bytes]()
        if batch.mark is not None:
            frames.append(mark_frame(sealing, batch.mark))
            if batch.replaces_log:
                frames.append(sealing.frame(Kind.RESET, batch.mark.index, batch.mark.term))
        if batch.base is not None:
            frames.append(sealing.frame(Kind.BASE, *batch.base))
        if batch.hard_state is not None:
            frames.append(hard_state_frame(sealing, batch.hard_state))
        return frames

    def _last_index_after(self, batch: Batch) -> int:
        if batch.entries:
            return batch.entries[-1].index
        if batch.replaces_log and batch.mark is not None:
            return batch.mark.index
        return self.last_index()

    def _apply(self, batch: Batch, offsets: array[int]) -> None:
        state = self.state
        if batch.mark is not None:
            state.mark = batch.mark
            if batch.replaces_log:
                state.base, state.base_term = batch.mark.index, batch.mark.term
                self.recent.clear()
                self._cut(state.base + 1, keep=False)
        if batch.base is not None:
            state.base, state.base_term = batch.base
            self.terms.drop(state.base)
            while self.sealed and self.sealed[0].high <= state.base:
                del self.sealed[0]
        if batch.hard_state is not None:
            state.hard_state = batch.hard_state
        if batch.entries:
            self._cut(batch.entries[0].index, keep=True)
            self.writer.segment.offsets.extend(offsets)
            self._append_terms(batch.entries)
            self.recent.add(batch.entries)

    def _append_terms(self, entries: Sequence[Entry]) -> None:
        first, last = entries[0], entries[-1]
        if first.term == last.term:  # terms never fall, so all between are the same
            self.terms.append(first.index, first.term)
            return
        for entry in entries:
            self.terms.append(entry.index, entry.term)

    def _cut(self, index: int, *, keep: bool) -> None:
        """Forget the entries from an index on, and those below too unless they are to be kept."""
        segment = self.writer.segment
        if keep and index >= segment.low:
            if index <= segment.high:
                self.terms.cut(index)
                del segment.offsets[index - segment.low :]
            return
        del segment.offsets[:]
        segment.low = segment.first = index
        self.terms.cut(index if keep else 0)
        while self.sealed and (not keep or self.sealed[-1].low >= index):
            self.sealed.pop()
        if self.sealed:
            self.sealed[-1].high = index - 1

    def _make_room(self) -> None:
        """Begin another segment if this one is full."""
        writer = self.writer
        if not writer.index_at:
            if writer.end < self.room.segment_size:
                return
            writer.seal(self.terms)
        writer.trim()
        segment = writer.segment
        head = new_head(segment.number + 1, self.ledger.store_id, self.kind, writer.sealed_chain)
        successor = create_segment(
            self.folder, head, self.state, writer.batch, segment.high, self.room
        )
        self.ledger.write(successor.note())
        with self.lock:
            if segment.low <= segment.high and segment.high > self.state.base:
                self.sealed.append(writer.sealed(self.terms))
            self.writer = successor
            writer.file.close()

    def remove_dead_segments(self) -> None:
        """Remove the files of segments that nothing is left of, the oldest first."""
        oldest = (self.sealed[0] if self.sealed else self.writer.segment).number
        for name in self.folder.names():
            number = segment_number(name)
            if number is not None and number < oldest:
                self.folder.remove(name)


def _low(segment: Segment) -> int:
    return segment.low
