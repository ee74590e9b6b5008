"""Time that is part of the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_core import (
    ConfChange,
    ConfChangeType,
    Entry,
    EntryType,
    LeaderClock,
    LogClock,
    MalformedCommandError,
    MalformedSnapshotError,
)

from .machines import Journal, Log


def test_a_leader_moves_the_time_of_its_term() -> None:
    clock, log, leader = LogClock(Journal()), Log(), LeaderClock(term=3, time=0)
    leader.tick(5)
    assert clock.apply(log.add(leader.stamp(b"x"), term=3)) == b"1"
    assert clock.time == 5


def test_an_entry_without_a_command_lets_time_pass() -> None:
    journal, log = Journal(), Log()
    clock = LogClock(journal)
    assert clock.apply(log.add(LeaderClock(term=1, time=9).stamp())) is None
    assert clock.time == 9
    assert not journal.commands


def test_a_deposed_leader_moves_no_time() -> None:
    """What a stuck leader stamped, its successor may still append: in a later term."""
    journal, log = Journal(), Log()
    clock = LogClock(journal)
    stuck = LeaderClock(term=1, time=1_000_000)
    assert clock.apply(log.add(stuck.stamp(b"late"), term=2)) == b"1"
    assert clock.time == 0
    assert journal.times == [0]


def test_a_node_that_does_not_lead_moves_no_time() -> None:
    clock, log = LogClock(Journal()), Log()
    assert clock.apply(log.add(LeaderClock(time=7).stamp(b"x"))) == b"1"
    assert clock.time == 0


def test_time_never_falls() -> None:
    journal, log = Journal(), Log()
    clock = LogClock(journal)
    for time in (5, 3, 8, 0):
        clock.apply(log.add(LeaderClock(term=1, time=time).stamp(b"x")))
    assert journal.times == [5, 5, 8, 8]


def test_what_raft_appends_for_itself_is_no_command() -> None:
    journal = Journal()
    clock = LogClock(journal)
    change = ConfChange(ConfChangeType.ADD_NODE, 4)
    assert clock.apply(Entry(1, 1)) is None
    assert clock.apply(Entry(1, 2, bytes([change.node_id]), EntryType.CONF_CHANGE)) is None
    assert not journal.commands


@given(st.binary(min_size=1, max_size=15))
def test_an_entry_without_a_stamp_is_skipped(data: bytes) -> None:
    journal = Journal()
    clock = LogClock(journal)
    with pytest.raises(MalformedCommandError) as raised:
        clock.apply(Entry(1, 1, data))
    assert raised.value.code == "raft.command_malformed"
    assert (clock.time, journal.commands) == (0, [])


def test_a_snapshot_keeps_the_time() -> None:
    clock, log = LogClock(Journal()), Log()
    clock.apply(log.add(LeaderClock(term=1, time=9).stamp(b"x")))
    journal = Journal()
    other = LogClock(journal)
    other.restore(clock.snapshot())
    assert (other.time, journal.commands) == (9, [b"x"])
    other.restore(b"")
    assert (other.time, journal.commands) == (0, [])


def test_a_state_that_is_none_changes_nothing() -> None:
    clock, log = LogClock(Journal()), Log()
    clock.apply(log.add(LeaderClock(term=1, time=9).stamp(b"x")))
    before = clock.snapshot()
    for bad in (b"short", bytes(8) + b"\xff"):
        with pytest.raises(MalformedSnapshotError):
            clock.restore(bad)
        assert clock.snapshot() == before
