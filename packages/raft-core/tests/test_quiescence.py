"""A group with nothing to do counts no ticks, and is there when something is asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from raft_core import (
    Config,
    ConfigError,
    MalformedMessageError,
    Message,
    MessageType,
    ProposalDroppedError,
    ReadOnlyOption,
    ReadState,
    Role,
    SafetyViolationError,
)

from .network import Network, add_learner, make_node, make_storage, of_type

CAREFUL: dict[str, Any] = {"pre_vote": True, "check_quorum": True}


def asleep(net: Network) -> list[int]:
    return [peer.id for peer in net.peers.values() if peer.node.status().quiescent]


def sleeping(size: int = 3, *, quiesce_tick: int = 25) -> Network:
    """Return a group that has gone to sleep under node 1; the time is longer than an election's."""
    net = Network(size, quiesce_tick=quiesce_tick, **CAREFUL)
    net.campaign(1)
    net.propose(1, b"work")
    for _ in range(quiesce_tick + 20):
        net.tick(1, 1)
        for node_id in range(2, size + 1):
            if not net[node_id].node.status().quiescent:
                net.tick(1, node_id)
    assert asleep(net) == list(net.peers)
    net.sent.clear()
    return net


def test_an_idle_group_sends_nothing() -> None:
    net = sleeping()
    net.tick(500)
    assert not net.sent
    assert net.leader == 1


def test_a_group_that_is_used_does_not_sleep() -> None:
    net = Network(3, quiesce_tick=5, **CAREFUL)
    net.campaign(1)
    for _ in range(50):
        net.tick(4)
        net.propose(1, b"work")
        assert not asleep(net)


def test_a_group_sleeps_only_if_it_is_told_to() -> None:
    net = Network(3, **CAREFUL)
    net.campaign(1)
    net.tick(200)
    assert not asleep(net)


@pytest.mark.parametrize("node_id", [1, 2])
def test_a_proposal_wakes_everybody(node_id: int) -> None:
    net = sleeping()
    net.propose(node_id, b"more")
    assert not asleep(net)
    assert [peer.data for peer in net.peers.values()] == [[b"work", b"more"]] * 3
    net.tick(100)
    assert asleep(net) == [1, 2, 3]
    assert net[1].term == 1


@pytest.mark.parametrize("node_id", [1, 2])
def test_a_read_wakes_the_leader_and_is_answered_by_a_quorum(node_id: int) -> None:
    net = sleeping()
    net[node_id].node.read_index(b"read")
    net.settle()
    assert net[node_id].reads == [ReadState(net[1].commit, b"read")]


def test_a_sleeping_leader_cut_off_answers_no_read() -> None:
    """It has slept through an election; without leases that does no harm."""
    net = sleeping()
    net.isolate(1)
    net[2].node.campaign()
    net.tick(40, 2, 3)
    net.propose(net[2].lead, b"newer")
    assert net[1].node.status().quiescent
    net[1].node.read_index(b"stale")
    net.tick(30, 1)
    assert not net[1].reads
    assert net[1].role is not Role.LEADER  # awake, it notices that nobody answers


def test_a_change_of_members_wakes_everybody() -> None:
    net = sleeping()
    net.add(4, make_storage(), quiesce_tick=25, **CAREFUL)
    net.change(1, add_learner(4))
    net.tick(80)
    assert net[4].data == [b"work"]
    assert asleep(net) == [1, 2, 3, 4]


def test_a_leader_lost_in_its_sleep_is_replaced_once_somebody_asks() -> None:
    net = sleeping()
    net.isolate(1)
    net.tick(200, 2, 3)
    assert net[2].lead == net[3].lead == 1
    net.propose(2, b"lost with the leader")
    net.tick(60, 2, 3)
    assert net.leader in (2, 3)
    net.propose(net.leader, b"served")
    assert net[2].data == [b"work", b"served"]


def test_a_restarted_follower_wakes_the_others() -> None:
    net = sleeping()
    net.restart(3)
    net.tick(30)
    assert net[3].lead == 1
    assert net[1].term == 1


def test_a_restarted_leader_is_replaced() -> None:
    net = sleeping()
    net.restart(1)
    net.tick(100)
    assert net.until_leader()


def test_who_missed_the_good_night_deposes_nobody() -> None:
    net = Network(3, quiesce_tick=5, **CAREFUL)
    net.campaign(1)
    net.drop = lambda message: message.type is MessageType.QUIESCE and message.to == 3
    net.tick(200)
    assert of_type(net.sent, MessageType.QUIESCE)
    assert (net.leader, net[1].term) == (1, 1)


def test_a_leader_does_not_sleep_while_somebody_is_silent() -> None:
    net = Network(3, quiesce_tick=25, **CAREFUL)
    net.campaign(1)
    net.isolate(3)
    net.tick(200, 1, 2)
    assert not asleep(net)


def test_a_follower_that_may_not_sleep_says_so() -> None:
    net = Network(3, each={3: {"quiesce_tick": 0}}, quiesce_tick=5, **CAREFUL)
    net.campaign(1)
    net.tick(100)
    assert not net[3].node.status().quiescent
    assert (net.leader, net[1].term) == (1, 1)


def test_a_group_does_not_sleep_during_a_transfer() -> None:
    """Else the leader would refuse proposals, waiting for ticks that nobody counts."""
    net = Network(3, quiesce_tick=3, **CAREFUL)
    net.campaign(1)
    net.drop = lambda message: message.type is MessageType.TIMEOUT_NOW
    net[1].node.transfer_leader(2)
    net.tick(6)
    assert not asleep(net)
    net.tick(30)
    net.propose(1, b"served")
    assert net[3].data == [b"served"]


def test_forgetting_the_leader_wakes() -> None:
    net = sleeping()
    net[2].node.forget_leader()
    assert asleep(net) == [1, 3]


def test_what_is_refused_wakes_nobody() -> None:
    net = Network(3, each={2: {"disable_proposal_forwarding": True}}, quiesce_tick=5, **CAREFUL)
    net.campaign(1)
    net.tick(20)
    assert 2 in asleep(net)
    with pytest.raises(ProposalDroppedError):
        net[2].node.propose(b"x")
    assert 2 in asleep(net)


def test_a_good_night_that_counts_on_lost_entries_is_a_violation() -> None:
    node = make_node(2, make_storage((1,)), quiesce_tick=5, **CAREFUL)
    message = Message(
        type=MessageType.QUIESCE, to=2, sender=1, term=1, log_term=1, index=5, commit=5
    )
    with pytest.raises(SafetyViolationError):
        node.step(message)
    with pytest.raises(MalformedMessageError, match="rests"):
        node.step(Message(type=MessageType.QUIESCE, to=2, sender=1, term=1, index=1))


@pytest.mark.parametrize(
    "settings",
    [
        {"pre_vote": False},
        {"check_quorum": False},
        {"read_only": ReadOnlyOption.LEASE_BASED},
    ],
)
def test_quiescence_needs_what_makes_it_safe(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="quiescence"):
        Config(id=1, quiesce_tick=5, **settings)
