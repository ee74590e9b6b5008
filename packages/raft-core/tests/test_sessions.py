"""Client sessions: each command takes effect once, and is answered as often as it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import msgpack

from raft_core import (
    OPEN_SESSION,
    ClientSession,
    Command,
    LeaderClock,
    LogClock,
    MalformedSnapshotError,
    SessionLimits,
    SessionReply,
    Sessions,
    SessionStatus,
    UsageError,
    limit_sessions,
)

from .machines import Journal
from .network import Network

if TYPE_CHECKING:
    from collections.abc import Iterable


class Replica:
    """Sessions around a journal, and an index to count with."""

    def __init__(self, **limits: int) -> None:
        self.journal = Journal()
        self.sessions = Sessions(self.journal, SessionLimits(**limits))
        self.index = 0

    def apply(self, data: bytes, *, time: int = 0) -> SessionReply:
        self.index += 1
        return self.sessions.apply(Command(self.index, 1, time, data))

    def open(self, *, time: int = 0) -> ClientSession:
        return ClientSession(self.apply(OPEN_SESSION, time=time).session)


def statuses(replies: Iterable[SessionReply]) -> list[SessionStatus]:
    return [reply.status for reply in replies]


def test_a_repetition_is_answered_and_not_applied() -> None:
    replica = Replica()
    client = replica.open()
    sequence, data = client.request(b"pay")
    first = replica.apply(data)
    assert first == SessionReply(SessionStatus.OK, client.id, sequence, b"1")
    assert replica.apply(data) == first
    assert replica.journal.commands == [b"pay"]


def test_a_repetition_in_an_old_copy_takes_nothing_back() -> None:
    replica = Replica()
    client = replica.open()
    _, old = client.request(b"a")
    assert client.answered(replica.apply(old))
    _, new = client.request(b"b")
    replica.apply(new)
    assert replica.apply(old).status is SessionStatus.SUPERSEDED
    assert replica.apply(new).result == b"2"
    assert replica.journal.commands == [b"a", b"b"]


def test_commands_of_one_session_may_overtake_each_other() -> None:
    replica = Replica()
    client = replica.open()
    (_, a), (_, b), (_, c) = (client.request(one) for one in (b"a", b"b", b"c"))
    replies = [replica.apply(one) for one in (c, a, c, b, a)]
    assert [reply.result for reply in replies] == [b"1", b"2", b"1", b"3", b"2"]
    assert [client.answered(reply) for reply in replies] == [True, True, False, True, False]


def test_sessions_are_separate() -> None:
    replica = Replica()
    one, other = replica.open(), replica.open()
    assert one.id != other.id
    assert replica.apply(one.request(b"x")[1]).result == b"1"
    assert replica.apply(other.request(b"x")[1]).result == b"2"


def test_a_session_that_never_was_has_expired() -> None:
    replica = Replica()
    stranger = ClientSession(99)
    assert replica.apply(stranger.request(b"x")[1]).status is SessionStatus.EXPIRED
    assert replica.apply(stranger.keep()).status is SessionStatus.EXPIRED
    assert replica.apply(stranger.close()).status is SessionStatus.EXPIRED
    assert not replica.journal.commands


def test_a_closed_session_has_expired() -> None:
    replica = Replica()
    client = replica.open()
    assert replica.apply(client.close()) == SessionReply(SessionStatus.OK, client.id)
    assert replica.apply(client.request(b"x")[1]).status is SessionStatus.EXPIRED
    assert len(replica.sessions) == 0


def test_an_unused_session_ends_by_the_logs_time() -> None:
    replica = Replica(timeout=10)
    idle, busy, kept = (replica.open(time=0) for _ in range(3))
    replica.apply(busy.request(b"a")[1], time=5)
    replica.apply(kept.keep(), time=6)
    assert idle.id in replica.sessions
    replica.apply(busy.request(b"b")[1], time=10)
    assert idle.id not in replica.sessions
    assert replica.apply(kept.request(b"c")[1], time=15).status is SessionStatus.OK
    assert replica.apply(busy.request(b"d")[1], time=20).status is SessionStatus.EXPIRED
    assert replica.journal.commands == [b"a", b"b", b"c"]


def test_one_session_too_many_ends_the_longest_unused() -> None:
    replica = Replica(sessions=2)
    first, second = replica.open(), replica.open()
    replica.apply(first.request(b"x")[1])
    third = replica.open()
    assert [one.id in replica.sessions for one in (first, second, third)] == [True, False, True]


def test_an_id_is_never_used_again() -> None:
    replica = Replica(sessions=1)
    ids = [replica.open().id for _ in range(5)]
    assert len(set(ids)) == 5


def test_the_window_bounds_what_is_kept() -> None:
    replica = Replica(window=2)
    client = replica.open()
    requests = [client.request(b"%d" % number)[1] for number in range(3)]
    replies = [replica.apply(one) for one in requests]
    assert statuses(replies) == [SessionStatus.OK, SessionStatus.OK, SessionStatus.WINDOW_FULL]
    assert replica.journal.commands == [b"0", b"1"]


def test_a_client_keeps_to_its_window() -> None:
    client = ClientSession(1, window=2)
    first, _ = client.request(b"a")
    client.request(b"b")
    assert not client.has_room
    with pytest.raises(UsageError, match="under way"):
        client.request(b"c")
    client.answered(SessionReply(SessionStatus.OK, 1, first, b""))
    assert client.request(b"c")[0] == 3
    assert list(client.unanswered) == [2, 3]


def test_limits_change_at_one_entry() -> None:
    replica = Replica()
    clients = [replica.open() for _ in range(3)]
    assert replica.apply(limit_sessions(SessionLimits(sessions=1))).status is SessionStatus.OK
    assert [one.id in replica.sessions for one in clients] == [False, False, True]
    restored = Replica()
    restored.sessions.restore(replica.sessions.snapshot())
    assert restored.sessions.limits == SessionLimits(sessions=1)


@given(st.binary())
def test_bytes_that_are_no_request_are_answered(data: bytes) -> None:
    replica = Replica()
    before = replica.sessions.snapshot()
    reply = replica.apply(data)
    if reply.status is SessionStatus.MALFORMED:
        assert replica.sessions.snapshot() == before
    assert not replica.journal.commands


def test_a_number_below_those_that_are_answered_is_malformed() -> None:
    replica = Replica()
    client = replica.open()
    data = msgpack.encode((1, client.id, 3, 4, b"x"))
    assert replica.apply(data).status is SessionStatus.MALFORMED
    assert not replica.journal.commands


@given(st.binary())
def test_a_state_that_is_none_changes_nothing(data: bytes) -> None:
    replica = Replica()
    client = replica.open()
    replica.apply(client.request(b"x")[1])
    before = replica.sessions.snapshot()
    for bad in (b"\x01" + data, before[:-1] + b"\xff" + data, before[: len(before) // 2]):
        with pytest.raises(MalformedSnapshotError):
            replica.sessions.restore(bad)
        assert replica.sessions.snapshot() == before


def test_a_state_the_machine_refuses_changes_nothing() -> None:
    replica, other = Replica(), Replica()
    replica.open()
    before = replica.sessions.snapshot()
    other.journal.commands = [b"\xff"]
    with pytest.raises(MalformedSnapshotError, match="no journal"):
        replica.sessions.restore(other.sessions.snapshot())
    assert replica.sessions.snapshot() == before


def test_empty_bytes_are_the_state_before_everything() -> None:
    replica = Replica(sessions=7)
    empty = replica.sessions.snapshot()
    replica.apply(replica.open().request(b"x")[1])
    replica.apply(limit_sessions(SessionLimits(sessions=1)))
    replica.sessions.restore(b"")
    assert replica.sessions.snapshot() == empty


class ExactlyOnce(RuleBasedStateMachine):
    """Whatever is repeated and in whatever order, nothing counts twice and no answer changes.

    One replica goes through it all, the other is restored from a snapshot now and then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limits = {"timeout": 12, "sessions": 3, "window": 4}
        self.one, self.other = Replica(**self.limits), Replica(**self.limits)
        self.clients: list[ClientSession] = []
        self.sent: list[bytes] = []
        self.answers: dict[tuple[int, int], bytes] = {}
        self.time = 0

    def propose(self, data: bytes) -> SessionReply:
        reply = self.one.apply(data, time=self.time)
        assert self.other.apply(data, time=self.time) == reply
        if reply.status is SessionStatus.OK and reply.sequence:
            name = (reply.session, reply.sequence)
            assert self.answers.setdefault(name, reply.result) == reply.result
        return reply

    @rule(elapsed=st.integers(1, 8))
    def pass_time(self, elapsed: int) -> None:
        self.time += elapsed

    @initialize()
    def open_the_first(self) -> None:
        self.open()

    @rule()
    def open(self) -> None:
        self.clients.append(ClientSession(self.propose(OPEN_SESSION).session, window=4))

    @rule(number=st.integers(0, 9), arrives=st.booleans())
    def send(self, number: int, *, arrives: bool) -> None:
        client = self.clients[number % len(self.clients)]
        if client.has_room:
            self.sent.append(client.request(b"%d" % len(self.sent))[1])
            if arrives:
                self.propose(self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 99))
    def send_again(self, number: int) -> None:
        self.propose(self.sent[number % len(self.sent)])

    @rule(number=st.integers(0, 9))
    def hear_an_answer(self, number: int) -> None:
        client = self.clients[number % len(self.clients)]
        for data in list(client.unanswered.values())[:1]:
            client.answered(self.propose(data))

    @rule(number=st.integers(0, 9), closes=st.booleans())
    def keep_or_close(self, number: int, *, closes: bool) -> None:
        client = self.clients[number % len(self.clients)]
        self.propose(client.close() if closes else client.keep())

    @rule()
    def restore(self) -> None:
        copy = Replica()
        copy.sessions.restore(self.other.sessions.snapshot())
        copy.index, self.other = self.other.index, copy

    @invariant()
    def once(self) -> None:
        commands = self.one.journal.commands
        assert len(commands) == len(set(commands))
        assert self.one.sessions.snapshot() == self.other.sessions.snapshot()
        assert len(self.one.sessions) <= self.limits["sessions"]


TestExactlyOnce = ExactlyOnce.TestCase
TestExactlyOnce.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_group_applies_each_command_once_over_two_leaders() -> None:
    """A client that hears nothing repeats at the next leader what the first had committed."""
    net = Network(3, pre_vote=True, check_quorum=True)
    net.campaign(1)
    net.propose(1, LeaderClock().stamp(OPEN_SESSION))
    client = ClientSession(net[1].applied[-1].index)
    stamped = [LeaderClock().stamp(client.request(b"%d" % one)[1]) for one in range(4)]
    net.propose(1, *stamped)
    net.isolate(1)
    while (leader := max(net[2].lead, net[3].lead)) in (0, 1):
        net.tick()
    net.propose(leader, *reversed(stamped), *stamped)
    net.heal()
    net.tick(20)
    for peer in net.peers.values():
        journal = Journal()
        machine = LogClock(Sessions(journal))
        for entry in peer.applied:
            machine.apply(entry)
        assert journal.commands == [b"0", b"1", b"2", b"3"]
