"""The store in memory: the same promises, for as long as the process lives."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import attrs
import msgspec

from raft_core import (
    NO_LIMIT,
    CompactedError,
    ConfState,
    Entry,
    HardState,
    Snapshot,
    SnapshotUnavailableError,
    UnavailableError,
)
from raft_storage._errors import ClosedError
from raft_storage._guard import check_compaction, check_new_snapshot, check_save

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

#: What an entry counts in size limits besides its data, as in raft_core.
_OVERHEAD = 24


def _no_entries() -> list[Entry]:
    return []


@attrs.define(eq=False, repr=False)
class MemoryStorage:
    """A store in memory; see `LogStore` for what its methods promise.

    It refuses what `FileStorage` refuses, so that a test with it says something about files.
    """

    store_id: UUID = attrs.field(factory=uuid4)
    hard_state: HardState = attrs.field(factory=HardState, init=False)
    _base: int = attrs.field(default=0, init=False)
    _base_term: int = attrs.field(default=0, init=False)
    _entries: list[Entry] = attrs.field(factory=_no_entries, init=False)
    _snapshot: Snapshot | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    # What raft_core reads

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Return what was saved, or empty values.

        Raises:
            ClosedError: The store is closed.

        """
        self._check_open()
        return self.hard_state, self._snapshot.conf_state if self._snapshot else ConfState()

    def first_index(self) -> int:
        """Return the index of the first entry held, or the one it would have."""
        return self._base + 1

    def last_index(self) -> int:
        """Return the index of the last entry held; `first_index() - 1` if there is none."""
        return self._base + len(self._entries)

    def term(self, index: int) -> int:
        """Return the term of the entry at an index.

        Raises:
            CompactedError: The index is below `first_index() - 1`.
            UnavailableError: The index is above the last one.
            ClosedError: The store is closed.

        """
        self._check_open()
        if index == self._base:
            return self._base_term
        self._check_range(index, index + 1)
        return self._entries[index - self._base - 1].term

    def entries(self, low: int, high: int, max_size: int = NO_LIMIT) -> tuple[Entry, ...]:
        """Return the entries in [low, high) within a size, at least one.

        Raises:
            CompactedError: `low` is below the first index.
            UnavailableError: `high` is above the last index by more than one.
            ClosedError: The store is closed.

        """
        self._check_open()
        if low >= high:
            return ()
        self._check_range(low, high)
        found: list[Entry] = []
        for entry in self._entries[low - self._base - 1 : high - self._base - 1]:
            max_size -= len(entry.data) + _OVERHEAD
            if max_size < 0 and found:
                break
            found.append(entry)
        return tuple(found)

    def _check_range(self, low: int, high: int) -> None:
        if low <= self._base:
            raise CompactedError(f"entry {low} is compacted away")
        if high > self.last_index() + 1:
            raise UnavailableError(f"entry {high - 1} is not there yet")

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot.

        Raises:
            SnapshotUnavailableError: There is none.
            ClosedError: The store is closed.

        """
        self._check_open()
        if self._snapshot is None:
            raise SnapshotUnavailableError("no snapshot was made yet")
        return self._snapshot

    @property
    def snapshot_index(self) -> int:
        """Return where the latest snapshot ends; 0 without one."""
        return self._snapshot.index if self._snapshot else 0

    def verify(self) -> None:
        """Find nothing, for memory is taken to be sound.

        Raises:
            ClosedError: The store is closed.

        """
        self._check_open()

    # Writing

    def save(
        self,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        hard_state: HardState | None = None,
    ) -> None:
        """Do the writes of one `Ready`, all of them or none.

        Raises:
            RefusedWriteError: It contradicts what is stored, or itself.
            ClosedError: The store is closed.

        """
        self._check_open()
        check_save(self, snapshot, entries, hard_state)
        if hard_state is not None:
            self.hard_state = hard_state
        if snapshot is not None:
            self._snapshot = snapshot
            self._base, self._base_term = snapshot.index, snapshot.term
            self._entries.clear()
            self._commit_to(snapshot.index)
        if entries:
            del self._entries[entries[0].index - self._base - 1 :]
            self._entries.extend(entries)

    def create_snapshot(self, index: int, conf_state: ConfState, data: bytes) -> Snapshot:
        """Keep the application's state after everything up to an applied index.

        Raises:
            RefusedWriteError: There is a later snapshot, or no such entry.
            ClosedError: The store is closed.

        """
        self._check_open()
        check_new_snapshot(self, index)
        self._snapshot = Snapshot(index, self.term(index), conf_state, data)
        self._commit_to(index)
        return self._snapshot

    def compact(self, index: int) -> None:
        """Drop the entries up to and with an index; the latest snapshot must cover them.

        Raises:
            RefusedWriteError: They are gone already, or no snapshot covers them.
            ClosedError: The store is closed.

        """
        self._check_open()
        check_compaction(self, index)
        term = self.term(index)
        del self._entries[: index - self._base]
        self._base, self._base_term = index, term

    def _commit_to(self, index: int) -> None:
        if self.hard_state.commit < index:
            self.hard_state = msgspec.structs.replace(self.hard_state, commit=index)

    # Its life

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the store is closed")

    def close(self) -> None:
        """Refuse everything from now on, as a store in files would. Twice is no error."""
        self._closed = True

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
