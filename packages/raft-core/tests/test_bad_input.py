"""What a node cannot take: a typed error with a stable code, and nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from raft_core import (
    ConfChange,
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeType,
    ConfChangeV2,
    ConfState,
    Entry,
    EntryTooLargeError,
    EntryType,
    MalformedMessageError,
    Message,
    MessageType,
    MisaddressedError,
    Node,
    OutOfRangeError,
    RaftError,
    SafetyViolationError,
    Snapshot,
    UnknownPeerError,
    UnsupportedVersionError,
    WrongClusterError,
    _errors,
    decode_message,
    encode_message,
)

from .network import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    Input = Callable[[Node], None]

APP, VOTE, RESP = MessageType.APP, MessageType.VOTE, MessageType.APP_RESP
REMOVE_ALL = ConfChangeV2(
    tuple(ConfChangeSingle(ConfChangeType.REMOVE_NODE, node_id) for node_id in (1, 2, 3))
)


def sent(
    kind: MessageType = RESP,
    *,
    to: int = 1,
    sender: int = 2,
    term: int = 1,
    index: int = 0,
    commit: int = 0,
) -> Input:
    message = Message(type=kind, to=to, sender=sender, term=term, index=index, commit=commit)
    return lambda node: node.step(message)


def received(data: bytes) -> Input:
    return lambda node: node.step(decode_message(data, cluster=7))


HEARTBEAT = Message(type=MessageType.HEARTBEAT, to=1, sender=2, term=1)
BYTES = encode_message(HEARTBEAT, cluster=7)

BAD: dict[str, tuple[Input, type[RaftError], str]] = {
    "of another cluster": (
        received(encode_message(HEARTBEAT, cluster=8)),
        WrongClusterError,
        "raft.message_cluster",
    ),
    "of a future version": (
        received(b"\x02" + BYTES[1:]),
        UnsupportedVersionError,
        "raft.message_version",
    ),
    "no bytes": (received(b""), MalformedMessageError, "raft.message_malformed"),
    "cut off": (received(BYTES[:-1]), MalformedMessageError, "raft.message_malformed"),
    "of a type nobody knows": (
        received(BYTES[:9] + msgspec.msgpack.encode([99, 1, 2])),
        MalformedMessageError,
        "raft.message_malformed",
    ),
    "of an unknown node": (sent(sender=9), UnknownPeerError, "raft.message_unknown_peer"),
    "of nobody": (sent(sender=0), MalformedMessageError, "raft.message_malformed"),
    "to another node": (sent(to=3), MisaddressedError, "raft.message_misaddressed"),
    "entries with a gap": (
        lambda node: node.step(Message(type=APP, to=1, sender=2, term=2, entries=(Entry(1, 5),))),
        MalformedMessageError,
        "raft.message_malformed",
    ),
    "a term far off": (sent(term=2**40), OutOfRangeError, "raft.message_out_of_range"),
    "no term": (sent(term=0), OutOfRangeError, "raft.message_out_of_range"),
    "a negative term": (sent(term=-1), OutOfRangeError, "raft.message_out_of_range"),
    "an index far off": (sent(index=2**63), OutOfRangeError, "raft.message_out_of_range"),
    "a commit index far off": (
        sent(MessageType.HEARTBEAT, term=2, commit=2**63),
        OutOfRangeError,
        "raft.message_out_of_range",
    ),
    "an index that was never sent": (
        sent(index=999),
        SafetyViolationError,
        "raft.safety_violation",
    ),
    "a commit index that is not here": (
        sent(MessageType.HEARTBEAT, term=2, commit=999),
        SafetyViolationError,
        "raft.safety_violation",
    ),
    "a second leader": (
        sent(MessageType.HEARTBEAT),
        SafetyViolationError,
        "raft.safety_violation",
    ),
    "an entry over the limit": (
        lambda node: node.propose(b"x" * 101),
        EntryTooLargeError,
        "raft.entry_too_large",
    ),
    "an entry over the limit, passed on": (
        lambda node: node.step(
            Message(type=MessageType.PROP, to=1, sender=2, entries=(Entry(data=b"x" * 101),))
        ),
        EntryTooLargeError,
        "raft.entry_too_large",
    ),
    "a change that is none": (
        lambda node: node.step(
            Message(
                type=MessageType.PROP,
                to=1,
                sender=2,
                entries=(Entry(data=b"none", type=EntryType.CONF_CHANGE),),
            )
        ),
        MalformedMessageError,
        "raft.message_malformed",
    ),
    "a group without voters": (
        lambda node: node.propose_conf_change(REMOVE_ALL),
        ConfChangeError,
        "raft.conf_change",
    ),
    "a snapshot of a group without voters": (
        lambda node: node.step(
            Message(
                type=MessageType.SNAP,
                to=1,
                sender=2,
                term=2,
                snapshot=Snapshot(9, 1, ConfState(learners=(1,))),
            )
        ),
        MalformedMessageError,
        "raft.message_malformed",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_nothing_changes(name: str) -> None:
    act, kind, code = BAD[name]
    net = Network(3, max_entry_size=100)
    net.campaign(1)
    net.propose(1, b"x")
    node = net[1].node
    before = (node.status(), node.has_ready(), net[1].log())
    with pytest.raises(RaftError) as raised:
        act(node)
    assert type(raised.value) is kind
    assert raised.value.code == code
    assert raised.value.reason
    assert (node.status(), node.has_ready(), net[1].log()) == before
    net.propose(1, b"y")
    assert net[3].data == [b"x", b"y"]


def test_the_last_voter_cannot_be_removed() -> None:
    net = Network(1)
    net.campaign(1)
    before = net[1].node.status()
    with pytest.raises(ConfChangeError, match="removed all voters"):
        net[1].node.propose_conf_change(ConfChange(ConfChangeType.REMOVE_NODE, 1))
    assert net[1].node.status() == before


def test_every_error_has_a_code_of_its_own() -> None:
    errors = [
        one
        for one in vars(_errors).values()
        if isinstance(one, type) and issubclass(one, RaftError)
    ]
    codes = [one.code for one in errors]
    assert len(errors) > 20
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("raft.") for code in codes)
