"""Whatever a node is told, it keeps its promises or refuses with a documented error."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_core import (
    ConfChange,
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeType,
    ConfChangeV2,
    ConfState,
    Entry,
    EntryType,
    MalformedMessageError,
    MemoryStorage,
    Message,
    MessageError,
    MessageType,
    ProposalDroppedError,
    RaftError,
    ReadDroppedError,
    ReadOnlyOption,
    Role,
    Snapshot,
    decode_conf_change,
    decode_message,
    encode_message,
)
from raft_core._conf_changes import conf_change_entry
from raft_core._messages import LOCAL_TYPES, SNAPSHOT_TYPES, TERMLESS_TYPES

from .network import make_node, make_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raft_core import Node

SETTINGS = (
    {},
    {"pre_vote": True, "check_quorum": True},
    {"check_quorum": True, "read_only": ReadOnlyOption.LEASE_BASED},
    {"pre_vote": True, "check_quorum": True, "quiesce_tick": 1, "priority": 1},
    {"max_snapshot_chunk": 2},
    {"async_storage_writes": True, "max_inflight_messages": 2, "max_size_per_message": 100},
)


KINDS = [kind for kind in MessageType if kind not in LOCAL_TYPES]


class Subject:
    """One node under random input, with its storage and what it has promised so far."""

    def __init__(self, rng: random.Random, settings: Mapping[str, object]) -> None:
        self.rng = rng
        terms = sorted(rng.choices(range(1, 4), k=rng.randrange(6)))
        learners = (4,) if rng.random() < 0.5 else ()
        self.storage = make_storage(terms, learners=learners)
        self.node = make_node(1, self.storage, seed=rng.randrange(99), **settings)
        self.asynchronous = bool(settings.get("async_storage_writes"))
        self.applied: dict[int, Entry] = {}
        self.term, self.vote, self.commit = self.storage.hard_state.term, 0, 0

    # What arrives

    def index(self) -> int:
        log = self.node._raft.log
        near = (0, log.committed, log.last_index(), log.first_index(), log.applied)
        index = self.rng.choice(near) + self.rng.randrange(-2, 3)
        return max(-1 if self.rng.random() < 0.01 else 0, index)

    def message(self) -> Message:
        """Return a message that is mostly well formed, and about what this node knows."""
        rng, raft = self.rng, self.node._raft
        kind = rng.choice(KINDS if rng.random() < 0.95 else list(MessageType))
        wild = rng.random() < 0.1  # any field may be set, whatever the type
        (step,) = rng.choices((-1, 0, 1, 2), (2, 36, 1, 1))
        term = max(0, raft.term + step)
        if kind in TERMLESS_TYPES and not wild:
            term = 0
        index = self.index()
        log_term = raft.log.term(index) or 0
        if rng.random() < 0.2:
            log_term = max(0, log_term + rng.randrange(-1, 3))
        sender = rng.choice((2, 3))
        if wild:
            sender = rng.choice((1, 2, 3, 4, 9, 0, 2**64 - 1))
        return Message(
            type=kind,
            to=1 if rng.random() < 0.98 else 2,
            sender=sender,
            term=rng.choice((2**40, -1, 2**63)) if rng.random() < 0.02 else term,
            log_term=log_term,
            index=index,
            entries=self.payload(kind, index, log_term, term),
            commit=self.index() if kind is MessageType.APP or wild else raft.log.committed,
            vote=rng.randrange(4),
            snapshot=self.snapshot() if kind in SNAPSHOT_TYPES or rng.random() < 0.02 else None,
            reject=rng.random() < 0.3,
            reject_hint=max(0, index - rng.randrange(3)),
            context=self.context(kind, wild=wild),
            priority=rng.choice((0, 0, 2, -1, 2**40)) if wild else rng.randrange(3),
            offset=rng.choice((-1, 2**63)) if wild else rng.choice((0, 0, 2, 4)),
        )

    def payload(self, kind: MessageType, index: int, log_term: int, term: int) -> tuple[Entry, ...]:
        if kind in (MessageType.READ_INDEX, MessageType.READ_INDEX_RESP):
            return (Entry(data=b"r"),) * self.rng.choice((1, 1, 1, 2))
        return self.entries(index, log_term, term)

    def context(self, kind: MessageType, *, wild: bool) -> bytes:
        raft = self.node._raft
        if wild:
            return self.rng.choice((b"x", b"transfer", self.rng.randbytes(16)))
        if kind is MessageType.HEARTBEAT_RESP:
            return raft.read_only.heartbeat_context(raft.ticks)
        return self.rng.choice((b"", b"", b"", b"transfer"))

    def entries(self, index: int, log_term: int, term: int) -> tuple[Entry, ...]:
        rng = self.rng
        count = rng.choice((0, 1, 1, 2, 5))
        terms = sorted(rng.randint(min(log_term, term), max(log_term, term)) for _ in range(count))
        entries = [Entry(one, index + place, self.data()) for place, one in enumerate(terms, 1)]
        if rng.random() < 0.2:
            change = self.change()
            entries.append(Entry(term, index + count + 1, change.data, change.type))
        if rng.random() < 0.05:
            rng.shuffle(entries)
        return tuple(entries)

    def data(self) -> bytes:
        return self.rng.choice((b"", b"x", b"x" * 50))

    def change(self) -> Entry:
        rng = self.rng
        node_id, kind = rng.randrange(6), rng.choice(list(ConfChangeType)[:4])
        single = ConfChangeSingle(kind, node_id)
        return rng.choice(
            (
                conf_change_entry(ConfChange(kind, node_id)),
                conf_change_entry(ConfChangeV2((single, single))),
                conf_change_entry(ConfChangeV2()),
                Entry(data=b"broken", type=EntryType.CONF_CHANGE),
            )
        )

    def snapshot(self) -> Snapshot:
        rng = self.rng
        conf = rng.choice(
            (
                ConfState(voters=(1, 2, 3)),
                ConfState(voters=(3, 2, 1), learners=(5,)),
                ConfState(voters=(1, 2), voters_outgoing=(1, 2, 3), learners_next=(3,)),
                ConfState(voters=(1, 2)),
                ConfState(voters=(1,), learners=(1,)),
            )
        )
        raft = self.node._raft
        data = rng.choice((b"", b"xy", b"vwxyz"))
        return Snapshot(self.index() + 1, max(0, raft.term - rng.randrange(3)), conf, data)

    # What happens

    def act(self) -> None:
        rng, node = self.rng, self.node
        if rng.random() < 0.7:
            self.step(self.message())
        else:
            rng.choice(
                (
                    node.tick,
                    self.work,
                    self.work,
                    self.win,
                    lambda: self.ask(node.campaign),
                    lambda: self.ask(lambda: node.propose(self.data())),
                    lambda: self.ask(lambda: node.read_index(b"r")),
                    node.forget_leader,
                    lambda: node.transfer_leader(rng.randrange(5)),
                    lambda: node.report_unreachable(rng.randrange(5)),
                    lambda: node.report_snapshot(rng.randrange(5), success=rng.random() < 0.5),
                )
            )()
        self.check()

    def step(self, message: Message) -> None:
        self.ask(lambda: self.node.step(message))

    def ask(self, action: Callable[[], None]) -> None:
        """Do something that may be refused; what is refused changes nothing."""
        before = self.fingerprint()
        try:
            action()
        except (MessageError, ReadDroppedError, ProposalDroppedError, ConfChangeError):
            assert self.fingerprint() == before

    def win(self) -> None:
        """Campaign, and get the votes for it, so that leaders are tested as well."""
        self.ask(self.node.campaign)
        self.get_vote()
        self.get_vote()

    def get_vote(self) -> None:
        self.work()
        term = self.node._raft.term
        if self.node._raft.role is Role.PRE_CANDIDATE:
            kind, term = MessageType.PRE_VOTE_RESP, term + 1
        else:
            kind = MessageType.VOTE_RESP
        self.step(Message(type=kind, to=1, sender=2, term=term))

    def work(self) -> None:
        for _ in range(3):
            if not self.node.has_ready():
                return
            ready = self.node.ready()
            if self.asynchronous:
                for message in ready.messages:
                    self.store(message)
                continue
            self.write(ready.entries, ready.snapshot)
            self.apply(ready.committed_entries)
            self.node.advance()

    def store(self, message: Message) -> None:
        if message.type is MessageType.STORAGE_APPEND:
            self.write(message.entries, message.snapshot)
        elif message.type is MessageType.STORAGE_APPLY:
            self.apply(message.entries)
        for response in message.responses:
            if response.to == 1:
                self.node.step(response)

    def write(self, entries: tuple[Entry, ...], snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            self.storage.apply_snapshot(snapshot)
        self.storage.append(entries)

    def apply(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            assert self.applied.setdefault(entry.index, entry) == entry
            try:
                change = decode_conf_change(entry)
                if change is not None:
                    self.node.apply_conf_change(change)
            except RaftError:
                continue  # others could not apply it either

    # What must hold

    def fingerprint(self) -> tuple[object, ...]:
        raft = self.node._raft
        log = raft.log
        return (
            self.node.status(),
            tuple(log.unstable.entries),
            log.unstable.snapshot,
            len(raft.messages),
            len(raft.messages_after_write),
            len(raft.read_states),
            raft.election_elapsed,
            raft.leaderless,
            raft.incoming and len(raft.incoming.data),
            raft.pending_conf_index,
            raft.uncommitted_size,
            dict(raft.tracker.votes),
        )

    def check(self) -> None:
        raft = self.node._raft
        log = raft.log
        assert raft.term >= self.term
        if raft.term == self.term and self.vote:
            assert raft.vote == self.vote
        assert log.committed >= self.commit
        self.term, self.vote, self.commit = raft.term, raft.vote, log.committed
        last = log.last_index()
        assert log.applied <= log.applying <= log.committed <= last
        assert log.unstable.offset <= log.unstable.in_progress
        assert log.unstable.in_progress <= log.unstable.offset + len(log.unstable.entries)
        if self.rng.random() < 0.8:
            return  # what follows walks the whole log
        previous = log.term(log.first_index() - 1) or 0
        for entry in log.entries_from(log.first_index()):
            assert entry.term >= previous
            previous = entry.term
        assert previous <= raft.term
        assert list(raft.tracker.progress) == sorted(raft.tracker.conf.members)
        if raft.role is Role.LEADER:
            assert raft.lead == raft.id
            for progress in raft.tracker.progress.values():
                assert progress.match < progress.next
                assert progress.match <= last


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), choice=st.sampled_from(SETTINGS))
@settings(max_examples=150, deadline=None)
def test_random_input_breaks_no_promise(
    seed: int, count: int, choice: Mapping[str, object]
) -> None:
    subject = Subject(random.Random(seed), choice)  # noqa: S311 - no secret
    for _ in range(count):
        subject.act()


@pytest.mark.parametrize("choice", range(len(SETTINGS)))
def test_a_hundred_thousand_random_inputs_break_no_promise(choice: int) -> None:
    roles: set[Role] = set()
    for seed in range(250):
        subject = Subject(random.Random(seed), SETTINGS[choice])  # noqa: S311 - no secret
        for _ in range(100):
            subject.act()
            roles.add(subject.node._raft.role)
    assert {Role.FOLLOWER, Role.CANDIDATE, Role.LEADER} <= roles


messages = st.builds(
    Message,
    type=st.sampled_from([kind for kind in MessageType if not kind.name.startswith("STORAGE")]),
    to=st.integers(0, 2**64 - 1),
    sender=st.integers(0, 2**64 - 1),
    term=st.integers(0, 2**64 - 1),
    log_term=st.integers(0, 2**64 - 1),
    index=st.integers(0, 2**64 - 1),
    entries=st.lists(
        st.builds(
            Entry,
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**64 - 1),
            st.binary(max_size=20),
            st.sampled_from(EntryType),
        ),
        max_size=3,
    ).map(tuple),
    commit=st.integers(0, 2**64 - 1),
    snapshot=st.none() | st.builds(Snapshot, st.integers(0, 9), st.integers(0, 9)),
    reject=st.booleans(),
    reject_hint=st.integers(0, 2**64 - 1),
    context=st.binary(max_size=20),
    priority=st.integers(0, 2**64 - 1),
    offset=st.integers(0, 2**64 - 1),
)


@given(message=messages, cluster=st.integers(0, 2**64 - 1))
def test_bytes_hold_what_was_encoded(message: Message, cluster: int) -> None:
    assert decode_message(encode_message(message, cluster=cluster), cluster=cluster) == message


@given(data=st.binary(max_size=200), marked=st.booleans())
def test_any_bytes_are_a_message_or_refused(data: bytes, marked: bool) -> None:
    if marked:
        data = b"\x01" + bytes(8) + data
    try:
        message = decode_message(data, cluster=0)
    except MessageError:
        return
    step_or_refuse(make_node(1), message)


@given(message=messages, position=st.integers(0, 200), bit=st.integers(0, 7))
def test_damaged_bytes_are_a_message_or_refused(message: Message, position: int, bit: int) -> None:
    data = bytearray(encode_message(message, cluster=0))
    data[position % len(data)] ^= 1 << bit
    try:
        damaged = decode_message(bytes(data), cluster=0)
    except MessageError:
        return
    step_or_refuse(make_node(1), damaged)


def step_or_refuse(node: Node, message: Message) -> None:
    try:
        node.step(message)
    except RaftError:
        return


def test_no_bytes_are_no_message() -> None:
    with pytest.raises(MalformedMessageError):
        decode_message(b"", cluster=0)


def test_a_storage_that_is_empty_makes_a_node_that_waits() -> None:
    node = make_node(1, MemoryStorage())
    for _ in range(100):
        node.tick()
    assert not node.has_ready()
