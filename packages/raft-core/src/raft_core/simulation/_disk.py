"""A simulated disk: what was written is read back at once, and survives a crash once synced.

Of what was not synced, a crash keeps a part from the front: disks write in the background, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from raft_core._states import ConfState, HardState, Snapshot
from raft_core._storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core._entries import Entry
    from raft_core.simulation._dice import Dice


class Medium(MemoryStorage):
    """A log in memory, and the configuration up to which its reader has applied it."""

    conf_state: ConfState | None = None

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Return the hard state, and the configuration to start with."""
        return self.hard_state, self.conf_state or self.latest_snapshot.conf_state

    def write(self, operation: Operation) -> None:
        """Do one write."""
        if isinstance(operation, HardState):
            self.set_hard_state(operation)
        elif isinstance(operation, Snapshot):
            self.apply_snapshot(operation)
        elif isinstance(operation, (Compaction, Replacement)):
            operation.run(self)
        else:
            self.append(operation)

    def copy(self) -> Medium:
        """Return another with the same content."""
        twin = Medium()
        first, last = self.first_index(), self.last_index()
        twin.apply_snapshot(Snapshot(first - 1, self.term(first - 1)))
        twin.append(self.entries(first, last + 1))
        twin.latest_snapshot = self.latest_snapshot
        twin.hard_state = self.hard_state
        return twin


class Compaction:
    """The application's own snapshot, and perhaps entries dropped that it covers."""

    __slots__ = ("snapshot", "up_to")

    def __init__(self, snapshot: Snapshot, up_to: int) -> None:
        self.snapshot = snapshot
        self.up_to = up_to

    def run(self, medium: Medium) -> None:
        """Do it on a medium."""
        snapshot = self.snapshot
        if snapshot.index > medium.latest_snapshot.index:
            medium.create_snapshot(snapshot.index, snapshot.conf_state, snapshot.data)
        if self.up_to >= medium.first_index():
            medium.compact(self.up_to)


class Replacement:
    """A snapshot in place of the log, and the entries that follow it: both or neither."""

    __slots__ = ("entries", "snapshot")

    def __init__(self, snapshot: Snapshot, entries: tuple[Entry, ...]) -> None:
        self.snapshot = snapshot
        self.entries = entries

    def run(self, medium: Medium) -> None:
        """Do it on a medium."""
        medium.apply_snapshot(self.snapshot)
        medium.append(self.entries)


Operation: TypeAlias = "HardState | Snapshot | Compaction | Replacement | tuple[Entry, ...]"


class Disk:
    """What one host has written, and what of it is safe."""

    __slots__ = ("durable", "unsynced", "visible")

    def __init__(self) -> None:
        self.visible = Medium()
        self.durable = Medium()
        self.unsynced: list[Operation] = []

    def write(self, operation: Operation) -> None:
        """Write; nothing is safe yet."""
        self.visible.write(operation)
        self.unsynced.append(operation)

    def sync(self) -> None:
        """Make everything written safe."""
        for operation in self.unsynced:
            self.durable.write(operation)
        self.unsynced.clear()

    def lose_power(self, under_way: Sequence[Operation], dice: Dice) -> None:
        """Keep what is safe, and of the rest as much from the front as chance will have it."""
        operations = [*self.unsynced, *under_way]
        survivors = dice.below(len(operations) + 1)
        for operation in operations[:survivors]:
            self.durable.write(operation)
        if survivors < len(operations):
            torn = operations[survivors]
            if isinstance(torn, tuple) and len(torn) > 1:
                self.durable.write(torn[: dice.below(len(torn))])
        self.unsynced.clear()
        self.visible = self.durable.copy()

    def holds(self, index: int, term: int) -> bool:
        """Say whether an entry is safe, in the log or in a snapshot."""
        durable = self.durable
        if index < durable.first_index():
            return True
        return index <= durable.last_index() and durable.term(index) == term
