"""Snapshots that a node's application asks for: its state is lost, its log is whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from raft_core import Entry, Message, MessageType, Role, Snapshot

from .network import Network, of_type, remove


def group(**given: Any) -> Network:
    net = Network(3, **given)
    net.campaign(1)
    net.propose(1, b"a")
    return net


def snapshot_of(net: Network, node_id: int, data: bytes = b"state") -> Snapshot:
    peer = net[node_id]
    return peer.storage.create_snapshot(peer.node.status().applied, peer.conf, data)


def test_nothing_is_applied_until_it_is_here_and_then_what_follows_is() -> None:
    net = group()
    net[3].node.request_snapshot()
    net.settle()
    net.propose(1, b"b")
    assert net[1].node.status().progress[3].wanted_snapshot == net[3].node.status().applied
    assert net[3].data == [b"a"]
    made = snapshot_of(net, 1)
    net.propose(1, b"c")
    net.tick(15)
    assert net[3].storage.snapshot() == made
    assert net[3].data == [b"a", b"c"]  # b is in the snapshot
    assert net[1].node.status().progress[3].wanted_snapshot == 0


def test_entries_go_on_beside_it() -> None:
    net = group()
    net.isolate(2)
    net[3].node.request_snapshot()
    net.propose(1, b"b")
    assert net[1].data == [b"a", b"b"]  # committed with node 3


def test_entries_that_follow_the_snapshot_stay_in_the_log() -> None:
    net = group()
    before = net[3].node.status()
    snapshot_of(net, 1)
    net.propose(1, b"b")
    net.propose(1, b"c")
    log = net[3].log()
    net.drop = lambda message: message.type is MessageType.SNAP
    net[3].node.request_snapshot()
    wanted = net[3].node._raft.log.wanted_snapshot
    assert wanted == net[3].node.status().applied > before.applied
    net.settle()
    net.heal()
    net[1].storage.create_snapshot(wanted, net[1].conf, b"newer")
    net[1].node.propose(b"d")
    net.tick(40)
    assert net[3].storage.snapshot().data == b"newer"
    assert [*log, *net[3].log()][-2:] == [net[1].log()[-2], net[1].log()[-1]]
    assert net[3].node.status().applied == net[1].node.status().applied


def test_a_snapshot_that_is_too_old_is_not_taken() -> None:
    net = group()
    old = snapshot_of(net, 1)
    net.propose(1, b"b")
    net[3].node.request_snapshot()
    message = Message(type=MessageType.SNAP, to=3, sender=1, term=1, snapshot=old)
    net[3].node.step(message)
    assert net[3].node._raft.log.wanted_snapshot
    assert [one.index for one in of_type(net.work(3), MessageType.APP_RESP)] == [3]


def test_the_own_snapshot_is_not_asked_for() -> None:
    net = group()
    own = snapshot_of(net, 3)
    net[3].node.request_snapshot()
    assert net[3].node._raft.log.wanted_snapshot == own.index + 1


def test_it_may_come_in_pieces_while_entries_come() -> None:
    net = group(max_snapshot_chunk=10)
    net[3].node.request_snapshot()
    snapshot_of(net, 1, bytes(100))
    for number in range(10):
        net.propose(1, b"%d" % number)
        net.tick()
    assert net[3].storage.snapshot().data == bytes(100)
    assert len(of_type(net.sent, MessageType.SNAP_CHUNK)) == 9
    assert net[3].node.status().applied == net[1].node.status().applied


def test_a_leader_hands_over_first() -> None:
    net = group()
    net[1].node.request_snapshot()
    net.settle()
    assert net[1].role is Role.FOLLOWER
    snapshot_of(net, net.leader)
    net.tick(30)
    assert net[1].storage.snapshot().data == b"state"


def test_a_request_wakes_a_sleeping_group() -> None:
    net = group(pre_vote=True, check_quorum=True, quiesce_tick=3)
    net.tick(10)
    assert all(peer.node.status().quiescent for peer in net.peers.values())
    snapshot_of(net, 1)
    net[3].node.request_snapshot()
    net.settle()
    assert net[3].storage.snapshot().data == b"state"
    net.tick(30)
    assert all(peer.node.status().quiescent for peer in net.peers.values())


def test_who_is_silent_keeps_no_vote_from_others() -> None:
    # Node 3 has a change of members to apply, so it cannot campaign. It once kept believing in its
    # leader for ever, and refused the others.
    net = Network(3, pre_vote=True, check_quorum=True)
    net.campaign(1)
    net[3].node._raft.randomized_election_timeout = 10
    net[3].node.request_snapshot()
    net.change(1, remove(2))
    net.tick(25, 3)
    assert net[3].lead == 0


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_lost_it_arrives_and_the_log_is_whole(data: st.DataObject) -> None:
    chunk = data.draw(st.sampled_from((0, 7)))
    net = Network(3, max_snapshot_chunk=chunk, snapshot_timeout_tick=20)
    net.campaign(1)
    lost = data.draw(st.lists(st.booleans(), max_size=60))
    net.drop = lambda message: bool(3 in (message.to, message.sender) and lost and lost.pop())
    net[3].node.request_snapshot()
    for number in range(data.draw(st.integers(1, 5))):
        net.propose(1, b"%d" % number)
    expected = snapshot_of(net, 1, bytes(30))
    net.propose(1, b"last")
    for _ in range(300):
        net.tick()
        if net[3].storage.snapshot() == expected:
            break
    net.tick(5)
    assert net[3].storage.snapshot() == expected
    assert net[3].data[-1:] == [b"last"]
    last = net[1].storage.last_index()
    assert net[3].storage.entries(last, last + 1) == net[1].storage.entries(last, last + 1)
    assert isinstance(net[3].storage.entries(last, last + 1)[0], Entry)
