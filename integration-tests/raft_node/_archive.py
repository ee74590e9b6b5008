"""Snapshots of a replica: made of its state, taken from other nodes, put in place of its state.

None is ever in memory whole, and none holds up the loop or the log: whatever takes long is done in
threads beside both.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from raft_core import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from raft_storage import FileStorage, SnapshotReader, SnapshotWriter

    from ._state import State
    from ._writer import Writer


@attrs.frozen
class Limits:
    """When a snapshot is made, and how much log is kept behind it for followers that lag."""

    snapshot_every: int = 100_000
    keep: int = 10_000


@attrs.define(eq=False)
class Archive:
    """The latest snapshot of a store, and those that may become it."""

    store: FileStorage
    limits: Limits
    fail: Callable[[BaseException], None]
    index: int = 0
    """Where the latest snapshot ends that this replica has made or put in place."""
    _received: list[SnapshotWriter] = attrs.field(init=False, factory=list)
    """What other nodes have sent, whole and durable, and the log does not mention yet."""
    _making: bool = attrs.field(init=False, default=False)
    _tasks: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        async def watched() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - the outermost: the process ends with it
                self.fail(error)

        task = asyncio.create_task(watched())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Made here

    def make_if_due(self, state: State, applied: int, term: int, writer: Writer) -> None:
        """Make a snapshot of a state that is at an entry, if the last one is long ago."""
        if self._making or applied - self.index < self.limits.snapshot_every:
            return
        self._making = True
        self._begin(self._make(Snapshot(applied, term, state.members.conf), state.frames(), writer))

    async def _make(self, head: Snapshot, frames: Iterator[bytes], writer: Writer) -> None:
        draft = await asyncio.to_thread(self._write, head, frames)
        oldest = max(head.index - self.limits.keep, 0)

        def keep() -> None:
            if head.index > self.store.snapshot_index:  # else the leader has sent a later one
                self.store.keep_snapshot(draft)
            draft.discard()
            if self.store.first_index() <= oldest:
                self.store.compact(oldest)
            self.index = max(self.index, head.index)
            self._making = False

        writer.run(keep)  # after the writes begun before, so that the log holds the entry

    def _write(self, head: Snapshot, frames: Iterator[bytes]) -> SnapshotWriter:
        draft = self.store.write_snapshot(head.index, head.term, head.conf_state)
        for frame in frames:
            draft.write(frame)
        draft.finish()
        return draft

    # Taken from others

    def take(self, draft: SnapshotWriter) -> None:
        """Have what another node has sent, for when the log wants it."""
        self._received.append(draft)

    def taken(self, snapshot: Snapshot) -> SnapshotWriter:
        """Return what was sent of a snapshot that the log goes on from."""
        named = [
            one.index == snapshot.index and one.term == snapshot.term for one in self._received
        ]
        return self._received.pop(named.index(True))

    def drop(self, writer: Writer) -> None:
        """Remove what the log has not wanted."""
        while self._received:
            writer.run(self._received.pop().discard)

    # In place of the state

    def load(self, state: State) -> Snapshot:
        """Bring a new state to where the latest snapshot is; return which that was."""
        if not self.store.snapshot_index:
            return Snapshot()  # nobody has told this node of a group yet
        with self.store.open_snapshot() as reader:
            state.restore(reader.pieces())
            self.index = reader.index
            return head_of(reader)

    def replace(self, state: State, then: Callable[[State, Snapshot], None]) -> None:
        """Do as `load` does, beside the loop, and hand both back."""

        async def work() -> None:
            then(state, await asyncio.to_thread(self.load, state))

        self._begin(work())

    def close(self) -> None:
        """Wait for nothing that was begun: the next start goes on from what was kept."""
        for task in self._tasks:
            task.cancel()


def head_of(reader: SnapshotReader) -> Snapshot:
    """Return a snapshot without its data."""
    return Snapshot(reader.index, reader.term, reader.conf_state)
