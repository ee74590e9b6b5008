"""The 14 families of bugs that Raft implementations have had, as far as a core without I/O goes.

Number 14, telling torn from corrupted records, is about files, and so is the other half of 6, 7
and 13: tests of raft-storage carry these numbers. Here stands what the core has to contribute.
"""

from __future__ import annotations

import itertools

import pytest

from raft_core import (
    ConfState,
    HardState,
    MajorityConfig,
    Message,
    MessageType,
    ReadOnlyOption,
    RemovedLeader,
    Role,
    Snapshot,
)

from .network import (
    Network,
    add_voter,
    append,
    make_node,
    make_storage,
    of_type,
    remove,
    work,
)


def test_family_01_an_entry_of_an_older_term_is_not_committed_by_count() -> None:
    group = Network(storages={1: make_storage([1, 2]), 2: make_storage([1]), 3: make_storage([1])})
    group.drop = lambda message: any(entry.term == 3 for entry in message.entries)
    group.campaign(1)
    old = append(2, 1, term=3, prev=(1, 1), terms=[2])
    group.deliver(old)  # a majority holds the entry of term 2, and the leader hears of it
    group.settle()
    assert group[2].log() == [(1, 1), (2, 2)]
    assert group[1].node.status().progress[2].match == 2
    assert group[1].commit == 0
    group.heal()
    group.tick(3, 1)
    assert group[1].commit == 3


def test_family_02_a_voter_left_over_can_be_elected() -> None:
    # 1 removed itself and crashed. 2 has the removal and does not know that it is committed; by
    # what it has applied it needs the vote of 1, whose log is longer.
    for policy in RemovedLeader:
        group = Network(2, removed_leader=policy)
        group.campaign(1)
        # All that 2 ever gets is the removal itself, at index 2.
        group.drop = lambda message: (
            message.to == 2 and (message.index != 1 or message.type is not MessageType.APP)
        )
        group[1].node.propose_conf_change(remove(1))
        group[1].node.propose(b"never acknowledged")
        group.settle()
        assert (group[1].conf.voters, group[2].conf.voters) == ((2,), (1, 2))
        group.isolate(1)
        group.restart(1)
        group.heal()
        assert len(group[1].log()) == 3
        assert len(group[2].log()) == 2
        for _ in range(2):
            group.campaign(2)
        assert group[2].role is Role.LEADER
        assert group[2].conf.voters == (2,)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (add_voter(5), add_voter(6)),
        (add_voter(5), remove(4)),
        (remove(1), remove(2)),
    ],
    ids=["two-adds", "add-and-remove", "two-removes"],
)
def test_family_02_concurrent_single_changes_never_have_disjoint_majorities(
    first: object, second: object
) -> None:
    # Ongaro's counterexample of 2015: 1 appends a change nobody sees, 2 leads a term later and
    # gets another one through, then 1 is back with its own. With changes in force only when
    # applied, 1 still counts by the old configuration and cannot win.
    group = Network(4)
    group.campaign(1)
    group.isolate(1)
    group[1].node.propose_conf_change(first)  # type: ignore[arg-type]
    group.settle()
    assert group[1].conf.voters == (1, 2, 3, 4)
    group.campaign(2)
    group.change(2, second)  # type: ignore[arg-type]
    after = group[2].conf.voters
    assert after != (1, 2, 3, 4)
    group.heal()
    group.isolate(2)
    group.restart(1)
    for _ in range(3):  # ever higher terms, and enough voters by its own change to be elected
        group.campaign(1)
    assert group[1].role is not Role.LEADER
    group.heal()
    leader = group.until_leader()
    group.propose(leader, b"x")
    group.tick(5)
    assert group[leader].conf.voters == after


def test_family_03_a_single_voter_acknowledges_only_what_is_durable() -> None:
    storage = make_storage(voters=(1,))
    node = make_node(1, storage, async_storage_writes=True)
    node.campaign()
    for _ in range(3):
        for message in node.ready().messages:
            storage.append(message.entries)
            for response in message.responses:
                node.step(response)
    commit = node.status().hard_state.commit
    node.propose(b"a")
    ready = node.ready()
    assert node.status().hard_state.commit == commit
    assert of_type(ready.messages, MessageType.STORAGE_APPLY) == []


def test_family_04_an_empty_append_acknowledges_nothing_ahead_of_the_disk() -> None:
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(term=1, prev=(1, 1), terms=[1, 1]))
    first = node.ready()
    node.step(append(term=1, prev=(1, 3)))  # nothing new, while entries 2 and 3 are being written
    second = node.ready()
    for ready in (first, second):
        assert of_type(ready.messages, MessageType.APP_RESP) == []
    # Its answer stands behind that write, in the order in which storage threads work.
    (request,) = of_type(second.messages, MessageType.STORAGE_APPEND)
    assert [one.index for one in of_type(request.responses, MessageType.APP_RESP)] == [3]


def test_family_05_stepping_down_within_a_term_keeps_the_vote() -> None:
    group = Network(check_quorum=True)
    group.campaign(1)
    group.isolate(1)
    group.tick(20, 1)
    assert group[1].role is Role.FOLLOWER
    assert group[1].node.status().hard_state.vote == 1


def test_family_05_a_vote_outlives_a_forgotten_leader() -> None:
    storage = make_storage([1], term=2, vote=3)
    node = make_node(1, storage)
    node.step(append(1, 3, term=2, prev=(1, 1)))
    node.forget_leader()
    node.step(Message(type=MessageType.VOTE, to=1, sender=2, term=2, log_term=1, index=1))
    assert [one.reject for one in of_type(work(node, storage), MessageType.VOTE_RESP)] == [True]


def test_family_06_term_and_vote_are_one_record() -> None:
    storage = make_storage()
    node = make_node(1, storage)
    node.step(Message(type=MessageType.VOTE, to=1, sender=2, term=5))
    ready = node.ready()
    assert ready.hard_state == HardState(term=5, vote=2, commit=0)
    assert ready.must_sync


def test_family_07_a_full_restart_keeps_terms_and_committed_entries() -> None:
    group = Network()
    group.campaign(1)
    group.campaign(2)
    group.propose(2, b"a")
    before = [group[one].term for one in (1, 2, 3)]
    for node_id in (1, 2, 3):
        group.restart(node_id)
    assert [group[one].term for one in (1, 2, 3)] == before
    group.propose(group.until_leader(), b"b")
    group.tick(2)
    assert {tuple(group[one].data) for one in (1, 2, 3)} == {(b"a", b"b")}


def test_family_07_what_needs_a_sync_says_so() -> None:
    storage = make_storage([1])
    node = make_node(1, storage)
    node.step(append(term=1, prev=(1, 1), terms=[1]))
    assert node.ready().must_sync  # entries
    node.advance()
    node.step(append(term=1, prev=(1, 1), commit=1))
    assert not node.ready().must_sync  # a commit index alone
    node.advance()
    node.step(append(term=2, prev=(1, 1)))
    assert node.ready().must_sync  # a term


@pytest.mark.parametrize("snapshot_term", [2, 3])
def test_family_08_a_snapshot_over_a_conflicting_log_replaces_it(snapshot_term: int) -> None:
    storage = make_storage([1, 1, 1, 1], commit=2)
    node = make_node(1, storage)
    conf = ConfState(voters=(1, 2, 3))
    node.step(
        Message(
            type=MessageType.SNAP,
            to=1,
            sender=2,
            term=3,
            snapshot=Snapshot(4, snapshot_term, conf),
        )
    )
    node.step(append(1, 2, term=3, prev=(snapshot_term, 4), terms=[3]))
    answers = work(node, storage)
    assert [(one.index, one.reject) for one in answers] == [(4, False), (5, False)]
    assert storage.first_index() == 5
    assert storage.term(5) == 3


def test_family_08_a_snapshot_over_a_live_log_does_not_lose_what_is_being_written() -> None:
    storage = make_storage([1, 1], commit=1)
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(1, 2, term=1, prev=(1, 2), terms=[1, 1]))
    write = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0]
    snapshot = Snapshot(3, 1, ConfState(voters=(1, 2, 3)))
    node.step(Message(type=MessageType.SNAP, to=1, sender=2, term=1, snapshot=snapshot))
    assert node._raft.log.unstable.snapshot is None  # the log holds all of it already
    storage.append(write.entries)
    for response in write.responses:
        if response.to == 1:
            node.step(response)
    assert node.status().last_index == 4


def test_family_09_a_transfer_ends_the_lease_for_good() -> None:
    group = Network(read_only=ReadOnlyOption.LEASE_BASED, check_quorum=True, pre_vote=True)
    group.campaign(1)
    group.tick(1, 1)
    held: list[Message] = []
    group.drop = lambda message: (
        message.type is MessageType.TIMEOUT_NOW and not held.append(message)
    )
    group[1].node.transfer_leader(2)
    group.settle()
    group.tick(12, 1)  # the transfer is given up, heartbeats are answered
    group.isolate(1)
    group[2].node.step(held[0])  # it arrives after all, and overrides everybody's lease
    group.settle()
    assert group[2].role is Role.LEADER
    group.propose(2, b"new")
    group[1].node.read_index(b"stale?")
    group.settle()
    assert group[1].reads == []


def test_family_09_a_leader_that_was_paused_has_no_lease_by_its_check_quorum_round() -> None:
    # Heard of its followers early in a round, a leader may believe in itself for nearly two
    # election timeouts. The lease must not.
    group = Network(read_only=ReadOnlyOption.LEASE_BASED, check_quorum=True, pre_vote=True)
    group.campaign(1)
    group.tick(11, 1)  # heard of after the round at tick 10
    group.isolate(1)
    group.tick(8, 1)
    assert group[1].role is Role.LEADER
    group[1].node.read_index(b"stale?")
    group.settle()
    assert group[1].reads == []


def test_family_10_partial_connectivity_does_not_churn() -> None:
    # Cloudflare 2020: one node reaches a follower and not the leader.
    group = Network(5, pre_vote=True, check_quorum=True)
    group.campaign(1)
    for other in (1, 4, 5):
        group.cut |= {(2, other), (other, 2)}
    group.tick(200)
    assert group[1].role is Role.LEADER
    assert {group[one].term for one in (1, 2, 3, 4, 5)} == {1}


def test_family_10_a_quorum_connected_node_takes_over_from_a_leader_that_lost_its_quorum() -> None:
    group = Network(5, pre_vote=True, check_quorum=True)
    group.campaign(1)
    # Only 3 reaches everybody; 1 reaches 3 only.
    for one, other in itertools.combinations((1, 2, 4, 5), 2):
        group.cut |= {(one, other), (other, one)}
    group.tick(120)
    leader = group.leader
    assert leader == 3
    group.propose(leader, b"service")
    assert b"service" in group[leader].data


def test_family_11_a_vote_and_the_entries_before_it_are_one_write() -> None:
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(1, 2, term=1, prev=(1, 1), terms=[1]))
    node.step(Message(type=MessageType.VOTE, to=1, sender=3, term=2, log_term=1, index=2))
    (request,) = of_type(node.ready().messages, MessageType.STORAGE_APPEND)
    assert [entry.index for entry in request.entries] == [2]
    assert (request.term, request.vote) == (2, 3)
    kinds = [one.type for one in request.responses]
    assert kinds[:2] == [MessageType.APP_RESP, MessageType.VOTE_RESP]


def test_family_12_the_commit_index_is_right_for_every_order_of_progress() -> None:
    for size in (1, 2, 3, 4, 5):
        config = MajorityConfig(tuple(range(1, size + 1)))
        for matches in itertools.product(range(4), repeat=size):
            index = config.committed_index(lambda voter, of=matches: of[voter - 1])
            assert sum(match >= index for match in matches) > size // 2
            assert sum(match > index for match in matches) <= size // 2


def test_family_13_after_a_failed_sync_nothing_is_acknowledged() -> None:
    # The storage answers a request only if its sync succeeded. One that did not, and everything
    # behind it, stays without answer, and no acknowledgement has left by another way.
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    sent: list[Message] = []
    for index in (1, 2, 3):
        node.step(append(1, 2, term=1, prev=(1, index), terms=[1], commit=index))
        sent += [one for one in node.ready().messages if one.to == 2]
        node.tick()
    assert sent == []
    assert node.status().applied == 0
