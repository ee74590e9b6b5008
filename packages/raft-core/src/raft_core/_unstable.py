"""The part of the log that is not known to be on disk yet.

`entries[i]` has index `offset + i`. Those below `in_progress` have been handed out to be written.
Invariant: offset <= in_progress <= offset + len(entries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core._entries import Entry
    from raft_core._states import Snapshot


def _no_entries() -> list[Entry]:
    return []


@attrs.define
class Unstable:
    """Entries, and perhaps a snapshot before them, on their way to the disk."""

    offset: int
    in_progress: int
    entries: list[Entry] = attrs.field(factory=_no_entries)
    snapshot: Snapshot | None = None
    snapshot_in_progress: bool = False

    def first_index(self) -> int | None:
        """Return the first index of the whole log, if it is known here."""
        return self.snapshot.index + 1 if self.snapshot is not None else None

    def last_index(self) -> int | None:
        """Return the last index of the whole log, if it is known here."""
        if self.entries:
            return self.offset + len(self.entries) - 1
        return self.snapshot.index if self.snapshot is not None else None

    def term(self, index: int) -> int | None:
        """Return the term of an entry, if it is known here."""
        position = index - self.offset
        if position >= 0:
            return self.entries[position].term if position < len(self.entries) else None
        if self.snapshot is not None and self.snapshot.index == index:
            return self.snapshot.term
        return None

    def slice(self, low: int, high: int) -> tuple[Entry, ...]:
        """Return the entries in [low, high), which must all be here."""
        return tuple(self.entries[low - self.offset : high - self.offset])

    def has_next_entries(self) -> bool:
        """Say whether there are entries that have not been handed out."""
        return self.in_progress < self.offset + len(self.entries)

    def next_entries(self) -> tuple[Entry, ...]:
        """Return the entries that have not been handed out."""
        return tuple(self.entries[self.in_progress - self.offset :])

    def next_snapshot(self) -> Snapshot | None:
        """Return the snapshot if it has not been handed out."""
        return None if self.snapshot_in_progress else self.snapshot

    def accept_in_progress(self) -> None:
        """Note that everything has been handed out."""
        self.in_progress = self.offset + len(self.entries)
        self.snapshot_in_progress = self.snapshot is not None

    def stable_to(self, index: int, term: int) -> None:
        """Drop the entries up to one that is on disk.

        If that entry has been replaced while it was being written, nothing is dropped: the
        replacement still has to be written. Nor is anything before the snapshot below it is on
        disk: that replaces the log there, and entries of the same names with it.
        """
        if self.snapshot is not None:
            return
        if index < self.offset or self.term(index) != term:
            return
        del self.entries[: index + 1 - self.offset]
        self.offset = index + 1
        self.in_progress = max(self.in_progress, self.offset)

    def stable_snapshot_to(self, index: int) -> None:
        """Drop the snapshot if it is the one that is on disk."""
        if self.snapshot is not None and self.snapshot.index == index:
            self.snapshot = None
            self.snapshot_in_progress = False

    def restore(self, snapshot: Snapshot, tail: Sequence[Entry] = ()) -> None:
        """Replace everything with a snapshot, and what follows it."""
        self.offset = self.in_progress = snapshot.index + 1
        self.entries = list(tail)
        self.snapshot = snapshot
        self.snapshot_in_progress = False

    def truncate_and_append(self, entries: Sequence[Entry]) -> None:
        """Append entries; whatever was at or above the first of their indexes goes."""
        start = entries[0].index
        if start <= self.offset:  # this may reach below, into what is on disk
            self.entries = list(entries)
            self.offset = self.in_progress = start
            return
        if start < self.offset + len(self.entries):
            del self.entries[start - self.offset :]
            self.in_progress = min(self.in_progress, start)
        self.entries.extend(entries)
