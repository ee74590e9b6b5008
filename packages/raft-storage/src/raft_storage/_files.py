"""The store in files.

A folder holds `lock`, `store` (the identity, and notes of what is durable), segments of the log,
the latest snapshot, and copies of torn tails. The order of every write, so that a crash between
any two steps leaves the store before or after the write and nothing else:

- a batch: write, sync, note it, change memory, return;
- a segment: seal the one before (a batch), write the next aside, sync, rename, sync the folder;
- a snapshot: write aside, in pieces, beside other writes; sync, rename, sync the folder, then
  mention it in a batch, then remove the one before;
- compaction: say so in a batch, then remove segments, the oldest first.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
import msgspec

from raft_core import NO_LIMIT, ConfState, Entry, HardState, Snapshot, SnapshotUnavailableError
from raft_storage._errors import (
    ClosedError,
    DamagedError,
    RaftStorageError,
    RefusedWriteError,
    WriteFailedError,
)
from raft_storage._guard import check_compaction, check_new_snapshot, check_save
from raft_storage._log import Batch, SegmentedLog
from raft_storage._opening import Opened, Settings, create_store, open_store
from raft_storage._recovery import Recovery, scan
from raft_storage._snapshots import SnapshotDraft, SnapshotReader, snapshot_name
from raft_storage._streaming import SnapshotWriter
from raft_storage._system import THIS, folder_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from raft_storage._folder import Folder, Lock
    from raft_storage._scan import SnapshotMark
    from raft_storage._system import Place


@attrs.define(eq=False, init=False, repr=False)
class FileStorage:
    """A store in a folder; see `LogStore` for what its methods promise.

    Made by `create`, once, and by `open` ever after. It belongs to the process that opened it.
    """

    recovery: Recovery
    """What was found when it was opened."""
    _folder: Folder
    _lock: Lock
    _log: SegmentedLog
    _hard_state: HardState
    _head: Snapshot | None
    """The latest snapshot without its data. One assignment changes it: other threads read it."""
    _drafts: Iterator[int]
    _process: int
    _failure: RaftStorageError | None
    _turn: threading.Lock

    def __init__(self, opened: Opened) -> None:
        self.recovery = opened.recovery
        self._folder = opened.folder
        self._lock = opened.lock
        self._log = opened.log
        self._hard_state = opened.log.state.hard_state
        mark = opened.log.state.mark
        self._head = Snapshot(mark.index, mark.term, opened.conf_state) if mark else None
        self._drafts = itertools.count(1)
        self._process = THIS.process
        self._failure = None
        self._turn = threading.Lock()

    @classmethod
    def create(
        cls, place: Place, settings: Settings | None = None, *, store_id: UUID | None = None
    ) -> Self:
        """Make a new, empty store in a folder, and the folder if need be.

        Raises:
            ExistsError: There is a store already.
            LockedError: Somebody is making or using one.
            ReadOnlyError: The folder cannot be written to.
            NoSpaceError: There is no room.
            WriteFailedError: The disk failed.

        """
        return cls(create_store(folder_of(place), settings or Settings(), store_id))

    @classmethod
    def open(cls, place: Place, settings: Settings | None = None) -> Self:
        """Open a store, and check every byte of it.

        A torn write at the end, of which nobody had been told that it is done, is cut off; a copy
        stays.

        Raises:
            NotFoundError: There is none. It is not made: that would be a voter without memory.
            LockedError: Somebody has it open.
            HoleError: Acknowledged parts of the log are lost. Nothing was changed.
            DamagedError: The identity or the snapshot is lost. Nothing was changed.
            FormatError: It has a format that this installation cannot read.
            ReadOnlyError: The folder cannot be written to.
            NoSpaceError: There is no room for the copy of a torn tail.
            WriteFailedError: The disk failed.

        """
        return cls(open_store(folder_of(place), settings or Settings()))

    # What raft_core reads

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Return what was saved, or empty values.

        Raises:
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        self._check_usable()
        return self._hard_state, self._head.conf_state if self._head else ConfState()

    def first_index(self) -> int:
        """Return the index of the first entry held, or the one it would have."""
        return self._log.state.base + 1

    def last_index(self) -> int:
        """Return the index of the last entry held; `first_index() - 1` if there is none."""
        return self._log.last_index()

    def term(self, index: int) -> int:
        """Return the term of the entry at an index.

        Raises:
            CompactedError: The index is below `first_index() - 1`.
            UnavailableError: The index is above the last one.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        self._check_usable()
        return self._log.term(index)

    def entries(self, low: int, high: int, max_size: int = NO_LIMIT) -> tuple[Entry, ...]:
        """Return the entries in [low, high) within a size, at least one.

        Raises:
            CompactedError: `low` is below the first index.
            UnavailableError: `high` is above the last index by more than one.
            HoleError: One of them is not as it was written.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        self._check_usable()
        return self._log.entries(low, high, max_size)

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot, whole; see `open_snapshot`.

        Raises:
            SnapshotUnavailableError: There is none.
            DamagedError: It is not as it was written.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        with self.open_snapshot() as reader:
            return Snapshot(reader.index, reader.term, reader.conf_state, reader.read())

    def open_snapshot(self) -> SnapshotReader:
        """Return the latest snapshot, to be read in pieces, by any thread.

        Raises:
            SnapshotUnavailableError: There is none.
            DamagedError: It is not as it was written.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        self._check_usable()
        while (mark := self._log.state.mark) is not None:
            try:
                return SnapshotReader(self._folder, mark)
            except DamagedError:
                if mark is self._log.state.mark:  # else it was replaced before it was opened
                    raise
        raise SnapshotUnavailableError("no snapshot was made yet")

    def snapshot_head(self) -> Snapshot:
        """Return the latest snapshot without its data, from memory.

        Raises:
            SnapshotUnavailableError: There is none.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        self._check_usable()
        if self._head is None:
            raise SnapshotUnavailableError("no snapshot was made yet")
        return self._head

    # What else there is to know

    @property
    def store_id(self) -> UUID:
        """Return what distinguishes this store from every other."""
        return self._log.ledger.store_id

    @property
    def hard_state(self) -> HardState:
        """Return the last hard state saved."""
        return self._hard_state

    @property
    def snapshot_index(self) -> int:
        """Return where the latest snapshot ends; 0 without one."""
        mark = self._log.state.mark
        return mark.index if mark else 0

    def verify(self) -> None:
        """Read everything from the disk again.

        Raises:
            DamagedError: Something is not as it was written.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed, now or before.

        """
        with self._disk():
            scan(self._folder, self._log.ledger)

    # Writing

    def save(
        self,
        snapshot: Snapshot | SnapshotWriter | None = None,
        entries: Sequence[Entry] = (),
        hard_state: HardState | None = None,
    ) -> None:
        """Do the writes of one `Ready`, all of them or none.

        For a snapshot whose data came another way, give what it was written with.

        Raises:
            RefusedWriteError: It contradicts what is stored, or itself; or another thread writes.
            NoSpaceError: There is no room; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        with self._writing():
            check_save(self, snapshot, entries, hard_state)
            new = hard_state or self._hard_state
            old = self._log.state.hard_state
            if snapshot is not None:
                new = _committed_to(new, snapshot.index)
                self._install(snapshot, entries, new)
            elif entries or (new.term, new.vote) != (old.term, old.vote):
                self._log.write(Batch(hard_state=new if new != old else None, entries=entries))
            self._hard_state = new

    def _install(
        self,
        snapshot: Snapshot | SnapshotWriter,
        entries: Sequence[Entry],
        hard_state: HardState,
    ) -> None:
        mark, old = self._settle_snapshot(snapshot), self._log.state.mark
        self._log.write(Batch(mark, replaces_log=True, hard_state=hard_state, entries=entries))
        self._head = Snapshot(snapshot.index, snapshot.term, snapshot.conf_state)
        self._remove_snapshot(old, mark)
        self._log.remove_dead_segments()

    def create_snapshot(self, index: int, conf_state: ConfState, data: bytes) -> Snapshot:
        """Keep the application's state after everything up to an applied index.

        Raises:
            RefusedWriteError: There is a later snapshot, or no such entry.
            NoSpaceError: There is no room; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        with self._writing():
            check_new_snapshot(self, index)
            snapshot = Snapshot(index, self._log.term(index), conf_state, data)
            self._mention(snapshot)
            return snapshot

    def write_snapshot(self, index: int, term: int, conf_state: ConfState) -> SnapshotWriter:
        """Begin to write a snapshot in pieces, of the own state or another node's.

        Any thread may write it, while another writes to the log. Nothing is said of it before it
        is kept: by `keep_snapshot`, or as part of a `save`.

        Raises:
            NoSpaceError: There is no room.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        draft = SnapshotDraft(self._folder, next(self._drafts), index, term, conf_state)
        return SnapshotWriter(draft, self._disk)

    def keep_snapshot(self, written: SnapshotWriter) -> None:
        """Keep the application's state after everything up to an applied index, in pieces written.

        Raises:
            RefusedWriteError: There is a later snapshot, or no such entry.
            NoSpaceError: There is no room; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        with self._writing():
            check_new_snapshot(self, written.index)
            if self._log.term(written.index) != written.term:
                raise RefusedWriteError(f"entry {written.index} is not of term {written.term}")
            self._mention(written)

    def _mention(self, snapshot: Snapshot | SnapshotWriter) -> None:
        mark, old = self._settle_snapshot(snapshot), self._log.state.mark
        # What was applied is committed, so that a restart may begin from the snapshot.
        hard_state = _committed_to(self._hard_state, snapshot.index)
        self._log.write(Batch(mark, hard_state=hard_state))
        self._hard_state = hard_state
        self._head = Snapshot(snapshot.index, snapshot.term, snapshot.conf_state)
        self._remove_snapshot(old, mark)

    def compact(self, index: int) -> None:
        """Drop the entries up to and with an index; the latest snapshot must cover them.

        Files are removed as soon as nothing in them is left.

        Raises:
            RefusedWriteError: They are gone already, or no snapshot covers them.
            NoSpaceError: There is no room to note it; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        with self._writing():
            check_compaction(self, index)
            self._log.write(Batch(base=(index, self._log.term(index))))
            self._log.remove_dead_segments()

    def _settle_snapshot(self, snapshot: Snapshot | SnapshotWriter) -> SnapshotMark:
        if isinstance(snapshot, SnapshotWriter):
            return snapshot.settle()
        with self.write_snapshot(snapshot.index, snapshot.term, snapshot.conf_state) as writer:
            writer.write(snapshot.data)
            return writer.settle()

    def _remove_snapshot(self, old: SnapshotMark | None, new: SnapshotMark) -> None:
        if old is not None and (old.index, old.term) != (new.index, new.term):
            self._folder.remove(snapshot_name(old.index, old.term))

    # Its life

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Let one thread write at a time: two at once would leave a hole that looks like damage."""
        if not self._turn.acquire(blocking=False):
            raise RefusedWriteError("another thread is writing: one at a time")
        try:
            with self._disk():
                yield
        finally:
            self._turn.release()

    @contextmanager
    def _disk(self) -> Generator[None]:
        """Let a failure of the disk be the last thing that this store does."""
        self._check_usable()
        try:
            yield
        except OSError as error:
            self._failure = WriteFailedError(f"the disk failed, open the store anew: {error}")
            raise self._failure from error

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(self._failure.reason) from self._failure
        if self._process != THIS.process:
            raise ClosedError("the store was opened by the process that this one is a fork of")

    def close(self) -> None:
        """Write what waits to be written, and let others open the store. Twice is no error.

        Raises:
            NoSpaceError: There is no room for the commit index; it is closed all the same.
            RefusedWriteError: Another thread was writing; it is closed all the same.
            WriteFailedError: The disk failed; it is closed all the same.

        """
        if isinstance(self._failure, ClosedError) or self._process != THIS.process:
            return
        failed = self._failure is not None
        try:
            if not failed:
                self._settle()
        finally:
            failed = self._failure is not None
            self._failure = ClosedError("the store is closed")
            self._log.writer.file.close()
            self._log.ledger.close()
            if not failed:  # else nobody in this process may open it again
                self._lock.release()

    def _settle(self) -> None:
        with self._writing():
            if self._hard_state != self._log.state.hard_state:
                self._log.write(Batch(hard_state=self._hard_state))
            self._log.ledger.sync()

    def __enter__(self) -> Self:
        """Return the store; it is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()


def _committed_to(state: HardState, index: int) -> HardState:
    if state.commit >= index:
        return state
    return msgspec.structs.replace(state, commit=index)
