"""Witnesses vote and acknowledge by the names of entries; quorums always have the data."""

from __future__ import annotations

import attrs
import pytest

from raft_core import (
    ConfChange,
    ConfChangeError,
    ConfChangeType,
    Config,
    ConfigError,
    ConfState,
    Entry,
    EntryType,
    HardState,
    MalformedMessageError,
    MemoryStorage,
    Message,
    MessageType,
    Node,
    RemovedLeader,
    Role,
    Snapshot,
)

from .network import Network, append, make_storage, of_type, remove

CONF = ConfState(voters=(1, 2, 3), witnesses=(3,))


def storage() -> MemoryStorage:
    return MemoryStorage(latest_snapshot=Snapshot(conf_state=CONF))


def group() -> Network:
    net = Network(3, storages={one: storage() for one in (1, 2, 3)}, each={3: {"witness": True}})
    net.campaign(1)
    return net


def log_of(net: Network, node_id: int) -> list[Entry]:
    store = net[node_id].storage
    return list(store.entries(store.first_index(), store.last_index() + 1))


def test_a_witness_holds_names_and_changes_but_no_data() -> None:
    net = group()
    net.propose(1, b"data")
    net.change(1, ConfChange(ConfChangeType.ADD_LEARNER, 4))
    full, names = log_of(net, 1), log_of(net, 3)
    assert [(one.term, one.index) for one in names] == [(one.term, one.index) for one in full]
    assert [one.type for one in names] == [
        EntryType.NORMAL,
        EntryType.WITNESSED,
        EntryType.CONF_CHANGE,
    ]
    assert names[1].data == b""
    assert names[2] == full[2]


def test_leader_and_witness_are_a_quorum() -> None:
    net = group()
    net.isolate(2)
    net.propose(1, b"data")
    assert net[1].data == [b"data"]


def test_a_witness_gets_what_is_on_a_disk_with_the_data_and_no_more() -> None:
    net = group()
    net[1].node.propose(b"data")
    ready = net[1].node.ready()
    sent = of_type([*ready.messages, *ready.persisted_messages], MessageType.APP)
    assert {one.to: len(one.entries) for one in sent} == {2: 1, 3: 0}
    net[1].storage.append(ready.entries)
    net[1].node.advance()
    sent = of_type(net.work(1), MessageType.APP)
    assert {one.to: len(one.entries) for one in sent} == {3: 1}


def test_a_witness_never_leads() -> None:
    net = group()
    net.isolate(1, 2)
    net.tick(60, 3)
    net.campaign(3)
    assert (net[3].role, net[3].term) == (Role.FOLLOWER, 1)
    net.heal()
    net[1].node.transfer_leader(3)
    net.settle()
    assert net.leader == 1
    assert net[1].node.status().lead_transferee == 0


def test_a_leader_that_goes_hands_over_to_a_voter_with_data() -> None:
    net = group()
    net.change(1, remove(1))
    net.tick(30)
    assert net.leader == 2


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        (ConfState(voters=(1,), witnesses=(1,)), "a quorum of witnesses"),
        (ConfState(voters=(1, 2, 3), witnesses=(2, 3)), "a quorum of witnesses"),
        (ConfState(voters=(1, 2), witnesses=(3,)), "witnesses must be voters"),
        (
            ConfState(voters=(1, 2, 3), voters_outgoing=(3,), witnesses=(3,)),
            "a quorum of witnesses",
        ),
    ],
)
def test_no_configuration_has_a_quorum_without_data(conf: ConfState, reason: str) -> None:
    with pytest.raises(ConfChangeError, match=reason):
        Node(Config(id=1), MemoryStorage(latest_snapshot=Snapshot(1, 1, conf)))


@pytest.mark.parametrize("kind", [ConfChangeType.ADD_NODE, ConfChangeType.ADD_LEARNER])
def test_a_witness_becomes_nothing_else(kind: ConfChangeType) -> None:
    net = group()
    with pytest.raises(ConfChangeError, match="3 is a witness"):
        net[1].node.propose_conf_change(ConfChange(kind, 3))


def test_a_member_with_data_becomes_no_witness() -> None:
    net = group()
    with pytest.raises(ConfChangeError, match="2 is no witness"):
        net[1].node.propose_conf_change(ConfChange(ConfChangeType.ADD_WITNESS, 2))


def test_a_witness_that_is_removed_is_known_no_longer() -> None:
    net = group()
    net.change(1, remove(3))
    assert net[1].conf == ConfState(voters=(1, 2))


def test_entries_without_data_are_for_witnesses_only() -> None:
    node = Node(Config(id=1, pre_vote=False, check_quorum=False), make_storage())
    message = append(term=1)
    entry = Entry(1, 1, b"", EntryType.WITNESSED)
    with pytest.raises(MalformedMessageError, match="for a witness"):
        node.step(
            Message(
                type=MessageType.APP,
                to=1,
                sender=2,
                term=1,
                entries=(entry,),
                commit=message.commit,
            )
        )
    with pytest.raises(MalformedMessageError, match="without its data"):
        node.step(Message(type=MessageType.PROP, to=1, sender=2, entries=(entry,)))


def test_a_witnesss_disk_does_not_serve_another_node() -> None:
    store = storage()
    store.append([Entry(1, 1, b"", EntryType.WITNESSED)])
    store.set_hard_state(HardState(1, 0, 0))
    Node(Config(id=3, witness=True), store)
    with pytest.raises(ConfigError, match="of a witness"):
        Node(Config(id=3), store)


def test_a_snapshot_for_a_witness_has_no_data() -> None:
    net = group()
    net.isolate(3)
    net.propose(1, b"data")
    applied = net[1].node.status().applied
    net[1].storage.create_snapshot(applied, net[1].conf, b"all of it")
    net[1].storage.compact(applied)
    net.heal()
    net.tick(5)
    assert net[3].storage.snapshot().index == applied
    assert net[3].storage.snapshot().data == b""


def test_a_voter_with_data_goes_only_when_another_has_all_of_it() -> None:
    # Leader and witness commit the leader's removal. Were it gone then, node 2 could never win the
    # witness's vote.
    net = group()
    net.isolate(2)
    net.change(1, remove(1))
    assert net[1].conf.is_joint
    net.propose(1, b"a")
    assert net[1].data == []
    net.heal()
    net.tick(40)
    assert net.leader == 2
    assert net[2].conf == ConfState(voters=(2, 3), witnesses=(3,))
    assert net[2].data == [b"a"]


def test_a_voter_that_is_gone_for_good_can_be_removed() -> None:
    net = group()
    net.isolate(2)
    net.change(1, remove(2))
    assert net[1].conf == ConfState(voters=(1, 3), witnesses=(3,))


def test_a_leader_that_was_removed_sends_a_witness_what_those_hold_who_stay() -> None:
    net = group()
    net[1].node._raft.config = attrs.evolve(net[1].config, removed_leader=RemovedLeader.STAY)
    net.change(1, remove(1))
    net.tick(3)
    assert net[1].conf == ConfState(voters=(2, 3), witnesses=(3,))
    assert net[1].role is Role.LEADER
    net[1].node._raft.append_entries((Entry(data=b"late"),))
    net.isolate(2)
    net.tick(3, 1, 3)
    assert net[3].storage.last_index() < net[1].storage.last_index()


def test_a_witness_tells_a_candidate_of_its_later_term() -> None:
    # Without pre-vote, one who was removed and does not know it can raise the witness's term as
    # fast as the only candidate raises its own, which then was never heard (seed 143865).
    conf = ConfState(voters=(1, 2), witnesses=(2,))
    storages = {
        one: MemoryStorage(latest_snapshot=Snapshot(conf_state=conf, index=1, term=1))
        for one in (1, 2)
    }
    net = Network(2, storages=storages, each={2: {"witness": True}})
    stranger = Message(type=MessageType.VOTE, to=2, sender=3, term=9, log_term=0, index=0)
    net[2].node.step(stranger)
    net.settle()
    net.campaign(1)
    assert (net[1].role, net[1].term) == (Role.FOLLOWER, 9)
    net.campaign(1)
    assert (net[1].role, net[1].term) == (Role.LEADER, 10)
