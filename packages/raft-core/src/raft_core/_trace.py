"""Events of the protocol, in the vocabulary and JSON form of etcd's TLA+ trace checker.

A checker that knows the specification of Raft reads them line by line and says whether what a node
did is a behaviour that the specification allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from raft_core._conf_changes import ConfChangeType, ConfChangeV2
from raft_core._messages import Message, MessageType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raft_core._raft import Raft


class TraceState(msgspec.Struct, frozen=True):
    """The hard state; ids are text in this form."""

    term: int
    vote: str
    commit: int


class TraceMessage(msgspec.Struct, frozen=True, rename="camel"):
    """What of a message the specification knows."""

    type: str
    term: int
    sender: str = msgspec.field(name="from")
    to: str
    entries: int
    log_term: int
    index: int
    commit: int
    vote: str
    reject: bool
    reject_hint: int


class TraceChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of members, or the voters it led to."""

    changes: tuple[Mapping[str, str], ...] = ()
    newconf: tuple[str, ...] = ()


class TraceProperties(msgspec.Struct, frozen=True, omit_defaults=True):
    """What belongs to some events only."""

    match: int | None = None
    next: int | None = None
    cc: TraceChange | None = None


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event: what happened, and the node right then."""

    name: str
    nid: str
    state: TraceState
    role: str
    log: int
    """Index of the last entry."""
    conf: tuple[tuple[str, ...], tuple[str, ...]]
    """The voters, and those of the outgoing half."""
    msg: TraceMessage | None = None
    prop: TraceProperties | None = None

    def to_json(self) -> bytes:
        """Return the event as the checker reads it, in one line."""
        return _encoder.encode(_TraceLine(self))


class _TraceLine(msgspec.Struct, frozen=True):
    event: TraceEvent
    tag: str = "trace"


_encoder = msgspec.json.Encoder()

_REQUESTS: Final = (MessageType.APP, MessageType.HEARTBEAT, MessageType.SNAP)
_EVENTS: Final[Mapping[MessageType, str]] = {
    **dict.fromkeys(_REQUESTS, "AppendEntriesRequest"),
    MessageType.APP_RESP: "AppendEntriesResponse",
    MessageType.HEARTBEAT_RESP: "AppendEntriesResponse",
    MessageType.VOTE: "RequestVoteRequest",
    MessageType.VOTE_RESP: "RequestVoteResponse",
}
_ACTIONS: Final[Mapping[ConfChangeType, str]] = {
    ConfChangeType.ADD_NODE: "AddNewServer",
    ConfChangeType.REMOVE_NODE: "RemoveServer",
    ConfChangeType.ADD_LEARNER: "AddLearner",
    ConfChangeType.ADD_WITNESS: "AddNewServer",
}


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _texts(ids: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(str(one) for one in ids)


def event(
    raft: Raft, name: str, message: Message | None = None, prop: TraceProperties | None = None
) -> TraceEvent:
    """Return an event of a node."""
    conf = raft.tracker.conf
    return TraceEvent(
        name=name,
        nid=str(raft.id),
        state=TraceState(raft.term, str(raft.vote), raft.log.committed),
        role=f"State{_camel(raft.role.name)}",
        log=raft.log.last_index(),
        conf=(_texts(conf.voters), _texts(conf.voters_outgoing)),
        msg=None if message is None else _describe(message),
        prop=prop,
    )


def _describe(message: Message) -> TraceMessage:
    # The specification knows no snapshots: one stands for an append of all that it holds.
    snapshot = message.snapshot
    return TraceMessage(
        type=f"Msg{_camel(message.type.name)}",
        term=message.term,
        sender=str(message.sender),
        to=str(message.to),
        entries=len(message.entries) if snapshot is None else snapshot.index,
        log_term=message.log_term if snapshot is None else 0,
        index=message.index if snapshot is None else 0,
        commit=message.commit,
        vote=str(message.vote),
        reject=message.reject,
        reject_hint=message.reject_hint,
    )


def message_event(raft: Raft, direction: str, message: Message) -> TraceEvent | None:
    """Return the event of a message sent or received, if the specification knows its kind."""
    kind = _EVENTS.get(message.type)
    if kind is None:
        return None
    prop = None
    own = raft.tracker.progress.get(message.sender)
    if direction == "Send" and message.type is MessageType.APP and own is not None:
        prop = TraceProperties(match=own.match, next=own.next)
    return event(raft, direction + kind, message, prop)


def proposed(change: ConfChangeV2) -> TraceProperties | None:
    """Return what a proposed change of members does; nothing for leaving a joint state."""
    changes = tuple(
        {"nid": str(one.node_id), "action": _ACTIONS[one.type]}
        for one in change.changes
        if one.type in _ACTIONS
    )
    return TraceProperties(cc=TraceChange(changes=changes)) if changes else None


def applied(voters: tuple[int, ...]) -> TraceProperties:
    """Return the voters of a configuration that comes into force."""
    return TraceProperties(cc=TraceChange(newconf=_texts(voters)))
