"""The log: what is on disk, what is on its way there, and how far it is committed and applied.

Invariants: applied <= applying <= committed <= last index; committed entries never change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core._entries import NO_LIMIT, Entry, entries_size, limit_size
from raft_core._errors import CompactedError, StorageError, UnavailableError
from raft_core._unstable import Unstable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raft_core._states import Snapshot
    from raft_core._storage import Storage


@attrs.define
class RaftLog:
    """The log of one node."""

    storage: Storage
    unstable: Unstable
    committed: int
    """The highest entry known to be durable on a quorum."""
    applying: int
    """The highest entry handed out to be applied."""
    applied: int
    """The highest entry known to be applied."""
    max_applying_size: int = NO_LIMIT
    applying_size: int = 0
    """How much has been handed out and is not known to be applied."""
    applying_paused: bool = False
    wanted_snapshot: int = 0
    """Nothing is applied until a snapshot at or above this index has replaced the state; 0: the
    state is as it should be."""

    @classmethod
    def open(cls, storage: Storage, max_applying_size: int = NO_LIMIT) -> RaftLog:
        """Return the log that a storage holds, applied up to its compaction."""
        start = storage.first_index() - 1
        offset = storage.last_index() + 1
        return cls(storage, Unstable(offset, offset), start, start, start, max_applying_size)

    # Reading

    def first_index(self) -> int:
        """Return the index of the first entry."""
        first = self.unstable.first_index()
        return self.storage.first_index() if first is None else first

    def last_index(self) -> int:
        """Return the index of the last entry."""
        last = self.unstable.last_index()
        return self.storage.last_index() if last is None else last

    def term(self, index: int) -> int | None:
        """Return the term of an entry; nothing if it is compacted away or not there."""
        term = self.unstable.term(index)
        if term is not None:
            return term
        if index + 1 < self.first_index() or index > self.last_index():
            return None
        try:
            return self.storage.term(index)
        except (CompactedError, UnavailableError):  # the application compacts when it likes
            return None

    def last_term(self) -> int:
        """Return the term of the last entry.

        Raises:
            StorageError: The storage does not know the term of its own last entry.

        """
        last = self.last_index()
        term = self.term(last)
        if term is None:
            raise StorageError(f"the storage does not know the term of its last entry {last}")
        return term

    def matches(self, index: int, term: int) -> bool:
        """Say whether the log holds this entry."""
        return self.term(index) == term

    def is_up_to_date(self, index: int, term: int) -> bool:
        """Say whether a log that ends so is at least as good as this (Raft paper section 5.4.1)."""
        own_term = self.last_term()
        return term > own_term or (term == own_term and index >= self.last_index())

    def slice(self, low: int, high: int, max_size: int = NO_LIMIT) -> tuple[Entry, ...]:
        """Return the entries in [low, high) within a size, at least one.

        Raises:
            CompactedError: `low` is compacted away.

        """
        offset = self.unstable.offset
        if low < self.first_index():
            raise CompactedError(f"entry {low} is compacted away")
        if low >= high:
            return ()
        if low >= offset:
            return limit_size(self.unstable.slice(low, high), max_size)
        cut = min(high, offset)
        stored = self.storage.entries(low, cut, max_size)
        if high <= offset or len(stored) < cut - low:
            return stored
        rest = max_size - entries_size(stored)
        more = limit_size(self.unstable.slice(offset, high), rest)
        if len(more) == 1 and entries_size(more) > rest:
            return stored
        return stored + more

    def entries_from(self, low: int, max_size: int = NO_LIMIT) -> tuple[Entry, ...]:
        """Return the entries from an index to the end, within a size.

        Raises:
            CompactedError: `low` is compacted away.

        """
        return self.slice(low, self.last_index() + 1, max_size)

    def pages(self, low: int, high: int) -> Iterator[tuple[Entry, ...]]:
        """Yield the entries in [low, high), no more at a time than may be applied at a time."""
        while low < high:
            page = self.slice(low, high, self.max_applying_size)
            yield page
            low += len(page)

    def find_conflict_by_term(self, index: int, term: int) -> tuple[int, int]:
        """Return the last entry up to `index` whose term is at most `term`, as (index, term).

        No entry between the two can be in a log whose term at `index` is `term`, because terms
        never fall along a log. So one round of probing skips a whole term of differences instead
        of one entry (Raft paper section 5.3, end). The term is 0 where it is not known.
        """
        while index > 0:
            own_term = self.term(index)
            if own_term is None:
                return index, 0
            if own_term <= term:
                return index, own_term
            index -= 1
        return 0, 0

    # Appending

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries that begin above the commit index, replacing what is there."""
        self.unstable.truncate_and_append(entries)

    def maybe_append(
        self, prev_index: int, prev_term: int, entries: tuple[Entry, ...], commit: int
    ) -> int | None:
        """Append what a leader sent, unless the log does not hold the entry before it.

        Entries that are here already stay: an append that was overtaken by a longer one must not
        cut the log (Raft paper, figure 2, AppendEntries rule 3).

        Returns:
            The index of the last entry sent; nothing if the entry before them is not here.

        """
        last_index = self.last_index()
        if not self.matches(prev_index, prev_term):
            return None
        if entries:
            new = entries if prev_index == last_index else self._without_known(entries)
            if new:
                self.append(new)
        last_new = prev_index + len(entries)
        self.commit_to(min(commit, last_new))
        return last_new

    def _without_known(self, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        for position, entry in enumerate(entries):
            if not self.matches(entry.index, entry.term):
                return entries[position:]
        return ()

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the log up to a snapshot; what follows stays if it continues the same log.

        That is so only where the application asked for a snapshot: its log is whole, and entries
        above the snapshot may have been acknowledged.
        """
        matches = self.matches(snapshot.index, snapshot.term)
        tail = self.entries_from(snapshot.index + 1) if matches else ()
        self.commit_to(snapshot.index)
        self.wanted_snapshot = 0
        self.unstable.restore(snapshot, tail)

    # Committing and applying

    def commit_to(self, index: int) -> None:
        """Raise the commit index; it never falls."""
        self.committed = max(self.committed, index)

    def maybe_commit(self, index: int, term: int) -> bool:
        """Commit up to an entry if it is of this term; say whether anything was committed.

        An entry of an earlier term on a majority may still be overwritten: it counts as committed
        only through an entry of the leader's own term above it (Raft paper section 5.4.2).
        """
        if index > self.committed and self.matches(index, term):
            self.committed = index
            return True
        return False

    def _appliable(self, *, allow_unstable: bool) -> int:
        return self.committed if allow_unstable else min(self.committed, self.unstable.offset - 1)

    def has_next_committed(self, *, allow_unstable: bool) -> bool:
        """Say whether there is something to apply."""
        # A snapshot comes before the entries that follow it, so they wait for it.
        return (
            not self.applying_paused
            and not self.wanted_snapshot
            and self.unstable.snapshot is None
            and self.applying < self._appliable(allow_unstable=allow_unstable)
        )

    def next_committed(self, *, allow_unstable: bool) -> tuple[Entry, ...]:
        """Return what to apply next, within the size that may be outstanding.

        With `allow_unstable` an entry may be applied that this node itself has yet to write, as
        a quorum of others holds it.
        """
        if not self.has_next_committed(allow_unstable=allow_unstable):
            return ()
        high = self._appliable(allow_unstable=allow_unstable) + 1
        return self.slice(self.applying + 1, high, self.max_applying_size - self.applying_size)

    def accept_applying(self, entries: tuple[Entry, ...], *, allow_unstable: bool) -> None:
        """Note that entries were handed out to be applied."""
        self.applying = entries[-1].index
        self.applying_size += entries_size(entries)
        # Cut short of what could be applied: the next entry does not fit until some are applied.
        cut_short = self.applying < self._appliable(allow_unstable=allow_unstable)
        self.applying_paused = cut_short or self.applying_size >= self.max_applying_size

    def applied_to(self, index: int, size: int) -> None:
        """Note that everything up to an index is applied."""
        self.applied = max(self.applied, index)
        self.applying = max(self.applying, index)
        self.applying_size = max(0, self.applying_size - size)
        self.applying_paused = self.applying_size >= self.max_applying_size
