"""A group of nodes over a network that a test controls, with Raft's promises checked on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from raft_core import (
    ConfChange,
    ConfChangeType,
    ConfChangeV2,
    Config,
    ConfState,
    Entry,
    EntryType,
    HardState,
    MemoryStorage,
    Message,
    MessageType,
    Node,
    RaftError,
    ReadState,
    Role,
    Snapshot,
    decode_conf_change,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def make_storage(
    terms: Iterable[int] = (),
    *,
    voters: tuple[int, ...] = (1, 2, 3),
    learners: tuple[int, ...] = (),
    term: int | None = None,
    vote: int = 0,
    commit: int = 0,
) -> MemoryStorage:
    """Return a log with entries of these terms, from index 1."""
    conf = ConfState(voters=voters, learners=learners)
    storage = MemoryStorage(latest_snapshot=Snapshot(conf_state=conf))
    entries = [Entry(one, index) for index, one in enumerate(terms, 1)]
    storage.append(entries)
    last = entries[-1].term if entries else 0
    storage.set_hard_state(HardState(last if term is None else term, vote, commit))
    return storage


def make_node(node_id: int, storage: MemoryStorage | None = None, **settings: Any) -> Node:
    """Return a node without pre-vote and check-quorum unless they are asked for."""
    settings = {"pre_vote": False, "check_quorum": False, **settings}
    return Node(Config(id=node_id, **settings), storage or make_storage())


def work(node: Node, storage: MemoryStorage) -> list[Message]:
    """Do all that a node wants done; return what it sent."""
    sent: list[Message] = []
    while node.has_ready():
        ready = node.ready()
        sent += ready.messages
        if ready.snapshot is not None:
            storage.apply_snapshot(ready.snapshot)
        storage.append(ready.entries)
        if ready.hard_state is not None:
            storage.set_hard_state(ready.hard_state)
        sent += ready.persisted_messages
        for entry in ready.committed_entries:
            change = decode_conf_change(entry)
            if change is not None:
                node.apply_conf_change(change)
        node.advance()
    return sent


@attrs.define
class Peer:
    """A node of the network, its disk, and what it applied."""

    id: int
    config: Config
    storage: MemoryStorage
    node: Node
    applied: list[Entry] = attrs.field(factory=list)
    reads: list[ReadState] = attrs.field(factory=list)
    errors: list[RaftError] = attrs.field(factory=list)
    conf: ConfState = attrs.field(factory=ConfState)

    @property
    def role(self) -> Role:
        return self.node.status().soft_state.role

    @property
    def term(self) -> int:
        return self.node.status().hard_state.term

    @property
    def lead(self) -> int:
        return self.node.status().soft_state.lead

    @property
    def commit(self) -> int:
        return self.node.status().hard_state.commit

    @property
    def data(self) -> list[bytes]:
        return [entry.data for entry in self.applied if entry.type == 0 and entry.data]

    def log(self) -> list[tuple[int, int]]:
        first, last = self.storage.first_index(), self.storage.last_index()
        return [(entry.term, entry.index) for entry in self.storage.entries(first, last + 1)]


class Network:
    """Nodes 1 to n, each message delivered in order unless the test says otherwise."""

    def __init__(
        self,
        size: int = 3,
        *,
        learners: tuple[int, ...] = (),
        storages: dict[int, MemoryStorage] | None = None,
        each: dict[int, dict[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        self.peers: dict[int, Peer] = {}
        self.cut: set[tuple[int, int]] = set()
        self.drop: Callable[[Message], bool] = lambda _message: False
        self.in_flight: list[Message] = []
        self.sent: list[Message] = []
        self.leaders: dict[int, int] = {}
        self.committed: dict[int, Entry] = {}
        voters = tuple(range(1, size + 1))
        for node_id in (*voters, *learners):
            storage = (storages or {}).get(node_id)
            if storage is None:
                storage = make_storage(voters=voters, learners=learners)
            self.add(node_id, storage, **{**settings, **(each or {}).get(node_id, {})})

    def __getitem__(self, node_id: int) -> Peer:
        return self.peers[node_id]

    def add(self, node_id: int, storage: MemoryStorage, **settings: Any) -> Peer:
        settings = {"pre_vote": False, "check_quorum": False, **settings}
        config = Config(id=node_id, **settings)
        peer = Peer(node_id, config, storage, Node(config, storage))
        peer.conf = storage.latest_snapshot.conf_state
        self.peers[node_id] = peer
        return peer

    def restart(self, node_id: int) -> Peer:
        """Crash a node and start it from its disk."""
        peer = self.peers[node_id]
        applied = peer.storage.latest_snapshot.index
        peer.config = attrs.evolve(peer.config, applied=applied)
        peer.node = Node(peer.config, peer.storage)
        peer.applied = [entry for entry in peer.applied if entry.index <= applied]
        return peer

    # Faults

    def isolate(self, *node_ids: int) -> None:
        """Cut nodes off from all others, in both directions."""
        for node_id in node_ids:
            for other in self.peers:
                if other not in node_ids:
                    self.cut |= {(node_id, other), (other, node_id)}

    def heal(self) -> None:
        self.cut.clear()
        self.drop = lambda _message: False

    # Running

    def work(self, node_id: int) -> list[Message]:
        """Do once what a node wants done; return what it sent."""
        peer = self.peers[node_id]
        ready = peer.node.ready()
        if ready.snapshot is not None:
            peer.storage.apply_snapshot(ready.snapshot)
            peer.conf = ready.snapshot.conf_state
        peer.storage.append(ready.entries)
        if ready.hard_state is not None:
            peer.storage.set_hard_state(ready.hard_state)
        self._apply(peer, ready.committed_entries)
        peer.reads += ready.read_states
        peer.node.advance()
        self._check(peer)
        return [*ready.messages, *ready.persisted_messages]

    def _apply(self, peer: Peer, entries: Iterable[Entry]) -> None:
        for entry in entries:
            change = decode_conf_change(entry)
            if change is not None:
                peer.conf = peer.node.apply_conf_change(change)
            # State machine safety: whoever applies an index applies the same entry there.
            known = self.committed.setdefault(entry.index, entry)
            if EntryType.WITNESSED not in (entry.type, known.type):
                assert known == entry
            assert known.term == entry.term
            peer.applied.append(entry)

    def _check(self, peer: Peer) -> None:
        status = peer.node.status()
        if status.soft_state.role is Role.LEADER:  # election safety
            assert self.leaders.setdefault(status.hard_state.term, peer.id) == peer.id
        assert status.applied <= status.hard_state.commit <= status.last_index

    def settle(self, *node_ids: int) -> None:
        """Let the nodes work and deliver messages until nothing is left to do."""
        chosen = node_ids or tuple(self.peers)
        for _ in range(10_000):
            busy = [one for one in chosen if self.peers[one].node.has_ready()]
            for node_id in busy:
                sent = self.work(node_id)
                self.sent += sent
                self.in_flight += sent
            messages, self.in_flight = self.in_flight, []
            for message in messages:
                self.deliver(message)
            if not busy and not messages:
                return
        raise AssertionError("the nodes keep each other busy for ever")

    def deliver(self, message: Message) -> None:
        if (message.sender, message.to) in self.cut or self.drop(message):
            return
        peer = self.peers.get(message.to)
        if peer is None:
            return
        try:
            peer.node.step(message)
        except RaftError as error:
            peer.errors.append(error)

    def tick(self, count: int = 1, *node_ids: int) -> None:
        """Let ticks pass everywhere or for some nodes, settling after each."""
        for _ in range(count):
            for node_id in node_ids or tuple(self.peers):
                self.peers[node_id].node.tick()
            self.settle()

    def campaign(self, node_id: int) -> None:
        self.peers[node_id].node.campaign()
        self.settle()

    def propose(self, node_id: int, *batch: bytes) -> None:
        self.peers[node_id].node.propose_batch(batch or (b"x",))
        self.settle()

    def change(self, node_id: int, change: ConfChange | ConfChangeV2) -> None:
        self.peers[node_id].node.propose_conf_change(change)
        self.settle()

    def compact(self, node_id: int) -> None:
        """Put a snapshot in place of everything a node has applied."""
        peer = self.peers[node_id]
        applied = peer.node.status().applied
        peer.storage.create_snapshot(applied, peer.conf, b"")
        peer.storage.compact(applied)

    @property
    def leader(self) -> int:
        """Return the leader of the highest term that has one."""
        leads = [(one.term, one.id) for one in self.peers.values() if one.role is Role.LEADER]
        return max(leads)[1] if leads else 0

    def until_leader(self, limit: int = 200) -> int:
        """Let time pass until somebody leads whom a majority follows."""
        for _ in range(limit):
            leader = self.leader
            if (
                leader
                and sum(one.lead == leader for one in self.peers.values())
                > len(self.peers[leader].conf.voters) // 2
            ):
                return leader
            self.tick()
        raise AssertionError("no leader")


def add_voter(node_id: int) -> ConfChange:
    return ConfChange(ConfChangeType.ADD_NODE, node_id)


def add_learner(node_id: int) -> ConfChange:
    return ConfChange(ConfChangeType.ADD_LEARNER, node_id)


def remove(node_id: int) -> ConfChange:
    return ConfChange(ConfChangeType.REMOVE_NODE, node_id)


def of_type(messages: Iterable[Message], *kinds: MessageType) -> list[Message]:
    return [message for message in messages if message.type in kinds]


def append(
    to: int = 1,
    sender: int = 2,
    *,
    term: int,
    prev: tuple[int, int] = (0, 0),
    terms: Iterable[int] = (),
    commit: int = 0,
) -> Message:
    """Return an append after the entry `prev`, given as (term, index)."""
    log_term, index = prev
    return Message(
        type=MessageType.APP,
        to=to,
        sender=sender,
        term=term,
        log_term=log_term,
        index=index,
        entries=tuple(Entry(one, number) for number, one in enumerate(terms, index + 1)),
        commit=commit,
    )
