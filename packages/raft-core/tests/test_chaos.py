"""Small groups under loss, delay, duplication, reordering, crashes and changes of members.

Everything comes from a seed. It is a second opinion beside `raft_core.simulation`, with other code
and other promises. Storage writes are asynchronous here: a crash loses every write that its storage
thread had not done.
"""

from __future__ import annotations

import random
from collections import deque

import attrs
import pytest

from raft_core import (
    APPEND_THREAD,
    APPLY_THREAD,
    ConfChange,
    ConfChangeSingle,
    ConfChangeType,
    ConfChangeV2,
    Config,
    ConfState,
    Entry,
    HardState,
    MemoryStorage,
    Message,
    MessageType,
    Node,
    RaftError,
    Role,
    SafetyViolationError,
    Snapshot,
    decode_conf_change,
)


@attrs.define
class Member:
    """A node, its disk, and what its storage threads have yet to do."""

    node: Node
    storage: MemoryStorage
    to_write: deque[Message] = attrs.field(factory=deque)
    to_apply: deque[Message] = attrs.field(factory=deque)
    applied: int = 0
    conf: ConfState = attrs.field(factory=ConfState)


def content(index: int) -> bytes:
    return b"%d " % index * 3


class Chaos:
    """A group in which anything may happen, with Raft's five promises checked at every step."""

    def __init__(self, seed: int, size: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - no secret
        self.loss = self.rng.choice((0.0, 0.05, 0.3))
        self.copies = self.rng.choice((0.0, 0.1))
        self.crashes = self.rng.choice((0.0, 0.01, 0.03))
        self.changes = self.rng.choice((0.0, 0.02))
        self.settings = {
            "seed": seed,
            "pre_vote": self.rng.random() < 0.5,
            "check_quorum": self.rng.random() < 0.5,
            "max_inflight_messages": self.rng.choice((1, 3, 256)),
            "max_size_per_message": self.rng.choice((1, 100, 10_000)),
            "max_committed_size_per_ready": self.rng.choice((1, 200, 10_000)),
            "max_snapshot_chunk": self.rng.choice((0, 3)),
        }
        if self.settings["pre_vote"] and self.settings["check_quorum"]:
            self.settings["quiesce_tick"] = self.rng.choice((0, 3, 15))
        self.priorities = self.rng.choice(((0,) * 6, (0, 1, 2, 2, 1, 0)))
        self.members: dict[int, Member] = {}
        self.wire: list[Message] = []
        self.cut: set[tuple[int, int]] = set()
        self.committed: dict[int, Entry] = {}
        self.leaders: dict[int, int] = {}
        self.proposals = 0
        voters = tuple(range(1, size + 1))
        bootstrap = Snapshot(1, 1, ConfState(voters=voters))
        for node_id in range(1, 7):
            storage = MemoryStorage()
            if node_id in voters:
                storage.apply_snapshot(bootstrap)
                storage.set_hard_state(HardState(1, 0, 1))
            self.start(node_id, storage)

    def start(self, node_id: int, storage: MemoryStorage) -> None:
        snapshot = storage.snapshot()
        config = Config(
            id=node_id,
            applied=snapshot.index,
            async_storage_writes=True,
            priority=self.priorities[node_id - 1],
            **self.settings,  # type: ignore[arg-type]
        )
        member = Member(Node(config, storage), storage, applied=snapshot.index)
        member.conf = snapshot.conf_state
        self.members[node_id] = member

    # One step

    def step(self, *, calm: bool = False) -> None:
        rng = self.rng
        node_id = rng.choice(list(self.members))
        member = self.members[node_id]
        draw = rng.random()
        if draw < 0.06:
            member.node.tick()
        elif draw < 0.26:
            self.work(member)
        elif draw < 0.71:
            self.deliver(calm=calm)
        elif draw < 0.96:
            self.store(member)
        elif not calm:
            self.disturb(node_id, member)
        self.check(node_id, member)

    def disturb(self, node_id: int, member: Member) -> None:
        rng = self.rng
        draw = rng.random()
        if draw < 0.5:
            self.propose(member)
        elif draw < 0.5 + self.crashes * 5:
            self.start(node_id, member.storage)
        elif draw < 0.5 + (self.crashes + self.changes) * 5:
            self.change(member)
        elif draw < 0.85:
            rate = rng.choice((0.0, 0.0, 0.1, 0.4))
            self.cut = {
                (one, other)
                for one in self.members
                for other in self.members
                if one != other and rng.random() < rate
            }
        elif draw < 0.92:
            self.compact(member)
        elif draw < 0.97:
            member.node.transfer_leader(rng.randrange(1, 7))
        else:
            member.node.campaign()

    def propose(self, member: Member) -> None:
        self.proposals += 1
        try:
            member.node.propose(b"%d" % self.proposals)
        except RaftError:
            return

    def change(self, member: Member) -> None:
        rng = self.rng
        singles = tuple(
            ConfChangeSingle(rng.choice(list(ConfChangeType)[:4]), rng.randrange(1, 7))
            for _ in range(rng.choice((0, 1, 1, 2, 3)))
        )
        try:
            if len(singles) == 1:
                member.node.propose_conf_change(ConfChange(singles[0].type, singles[0].node_id))
            else:
                member.node.propose_conf_change(ConfChangeV2(singles))
        except RaftError:
            return

    def compact(self, member: Member) -> None:
        storage = member.storage
        if storage.snapshot().index < member.applied <= storage.last_index():
            storage.create_snapshot(member.applied, member.conf, content(member.applied))
            storage.compact(self.rng.randint(storage.first_index(), member.applied))

    def work(self, member: Member) -> None:
        if not member.node.has_ready():
            return
        for message in member.node.ready().messages:
            if message.to == APPEND_THREAD:
                member.to_write.append(message)
            elif message.to == APPLY_THREAD:
                member.to_apply.append(message)
            else:
                self.wire.append(message)

    def deliver(self, *, calm: bool) -> None:
        rng = self.rng
        if not self.wire:
            return
        position = rng.randrange(len(self.wire)) if rng.random() < 0.3 else 0
        if not calm and rng.random() < self.copies:
            message = self.wire[position]
        else:
            message = self.wire.pop(position)
        lost = rng.random() < self.loss or (message.sender, message.to) in self.cut
        if lost and not calm:
            return
        try:
            self.members[message.to].node.step(message)
        except SafetyViolationError:
            raise
        except RaftError:
            return

    def store(self, member: Member) -> None:
        queue = self.rng.choice((member.to_write, member.to_apply))
        if not queue:
            return
        message = queue.popleft()
        if message.type is MessageType.STORAGE_APPEND:
            if message.snapshot is not None and message.snapshot.index > member.applied:
                member.storage.apply_snapshot(message.snapshot)
                assert message.snapshot.data in (b"", content(message.snapshot.index))
                member.applied = message.snapshot.index
                member.conf = message.snapshot.conf_state
            member.storage.append(message.entries)
            if message.term:
                state = HardState(message.term, message.vote, message.commit)
                member.storage.set_hard_state(state)
        else:
            self.apply(member, message.entries)
        for response in message.responses:
            if response.sender in (APPEND_THREAD, APPLY_THREAD):
                member.node.step(response)
            else:
                self.wire.append(response)

    def apply(self, member: Member, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            if entry.index <= member.applied:
                continue  # a snapshot came first
            assert entry.index == member.applied + 1
            # State machine safety (paper, figure 3): nobody applies anything else at an index.
            assert self.committed.setdefault(entry.index, entry) == entry
            member.applied = entry.index
            change = decode_conf_change(entry)
            if change is not None:
                member.conf = member.node.apply_conf_change(change, entry.index)

    # What must hold

    def check(self, node_id: int, member: Member) -> None:
        raft = member.node._raft
        log = raft.log
        assert log.applied <= log.applying <= log.committed <= log.last_index()
        if raft.role is Role.LEADER:
            known = self.leaders.setdefault(raft.term, node_id)
            assert known == node_id  # election safety
            if known == node_id and raft.ticks == 0:
                self.check_completeness(member)

    def check_completeness(self, member: Member) -> None:
        """A leader holds everything that was ever committed (leader completeness)."""
        log = member.node._raft.log
        for index, entry in self.committed.items():
            if index >= log.first_index() and entry.term < member.node._raft.term:
                assert log.term(index) == entry.term

    def heal(self) -> None:
        """Demand that the group serves again once the faults are over."""
        self.cut = set()
        self.loss = self.copies = 0.0
        before = max(self.committed, default=1)
        for _ in range(60):
            for _ in range(400):
                self.step(calm=True)
            leader = max(
                (one for one in self.members.values() if one.node._raft.role is Role.LEADER),
                key=lambda one: one.node._raft.term,
                default=None,
            )
            if leader is not None:
                self.propose(leader)
            if max(self.committed, default=1) > before + 1:
                return
        raise AssertionError("the group does not come back")


@pytest.mark.parametrize("seed", range(30))
def test_chaos_breaks_no_promise_and_the_group_comes_back(seed: int) -> None:
    chaos = Chaos(seed, size=(1, 3, 3, 4, 5)[seed % 5])
    for _ in range(12_000):
        chaos.step()
    chaos.heal()
