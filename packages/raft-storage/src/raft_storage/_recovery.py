"""What a folder holds: read, judged, and put together. Nothing here writes.

Reading goes backwards. The last segment says up to where the log is compacted, so what lies below
that is not read at all, and may be missing or damaged: it was about to be removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core import ConfState
from raft_storage._errors import HoleError
from raft_storage._frames import SEGMENT_SIZE, SegmentHead
from raft_storage._ledger import TEMPORARY
from raft_storage._scan import SealedSegment, Walk, last_commit, read_sealed
from raft_storage._segment import Segment, segment_name, segment_number
from raft_storage._snapshots import PREFIX, check_snapshot, snapshot_name
from raft_storage._terms import Terms

if TYPE_CHECKING:
    from raft_storage._folder import Folder
    from raft_storage._ledger import Ledger
    from raft_storage._scan import LogState


@attrs.frozen
class Recovery:
    """What was found when a store was opened."""

    first_index: int
    last_index: int
    segments: int
    """How many segments hold the log."""
    bytes_read: int
    """How much of them was read, which is all of them."""
    cut: str | None = None
    """Where a copy of a torn tail was saved, if there was one. Nobody was told that it is there."""
    unreadable_notes: int = 0
    """How many notes of the ledger were torn or damaged. Nothing depends on them while they last,
    but with them a damaged last batch would have been told from a torn one."""


@attrs.define
class Found:
    """A log that was found sound, up to a tail that may be cut."""

    walk: Walk
    sealed: list[Segment]
    """The segments before the last that have live entries."""
    terms: Terms
    conf_state: ConfState
    tail: bytes
    """What follows the last sound batch, but for the zeros at the end."""
    leftovers: list[str]
    """Files that are no part of it: written aside, replaced, or compacted away."""
    bytes_read: int

    @property
    def state(self) -> LogState:
        """Return what the log says besides its entries."""
        return self.walk.state


def segment_numbers(names: list[str]) -> list[int]:
    """Return the numbers of the segments among some names, in order."""
    return sorted(number for number in map(segment_number, names) if number is not None)


def scan(folder: Folder, ledger: Ledger) -> Found:
    """Return what a folder holds.

    Raises:
        HoleError: Acknowledged parts of the log are lost.
        DamagedError: The latest snapshot is lost.
        FormatError: Something has a format that this installation cannot read.

    """
    names = list(folder.names())
    numbers = segment_numbers(names)
    if not numbers:
        last = ledger.note.last_index if ledger.note else 0
        raise HoleError(
            "there is no segment left", file=segment_name(1), first_index=1, last_index=last
        )
    walk, tail = _read_last(folder, ledger, numbers[-1])
    sealed = _Sealed(folder, walk, ledger)
    sealed.collect(set(numbers))
    mark = walk.state.mark
    conf_state = check_snapshot(folder, mark) if mark else ConfState()
    oldest = sealed.segments[0].number if sealed.segments else numbers[-1]
    keep = snapshot_name(mark.index, mark.term) if mark else None
    return Found(
        walk,
        sealed.segments,
        sealed.terms(),
        conf_state,
        tail,
        [name for name in names if _is_leftover(name, oldest, keep)],
        walk.end + len(tail) + sealed.bytes_read,
    )


def _is_leftover(name: str, oldest: int, snapshot: str | None) -> bool:
    number = segment_number(name)
    return (
        name.endswith(TEMPORARY)
        or (number is not None and number < oldest)
        or (name.startswith(PREFIX) and name != snapshot)
    )


def _read_last(folder: Folder, ledger: Ledger, number: int) -> tuple[Walk, bytes]:
    file = folder.open(segment_name(number))
    try:
        data = file.read(0, file.size())
    finally:
        file.close()
    walk = _walk(data, number, ledger)
    proof = last_commit(walk.sealing, data, walk.end)
    known, last_index = (ledger.note.batch, ledger.note.last_index) if ledger.note else (0, 0)
    if proof is not None and proof.batch > known:
        # Written after the batch before it was durable; of itself it proves nothing.
        known, last_index = proof.batch - 1, max(last_index, proof.last_index)
    if known > walk.batch:
        raise _hole("acknowledged batches are lost", walk, last_index)
    return walk, data[walk.end :].rstrip(b"\0")  # zeros are room for batches to come


def _walk(data: bytes, number: int, ledger: Ledger) -> Walk:
    head = SegmentHead.decode(data[:SEGMENT_SIZE])
    if head is not None and head.number == number and head.store_id == ledger.store_id:
        walk = Walk(head)
        walk.run(data)
        if walk.batch:
            return walk
    # A segment gets its name when its first batch is durable.
    raise HoleError(
        "the first batch of the segment is not sound",
        file=segment_name(number),
        first_index=1,
        last_index=ledger.note.last_index if ledger.note else 0,
    )


def _hole(reason: str, walk: Walk, last_index: int) -> HoleError:
    # What was lost may have replaced entries, but none that was committed.
    first = min(walk.last_index, walk.state.hard_state.commit) + 1
    return HoleError(
        reason,
        file=segment_name(walk.head.number),
        offset=walk.end,
        first_index=first,
        last_index=last_index,
    )


@attrs.define
class _Sealed:
    """The segments before the last, as far down as there is something live in them."""

    folder: Folder
    walk: Walk
    ledger: Ledger
    segments: list[Segment] = attrs.field(init=False, factory=list[Segment])
    runs: list[list[tuple[int, int]]] = attrs.field(init=False, factory=list[list[tuple[int, int]]])
    bytes_read: int = 0

    def collect(self, numbers: set[int]) -> None:
        """Read down to the first entry of the log."""
        head, low = self.walk.head, self.walk.first
        while low > self.walk.state.base + 1:
            number = head.number - 1
            name = segment_name(number)
            if number not in numbers:
                raise self._lost("the segment is missing", name, low)
            found = self._read(name, number, head.previous_chain, low)
            segment, head = found.segment, found.head
            segment.high = min(segment.high, low - 1)
            if segment.low <= segment.high:
                if segment.high < low - 1:
                    raise self._lost("the segment ends too early", name, low)
                low = segment.low
                self.segments.insert(0, segment)
                self.runs.insert(0, found.runs)

    def _read(self, name: str, number: int, chain: int, low: int) -> SealedSegment:
        file = self.folder.open(name)
        try:
            found = read_sealed(file, number, chain)
            if found is not None and found.head.store_id == self.ledger.store_id:
                self.bytes_read += found.size
                return found
            data = file.read(0, file.size())
        finally:
            file.close()
        raise _hole(
            "the segment is not as it was sealed", _walk(data, number, self.ledger), low - 1
        )

    def _lost(self, reason: str, name: str, low: int) -> HoleError:
        first = self.walk.state.base + 1
        return HoleError(reason, file=name, first_index=first, last_index=low - 1)

    def terms(self) -> Terms:
        """Return the terms of all the entries."""
        terms = Terms()
        for segment, runs in zip(self.segments, self.runs, strict=True):
            for start, term in Terms.of(runs).runs(segment.low, segment.high):
                terms.append(start, term)
        for start, term in self.walk.terms.runs(self.walk.first, self.walk.last_index):
            terms.append(start, term)
        terms.drop(self.walk.state.base)
        return terms
