"""The core as a run uses it: unchanged, but with its state in sight and its log's door watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core._node import Node
from raft_core._unstable import Unstable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core._config import Config
    from raft_core._entries import Entry
    from raft_core._raft import Raft
    from raft_core._states import Snapshot
    from raft_core._storage import Storage


def _no_changes() -> list[tuple[int, Sequence[Entry]]]:
    return []


@attrs.define
class Door(Unstable):
    """The only way by which entries get into a log, or out of it again."""

    changes: list[tuple[int, Sequence[Entry]]] = attrs.field(factory=_no_changes)
    """Where the log ended, and what was put in, since somebody last looked."""
    tail: tuple[int, int | None] = (0, 0)
    """Index and term of what was put in last: the end of the log, whatever the disk is doing."""

    def truncate_and_append(self, entries: Sequence[Entry]) -> None:
        """Note it, and do it."""
        last = self.last_index()
        self.changes.append((self.offset - 1 if last is None else last, entries))
        self.tail = (entries[-1].index, entries[-1].term)
        Unstable.truncate_and_append(self, entries)

    def restore(self, snapshot: Snapshot, tail: Sequence[Entry] = ()) -> None:
        """Note it, and do it."""
        self.tail = (tail[-1].index, tail[-1].term) if tail else (snapshot.index, snapshot.term)
        Unstable.restore(self, snapshot, tail)


class WatchedNode(Node):
    """A node whose state machine can be looked at."""

    def __init__(self, config: Config, storage: Storage) -> None:
        super().__init__(config, storage)
        unstable = self._raft.log.unstable
        self.door = Door(unstable.offset, unstable.in_progress)
        log = self._raft.log
        self.door.tail = (log.last_index(), log.last_term())
        log.unstable = self.door

    @property
    def raft(self) -> Raft:
        """Return the state machine, to look at and not to touch."""
        return self._raft
