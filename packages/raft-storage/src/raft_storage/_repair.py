"""Saving what is left of a store with a hole, when a person has decided that this is wanted.

Nothing in the damaged folder is changed: it is the copy. What is sound before the first damage goes
into a new store, with a new identity, because it is not the voter that it was: it may have voted
and acknowledged what it no longer knows. A group that counts voters by id and store takes it for
another one; elsewhere the node has to be removed and added under another id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_core import Entry, EntryType
from raft_storage._errors import DamagedError, HoleError, NotFoundError, RefusedWriteError
from raft_storage._files import FileStorage
from raft_storage._frames import ALIGNMENT, SegmentHead
from raft_storage._ledger import LEDGER, Ledger
from raft_storage._opening import Settings, take_lock
from raft_storage._recovery import scan, segment_numbers
from raft_storage._scan import LogState, Walk
from raft_storage._segment import segment_name
from raft_storage._snapshots import SnapshotReader
from raft_storage._system import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from raft_storage._folder import Folder
    from raft_storage._scan import SnapshotMark
    from raft_storage._system import Place

_BATCH: Final = 4096


@attrs.frozen
class Repair:
    """What a repair saved, and what is lost."""

    reason: str
    """What was wrong."""
    store_id: UUID
    """The identity of the new store."""
    old_store_id: UUID
    snapshot_index: int
    """Where the snapshot that was saved ends; 0 if there was none."""
    last_index: int
    """The last entry that was saved."""
    lost: range
    """The entries that had been acknowledged, and are not in the new store.

    Those behind the damage may be sound, but a log has no gap."""
    term: int
    """The last term that is known. What was voted or promised since is not."""


def repair(damaged: Place, into: Place, settings: Settings | None = None) -> Repair:
    """Make a new store of what is sound in one that has a hole; the old one stays as it is.

    Raises:
        RefusedWriteError: The store has no hole.
        NotFoundError: There is no store.
        ExistsError: There is a store already where the new one shall be.
        LockedError: Somebody has one of the two open.
        DamagedError: The identity or the snapshot is lost: there is nothing to begin with.
        FormatError: It has a format that this installation cannot read.
        NoSpaceError: There is no room for the new store; it is not to be used.
        WriteFailedError: The disk failed; the new store is not to be used.

    """
    folder = folder_of(damaged)
    if LEDGER not in folder.names():
        raise NotFoundError("there is no store here")
    lock = take_lock(folder)
    try:
        ledger = Ledger.open(folder)
        try:
            hole = _find_hole(folder, ledger)
            sound = _Sound.read(folder, ledger)
            last = max(hole.last_index, ledger.note.last_index if ledger.note else 0)
            return _save(folder, sound, hole, last, ledger.store_id, into, settings)
        finally:
            ledger.close()
    finally:
        lock.release()


def _find_hole(folder: Folder, ledger: Ledger) -> HoleError:
    try:
        scan(folder, ledger)
    except HoleError as hole:
        return hole
    raise RefusedWriteError("the store is sound: open it")


def _save(
    folder: Folder,
    sound: _Sound,
    hole: HoleError,
    last: int,
    old_store_id: UUID,
    into: Place,
    settings: Settings | None,
) -> Repair:
    state = sound.state
    first = state.mark.index if state.mark else 0
    entries = [entry for entry in sound.entries if entry.index > first]
    if state.base > first or (entries and entries[0].index != first + 1):
        raise DamagedError("no snapshot covers what was compacted", file=hole.file)
    with FileStorage.create(into, settings) as store:
        if state.mark is not None:
            _save_snapshot(folder, state.mark, store)
        for start in range(0, len(entries), _BATCH):
            store.save(entries=entries[start : start + _BATCH])
        commit = max(store.snapshot_index, min(state.hard_state.commit, store.last_index()))
        store.save(hard_state=msgspec.structs.replace(state.hard_state, commit=commit))
        return Repair(
            str(hole),
            store.store_id,
            old_store_id,
            store.snapshot_index,
            store.last_index(),
            range(store.last_index() + 1, max(last, store.last_index()) + 1),
            state.hard_state.term,
        )


def _save_snapshot(folder: Folder, mark: SnapshotMark, store: FileStorage) -> None:
    with (
        SnapshotReader(folder, mark) as reader,
        store.write_snapshot(reader.index, reader.term, reader.conf_state) as writer,
    ):
        for piece in reader.pieces():
            writer.write(piece)
        store.save(writer)


@attrs.define
class _Sound:
    """The log up to the first damage."""

    state: LogState = attrs.field(factory=LogState)
    entries: list[Entry] = attrs.field(factory=list[Entry])

    @classmethod
    def read(cls, folder: Folder, ledger: Ledger) -> _Sound:
        """Read forward from the oldest segment as long as one follows the other."""
        found = cls()
        for walk, data in _walks(folder, ledger):
            found._take(walk, data)
        return found

    def _take(self, walk: Walk, data: bytes) -> None:
        segment = walk.segment()
        kept = [entry for entry in self.entries if entry.index < segment.low]
        newer = _entries(walk, data)
        if kept and newer and kept[-1].index + 1 != newer[0].index:
            kept = []  # a snapshot came between
        self.entries = [entry for entry in kept + newer if entry.index > walk.state.base]
        self.state = walk.state


def _entries(walk: Walk, data: bytes) -> list[Entry]:
    # The checksums of all of them were checked when the walk read their batches.
    found: list[Entry] = []
    for unit in walk.offsets:
        frame = walk.sealing.read(data, unit * ALIGNMENT)
        if frame is not None:
            found.append(Entry(frame.term, frame.index, frame.payload, EntryType(frame.detail)))
    return found


def _walks(folder: Folder, ledger: Ledger) -> Iterator[tuple[Walk, bytes]]:
    before: Walk | None = None
    for number in segment_numbers(list(folder.names())):
        file = folder.open(segment_name(number))
        try:
            data = file.read(0, file.size())
        finally:
            file.close()
        head = SegmentHead.decode(data)
        if head is None or head.store_id != ledger.store_id:
            return
        if before is not None and (head.number, head.previous_chain) != (
            before.head.number + 1,
            before.sealed_chain,
        ):
            return
        before = Walk(head)
        before.run(data)
        if before.batch:
            yield before, data
        if not before.index_at:
            return
