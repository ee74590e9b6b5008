"""Snapshots in pieces: one after the other, each acknowledged, and never mixed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_core import (
    MalformedMessageError,
    Message,
    MessageType,
    OutOfRangeError,
    ProgressState,
    Snapshot,
)

from .network import Network, of_type

PIECES = (MessageType.SNAP, MessageType.SNAP_CHUNK)
DATA = bytes(range(100))


def behind(chunk: int = 30, *, data: bytes = DATA) -> Network:
    """Return a group in which node 3 needs a snapshot."""
    net = Network(3, max_snapshot_chunk=chunk)
    net.campaign(1)
    net.isolate(3)
    net.propose(1, b"x")
    peer = net[1]
    applied = peer.node.status().applied
    peer.storage.create_snapshot(applied, peer.conf, data)
    peer.storage.compact(applied)
    net.tick(2)
    net.heal()
    net.sent.clear()
    return net


def pieces(net: Network) -> list[Message]:
    return of_type(net.sent, *PIECES)


def test_a_snapshot_comes_in_pieces_of_the_size_asked_for() -> None:
    net = behind()
    net.tick(3)
    assert net[3].storage.snapshot().data == DATA
    assert [one.offset for one in pieces(net)] == [0, 30, 60, 90]
    assert [one.type is MessageType.SNAP for one in pieces(net)] == [False, False, False, True]
    assert net[1].node.status().progress[3].state is ProgressState.REPLICATE


@pytest.mark.parametrize("chunk", [0, 100, 1000])
def test_a_snapshot_that_fits_comes_whole(chunk: int) -> None:
    net = behind(chunk)
    net.tick(3)
    assert net[3].storage.snapshot().data == DATA
    assert [one.type for one in pieces(net)] == [MessageType.SNAP]


def test_the_first_snapshot_is_finished_even_if_there_is_a_newer_one() -> None:
    net = behind()
    lost = True
    net.drop = lambda message: lost and message.type is MessageType.SNAP_CHUNK_RESP
    net.tick(2)
    net.propose(1, b"y")
    net[1].storage.create_snapshot(net[1].node.status().applied, net[1].conf, b"newer" * 50)
    lost = False
    net.tick(40)
    assert net[3].storage.snapshot().data == DATA
    assert net[3].data == [b"y"]


def test_pieces_of_two_leaders_are_not_mixed() -> None:
    net = behind()
    net.drop = lambda message: message.type is MessageType.SNAP_CHUNK_RESP
    net.tick(2)
    assert net[3].node._raft.incoming is not None
    net.drop = lambda _message: False
    other = bytes(reversed(DATA))
    index = net[2].node.status().applied
    net[2].storage.create_snapshot(index, net[2].conf, other)
    net[2].storage.compact(index)
    net.isolate(1)
    net.campaign(2)
    net.tick(40, 2, 3)
    assert net[3].storage.snapshot().data == other


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_lost_or_repeated_the_snapshot_arrives_whole(data: st.DataObject) -> None:
    net = behind(chunk=data.draw(st.integers(1, 60)), data=DATA[: data.draw(st.integers(61, 100))])
    faults = data.draw(
        st.lists(st.sampled_from(("pass", "lose", "repeat", "restart")), max_size=30)
    )
    expected = net[1].storage.snapshot().data

    def drop(message: Message) -> bool:
        if message.type not in (*PIECES, MessageType.SNAP_CHUNK_RESP) or not faults:
            return False
        fault = faults.pop()
        if fault == "repeat":
            net.in_flight.append(message)
        elif fault == "restart":
            net.restart(3)
        return fault == "lose"

    net.drop = drop
    for _ in range(800):
        net.tick()
        if net[3].storage.snapshot().data:
            break
    assert net[3].storage.snapshot().data == expected
    assert len(pieces(net)) < 300


def test_a_piece_of_nothing_is_refused() -> None:
    net = behind()
    snapshot = Snapshot(9, 1, net[1].conf)
    message = Message(type=MessageType.SNAP_CHUNK, to=3, sender=1, term=1, snapshot=snapshot)
    with pytest.raises(MalformedMessageError, match="a piece of nothing"):
        net[3].node.step(message)


def test_a_piece_from_nowhere_is_answered_with_what_is_here() -> None:
    net = behind()
    snapshot = Snapshot(9, 1, net[1].conf, b"data")
    net[3].node.step(
        Message(type=MessageType.SNAP_CHUNK, to=3, sender=1, term=1, snapshot=snapshot, offset=7)
    )
    (answer,) = of_type(net.work(3), MessageType.SNAP_CHUNK_RESP)
    assert (answer.index, answer.offset) == (9, 0)


def test_pieces_are_taken_in_order_and_of_one_snapshot_only() -> None:
    net = behind()

    def step(index: int, offset: int, data: bytes) -> int:
        snapshot = Snapshot(index, 1, net[1].conf, data)
        kind = MessageType.SNAP_CHUNK
        net[3].node.step(
            Message(type=kind, to=3, sender=1, term=1, snapshot=snapshot, offset=offset)
        )
        (answer,) = of_type(net.work(3), MessageType.SNAP_CHUNK_RESP)
        assert answer.index == index
        return answer.offset

    assert step(9, 0, b"0123") == 4
    assert step(9, 8, b"89") == 4  # a gap
    assert step(8, 4, b"abcd") == 0  # of another snapshot
    assert step(9, 4, b"4567") == 8
    assert step(9, 4, b"4567") == 8  # a repetition
    incoming = net[3].node._raft.incoming
    assert incoming is not None
    assert incoming.data == b"01234567"


def test_an_answer_beyond_the_end_is_refused() -> None:
    net = behind()
    net.drop = lambda message: message.type is MessageType.SNAP_CHUNK_RESP
    net.tick(2)
    index = net[1].storage.snapshot().index
    answer = {"type": MessageType.SNAP_CHUNK_RESP, "to": 1, "sender": 3, "term": 1}
    with pytest.raises(MalformedMessageError, match="more of a snapshot"):
        net[1].node.step(Message(**answer, index=index, offset=101))
    with pytest.raises(OutOfRangeError):
        net[1].node.step(Message(**answer, index=index, offset=-1))
