"""Where the log lives: what Raft asks of it, and the plainest implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from raft_core._entries import NO_LIMIT, Entry, limit_size
from raft_core._errors import CompactedError, StorageError, UnavailableError
from raft_core._states import ConfState, HardState, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence


class Storage(Protocol):
    """The durable log as Raft reads it. Writing is the application's part; see `Ready`.

    The log holds the entries from `first_index` to `last_index`. What came before is in a snapshot
    at `first_index - 1`, the term of which is still known.
    """

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Return what was saved, or empty values."""
        ...

    def first_index(self) -> int:
        """Return the index of the first entry held, or the one it would have."""
        ...

    def last_index(self) -> int:
        """Return the index of the last entry held; `first_index() - 1` if there is none."""
        ...

    def term(self, index: int) -> int:
        """Return the term of the entry at an index from `first_index() - 1` to `last_index()`.

        Raises:
            CompactedError: The index is below these.
            UnavailableError: The index is above these.

        """
        ...

    def entries(self, low: int, high: int, max_size: int) -> tuple[Entry, ...]:
        """Return the entries in [low, high) within a size, at least one.

        Raises:
            CompactedError: `low` is below the first index.
            UnavailableError: `high` is above the last index by more than one.

        """
        ...

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot.

        Raises:
            SnapshotUnavailableError: There is none yet; Raft asks again later.

        """
        ...


def _no_entries() -> list[Entry]:
    return []


@attrs.define
class MemoryStorage:
    """A log in memory. It loses everything with the process: for tests, examples, simulations."""

    hard_state: HardState = attrs.field(factory=HardState)
    latest_snapshot: Snapshot = attrs.field(factory=Snapshot)
    _compacted: Snapshot = attrs.field(factory=Snapshot, init=False)
    _entries: list[Entry] = attrs.field(factory=_no_entries, init=False)

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Return what was saved, or empty values."""
        return self.hard_state, self.latest_snapshot.conf_state

    def first_index(self) -> int:
        """Return the index of the first entry held, or the one it would have."""
        return self._compacted.index + 1

    def last_index(self) -> int:
        """Return the index of the last entry held; `first_index() - 1` if there is none."""
        return self._compacted.index + len(self._entries)

    def term(self, index: int) -> int:
        """Return the term of the entry at an index.

        Raises:
            CompactedError: The index is below the snapshot.
            UnavailableError: The index is above the last one.

        """
        offset = index - self._compacted.index
        if offset == 0:
            return self._compacted.term
        if offset < 0:
            raise CompactedError(f"entry {index} is compacted away")
        if offset > len(self._entries):
            raise UnavailableError(f"entry {index} is not there yet")
        return self._entries[offset - 1].term

    def entries(self, low: int, high: int, max_size: int = NO_LIMIT) -> tuple[Entry, ...]:
        """Return the entries in [low, high) within a size, at least one.

        Raises:
            CompactedError: `low` is below the first index.
            UnavailableError: `high` is above the last index by more than one.

        """
        first = self._compacted.index + 1
        if low < first:
            raise CompactedError(f"entry {low} is compacted away")
        if high > self.last_index() + 1:
            raise UnavailableError(f"entry {high - 1} is not there yet")
        return limit_size(tuple(self._entries[low - first : high - first]), max_size)

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot."""
        return self.latest_snapshot

    def set_hard_state(self, state: HardState) -> None:
        """Save the hard state."""
        self.hard_state = state

    def append(self, entries: Sequence[Entry]) -> None:
        """Save entries; those that were at or above the first of their indexes go.

        Raises:
            StorageError: The entries would leave a gap.

        """
        if not entries:
            return
        first = self._compacted.index + 1
        start = entries[0].index - first
        if start < 0:  # what a snapshot holds already is not written again
            entries, start = entries[-start:], 0
        if not entries:
            return
        if start > len(self._entries):
            raise StorageError(f"entry {entries[0].index} would leave a gap")
        if start < len(self._entries):
            del self._entries[start:]
        self._entries.extend(entries)

    def apply_snapshot(self, snapshot: Snapshot) -> None:
        """Replace the whole log with a snapshot from the leader."""
        self.latest_snapshot = self._compacted = snapshot
        self._entries.clear()

    def create_snapshot(self, index: int, conf_state: ConfState, data: bytes) -> Snapshot:
        """Keep the application's state after everything up to an applied index.

        Raises:
            StorageError: There is a later snapshot, or no such entry.

        """
        if index <= self.latest_snapshot.index:
            raise StorageError(f"there is a snapshot at {self.latest_snapshot.index} already")
        snapshot = Snapshot(index, self.term(index), conf_state, data)
        self.latest_snapshot = snapshot
        return snapshot

    def compact(self, index: int) -> None:
        """Drop the entries up to and with an index; the latest snapshot must cover them.

        Raises:
            StorageError: They are gone already, or no snapshot covers them.

        """
        if index <= self._compacted.index:
            raise CompactedError(f"entry {index} is compacted away")
        if index > self.latest_snapshot.index:
            raise StorageError(f"the latest snapshot ends at {self.latest_snapshot.index}")
        term = self.term(index)
        del self._entries[: index - self._compacted.index]
        self._compacted = Snapshot(index, term)
