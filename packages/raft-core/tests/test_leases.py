"""Leases in the log: one holder at a time, by the log's time, and fenced by tokens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raft_core import (
    OPEN_SESSION,
    ClientSession,
    Command,
    LeaderClock,
    LeaseReply,
    Leases,
    LeaseStatus,
    LogClock,
    MalformedCommandError,
    MalformedSnapshotError,
    Sessions,
    acquire_lease,
    fenced,
    release_lease,
    renew_lease,
    revoke_lease,
    unfenced,
)

from .machines import Journal, Log

OK, HELD, LOST = LeaseStatus.OK, LeaseStatus.HELD, LeaseStatus.LOST
NAMES = (b"a", b"b", b"c")


class Replica:
    """Leases around a journal, with an index and a time to count by."""

    def __init__(self, capacity: int = 100) -> None:
        self.journal = Journal()
        self.leases = Leases(self.journal, capacity)
        self.index = 0
        self.time = 0

    def apply(self, data: bytes, *, term: int = 1) -> LeaseReply:
        self.index += 1
        command = Command(self.index, term, self.time, data)
        return LeaseReply.decode(self.leases.apply(command))

    def acquire(self, name: bytes = b"a", holder: bytes = b"me", ttl: int = 10) -> LeaseReply:
        return self.apply(acquire_lease(name, holder, ttl))


def test_one_holder_at_a_time() -> None:
    replica = Replica()
    mine = replica.acquire()
    assert mine == LeaseReply(OK, 1, b"me", 10)
    assert replica.acquire(holder=b"you") == LeaseReply(HELD, 1, b"me", 10)
    assert replica.acquire(b"b", b"you").status is OK


def test_its_holder_does_not_get_it_twice() -> None:
    """A process that started again must not share the token of what it was before."""
    replica = Replica()
    replica.acquire()
    assert replica.acquire().status is HELD


def test_a_lease_ends_when_the_logs_time_reaches_its_deadline() -> None:
    replica = Replica()
    replica.acquire(ttl=10)
    replica.time = 9
    assert replica.acquire(holder=b"you").status is HELD
    assert replica.leases.get(b"a", 9) is not None
    assert replica.leases.get(b"a", 10) is None
    replica.time = 10
    assert replica.acquire(holder=b"you") == LeaseReply(OK, 3, b"you", 20)


def test_renewal_counts_from_its_own_entry() -> None:
    replica = Replica()
    token = replica.acquire(ttl=10).token
    replica.time = 7
    assert replica.apply(renew_lease(b"a", token)).deadline == 17
    replica.time = 12
    assert replica.acquire(holder=b"you").status is HELD
    replica.time = 17
    assert replica.apply(renew_lease(b"a", token)).status is LOST


def test_what_is_given_back_is_free() -> None:
    replica = Replica()
    token = replica.acquire().token
    assert replica.apply(release_lease(b"a", token)).status is OK
    assert replica.apply(release_lease(b"a", token)).status is LOST
    assert replica.acquire(holder=b"you").token > token


def test_an_old_token_does_nothing() -> None:
    replica = Replica()
    old = replica.acquire(ttl=1).token
    replica.time = 1
    new = replica.acquire(holder=b"you").token
    for request in (renew_lease(b"a", old), release_lease(b"a", old), fenced(b"a", old, b"x")):
        assert replica.apply(request).status is LOST
    assert replica.apply(fenced(b"a", new, b"y")).result == b"1"
    assert replica.journal.commands == [b"y"]


def test_a_holder_that_slept_too_long_writes_nothing() -> None:
    replica = Replica()
    token = replica.acquire(ttl=5).token
    assert replica.apply(fenced(b"a", token, b"in time")).result == b"1"
    replica.time = 5
    assert replica.apply(fenced(b"a", token, b"late")).status is LOST
    assert replica.apply(unfenced(b"plain")).result == b"2"
    assert replica.journal.commands == [b"in time", b"plain"]


def test_a_deposed_leader_revokes_nothing() -> None:
    """Stuck in a write, it wakes up and takes leases away that were renewed since (etcd 15247)."""
    replica = Replica()
    token = replica.acquire().token
    assert replica.apply(revoke_lease(b"a", token, term=1), term=2).status is LeaseStatus.DEPOSED
    assert replica.leases.get(b"a", 0) is not None
    assert replica.apply(revoke_lease(b"a", token, term=2), term=2).status is OK
    assert replica.leases.get(b"a", 0) is None


def test_a_leader_that_was_stuck_ends_no_lease_by_its_clock() -> None:
    """Its late stamp comes to stand in its successor's term, and moves no time."""
    leases, log = Leases(Journal()), Log()
    machine = LogClock(leases)
    stuck, successor = LeaderClock(term=1), LeaderClock(term=2)
    machine.apply(log.add(stuck.stamp(acquire_lease(b"a", b"me", 10))))
    stuck.tick(1_000)
    machine.apply(log.add(stuck.stamp(), term=2))
    assert leases.get(b"a", machine.time) is not None
    successor.tick(10)
    machine.apply(log.add(successor.stamp(), term=2))
    assert leases.get(b"a", machine.time) is None


def test_with_a_session_a_repeated_request_gets_its_own_lease() -> None:
    leases, log = Leases(Journal()), Log()
    machine = LogClock(Sessions(leases))
    clock = LeaderClock(term=1)
    opened = machine.apply(log.add(clock.stamp(OPEN_SESSION)))
    assert opened is not None
    _, request = ClientSession(opened.session).request(acquire_lease(b"a", b"me", 10))
    replies = [machine.apply(log.add(clock.stamp(request))) for _ in range(2)]
    assert replies[0] is not None
    assert replies[0] == replies[1]
    assert LeaseReply.decode(replies[0].result) == LeaseReply(OK, 2, b"me", 10)


def test_there_is_a_greatest_number_of_leases() -> None:
    replica = Replica(capacity=1)
    token = replica.acquire(b"a").token
    assert replica.acquire(b"b").status is LeaseStatus.FULL
    replica.apply(release_lease(b"a", token))
    assert replica.acquire(b"b").status is OK


def test_leases_given_back_leave_nothing_behind() -> None:
    replica = Replica()
    for _ in range(1_000):
        token = replica.acquire(ttl=2**64 - 1).token
        replica.apply(release_lease(b"a", token))
    assert len(replica.leases._ends) < 100
    assert replica.leases.snapshot() == Replica().leases.snapshot()


def test_the_longest_lease_has_an_end_that_can_be_written() -> None:
    replica = Replica()
    replica.time = 2**64 - 10
    assert replica.acquire(ttl=2**64 - 1).deadline == 2**64 - 1


@given(st.binary())
def test_bytes_that_are_no_request_are_answered(data: bytes) -> None:
    replica = Replica()
    replica.acquire()
    before = replica.leases.snapshot()
    if replica.apply(data).status is LeaseStatus.MALFORMED:
        assert replica.leases.snapshot() == before


def test_a_lease_for_no_time_is_malformed() -> None:
    assert Replica().acquire(ttl=0).status is LeaseStatus.MALFORMED


@given(st.binary())
def test_a_state_that_is_none_changes_nothing(data: bytes) -> None:
    replica = Replica()
    replica.acquire()
    before = replica.leases.snapshot()
    for bad in (b"\x01" + data, before[: len(before) // 2]):
        with pytest.raises(MalformedSnapshotError):
            replica.leases.restore(bad)
        assert replica.leases.snapshot() == before


def test_bytes_that_are_no_reply() -> None:
    with pytest.raises(MalformedCommandError):
        LeaseReply.decode(b"nothing")


class OneHolder(RuleBasedStateMachine):
    """The laws, against a model that looks at every lease every time.

    One replica goes through it all, the other is restored from a snapshot now and then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = Replica(capacity=2), Replica(capacity=2)
        #: name -> (token, ttl, deadline)
        self.model: dict[bytes, tuple[int, int, int]] = {}
        self.tokens = [0]
        self.fenced: list[bytes] = []

    def propose(self, data: bytes, *, term: int = 1) -> LeaseReply:
        now = self.one.time
        self.model = {name: one for name, one in self.model.items() if one[2] > now}
        reply = self.one.apply(data, term=term)
        assert self.other.apply(data, term=term) == reply
        return reply

    def holds(self, name: bytes, token: int) -> bool:
        return name in self.model and self.model[name][0] == token

    @rule(elapsed=st.integers(1, 7))
    def pass_time(self, elapsed: int) -> None:
        self.one.time += elapsed
        self.other.time += elapsed

    @rule(name=st.sampled_from(NAMES), ttl=st.integers(1, 12))
    def acquire(self, name: bytes, ttl: int) -> None:
        reply = self.propose(acquire_lease(name, b"me", ttl))
        if name in self.model:
            assert reply.status is HELD
            assert (reply.token, reply.deadline) == self.model[name][::2]
        elif len(self.model) == 2:
            assert reply.status is LeaseStatus.FULL
        else:
            assert reply.status is OK
            assert reply.token > max(self.tokens)
            self.tokens.append(reply.token)
            self.model[name] = (reply.token, ttl, self.one.time + ttl)

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 99))
    def renew(self, name: bytes, number: int) -> None:
        token = self.tokens[number % len(self.tokens)] or 1
        reply = self.propose(renew_lease(name, token))
        assert (reply.status is OK) == self.holds(name, token)
        if self.holds(name, token):
            ttl = self.model[name][1]
            self.model[name] = (token, ttl, self.one.time + ttl)

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 99), term=st.integers(0, 2))
    def give_up(self, name: bytes, number: int, term: int) -> None:
        token = self.tokens[number % len(self.tokens)] or 1
        request = revoke_lease(name, token, term) if term else release_lease(name, token)
        reply = self.propose(request)
        assert (reply.status is LOST) != self.holds(name, token)
        if self.holds(name, token):
            assert (reply.status is OK) == (term in (0, 1))
            if reply.status is OK:
                del self.model[name]

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 99))
    def write(self, name: bytes, number: int) -> None:
        token = self.tokens[number % len(self.tokens)] or 1
        reply = self.propose(fenced(name, token, b"%d" % self.one.index))
        assert (reply.status is OK) == self.holds(name, token)
        if reply.status is OK:
            self.fenced.append(b"%d" % (self.one.index - 1))

    @rule()
    def restore(self) -> None:
        copy = Replica()
        copy.leases.restore(self.other.leases.snapshot())
        copy.index, copy.time, self.other = self.other.index, self.other.time, copy

    @invariant()
    def agree(self) -> None:
        now = self.one.time
        for name in NAMES:
            lease = self.one.leases.get(name, now)
            expected = self.model.get(name)
            if expected is not None and expected[2] <= now:
                expected = None
            assert (lease and (lease.token, lease.ttl, lease.deadline)) == expected
        assert self.one.journal.commands == self.fenced
        assert self.one.leases.snapshot() == self.other.leases.snapshot()


TestOneHolder = OneHolder.TestCase
TestOneHolder.settings = settings(max_examples=60, stateful_step_count=40)
