"""What a write must satisfy before it may change anything.

A store cannot know whether its caller keeps Raft's promises, but it can refuse what breaks them
whatever the reason: a vote changed within a term, a committed entry replaced, a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from raft_core import NO_NODE
from raft_storage._errors import RefusedWriteError
from raft_storage._frames import MAX_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core import Entry, HardState


class Ending(Protocol):
    """Where a snapshot ends."""

    @property
    def index(self) -> int:
        """Return the index."""
        ...

    @property
    def term(self) -> int:
        """Return the term of the entry there."""
        ...


class Written(Protocol):
    """What is stored so far, as the checks need it."""

    @property
    def hard_state(self) -> HardState:
        """Return the last hard state saved."""
        ...

    @property
    def snapshot_index(self) -> int:
        """Return where the latest snapshot ends; 0 without one."""
        ...

    def first_index(self) -> int:
        """Return the index of the first entry."""
        ...

    def last_index(self) -> int:
        """Return the index of the last entry."""
        ...

    def term(self, index: int) -> int:
        """Return the term of an entry."""
        ...


def check_save(
    written: Written,
    snapshot: Ending | None,
    entries: Sequence[Entry],
    hard_state: HardState | None,
) -> None:
    """Refuse a save that cannot be right.

    Raises:
        RefusedWriteError: What is wrong with it.

    """
    last = written.last_index()
    if snapshot is not None:
        _check_snapshot(written, snapshot, entries[-1].index if entries else snapshot.index)
        last = snapshot.index
    if entries:
        _check_entries(written, snapshot, entries)
        last = entries[-1].index
    if hard_state is not None:
        _check_hard_state(written.hard_state, hard_state, last)


def _check_snapshot(written: Written, snapshot: Ending, last: int) -> None:
    # It may be below what is committed, if the entries between come with it: an application that
    # lost its state asks for one.
    floor = max(written.snapshot_index, written.hard_state.commit)
    if snapshot.index <= written.snapshot_index or last < floor or snapshot.term < 1:
        raise RefusedWriteError(
            f"a snapshot of ({snapshot.term}, {snapshot.index}) would replace a log that is "
            f"committed up to {floor}"
        )
    _check_payload(snapshot.index, snapshot.term)


def _check_entries(written: Written, snapshot: Ending | None, entries: Sequence[Entry]) -> None:
    first = entries[0].index
    base = written.first_index() - 1 if snapshot is None else snapshot.index
    last = written.last_index() if snapshot is None else snapshot.index
    if not base < first <= last + 1:
        raise RefusedWriteError(f"entry {first} does not fit a log of {base + 1} to {last}")
    if snapshot is None:
        if first <= written.hard_state.commit:
            raise RefusedWriteError(f"entry {first} is committed, it cannot be replaced")
        term = written.term(first - 1)
    else:
        term = snapshot.term
    terms = [entry.term for entry in entries]
    if [entry.index for entry in entries] != list(range(first, first + len(entries))):
        raise RefusedWriteError(f"there is a gap in the entries from {first} on")
    if terms[0] < max(term, 1) or terms != sorted(terms):
        raise RefusedWriteError(f"terms fall in the entries from {first} on")
    size = max([len(entry.data) for entry in entries])
    if size > MAX_PAYLOAD:
        raise RefusedWriteError(f"an entry of {size} bytes; {MAX_PAYLOAD} at most")
    _check_payload(entries[-1].index, terms[-1])


def _check_payload(index: int, term: int) -> None:
    if index >= 2**63 or term >= 2**63:
        raise RefusedWriteError(f"({term}, {index}) is no name of an entry")


def _check_hard_state(old: HardState, new: HardState, last: int) -> None:
    if new.term < old.term or new.commit < old.commit:
        raise RefusedWriteError(f"neither term nor commit may fall: {old} to {new}")
    if new.term == old.term and old.vote not in (NO_NODE, new.vote):
        raise RefusedWriteError(f"in term {old.term} the vote is for {old.vote}, not {new.vote}")
    if new.commit > last:
        raise RefusedWriteError(f"entry {new.commit} cannot be committed, the log ends at {last}")
    if not 0 <= new.vote < 2**64 or new.term >= 2**63:
        raise RefusedWriteError(f"no hard state: {new}")


def check_new_snapshot(written: Written, index: int) -> None:
    """Refuse a snapshot of the own state that cannot be made.

    Raises:
        RefusedWriteError: There is a later one, or no such entry.

    """
    if index <= written.snapshot_index:
        raise RefusedWriteError(f"there is a snapshot at {written.snapshot_index} already")
    if not written.first_index() - 1 <= index <= written.last_index():
        raise RefusedWriteError(f"there is no entry {index}")


def check_compaction(written: Written, index: int) -> None:
    """Refuse a compaction that would lose something.

    Raises:
        RefusedWriteError: The entries are gone already, or no snapshot covers them.

    """
    if index < written.first_index():
        raise RefusedWriteError(f"entry {index} is compacted away already")
    if index > written.snapshot_index:
        raise RefusedWriteError(f"the latest snapshot ends at {written.snapshot_index}")
