"""raft_core alone: three nodes in one thread, logs in memory, messages handed over as they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from raft_core import Config, ConfState, MemoryStorage, Node, Role, Snapshot

if TYPE_CHECKING:
    from raft_core import Message

BATCH: Final = 64
BATCHES: Final = 500
_VOTERS: Final = (1, 2, 3)


def committed() -> float:
    """Return proposals a second that all three nodes have applied."""
    group = _Group()
    group.nodes[1].campaign()
    group.settle()
    if group.nodes[1].status().soft_state.role is not Role.LEADER:
        raise RuntimeError("nobody was elected")
    batch = [b"v" * 128] * BATCH
    group.applied = 0
    began = time.perf_counter()
    for _ in range(BATCHES):
        group.nodes[1].propose_batch(batch)
        group.settle()
    taken = time.perf_counter() - began
    if group.applied != len(_VOTERS) * BATCH * BATCHES:
        raise RuntimeError(f"{group.applied} entries were applied")
    return BATCH * BATCHES / taken


class _Group:
    def __init__(self) -> None:
        self.applied = 0
        self.storages: dict[int, MemoryStorage] = {}
        self.nodes: dict[int, Node] = {}
        for number in _VOTERS:
            storage = MemoryStorage()
            storage.apply_snapshot(Snapshot(index=1, term=1, conf_state=ConfState(voters=_VOTERS)))
            self.storages[number] = storage
            self.nodes[number] = Node(Config(id=number, applied=1), storage)

    def settle(self) -> None:
        """Work until nobody has anything to do."""
        while messages := [message for number in _VOTERS for message in self._work(number)]:
            for message in messages:
                self.nodes[message.to].step(message)

    def _work(self, number: int) -> list[Message]:
        node, storage = self.nodes[number], self.storages[number]
        sent: list[Message] = []
        while node.has_ready():
            ready = node.ready()
            storage.append(ready.entries)
            if ready.hard_state is not None:
                storage.set_hard_state(ready.hard_state)
            self.applied += len(ready.committed_entries)
            node.advance()
            sent += ready.messages
            sent += ready.persisted_messages
        return sent
