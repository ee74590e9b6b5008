"""Trace events have the form that etcd's TLA+ trace checker reads."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from raft_core import ConfChangeSingle, ConfChangeType, ConfChangeV2, TraceEvent

from .network import Network


def traced() -> tuple[Network, list[TraceEvent]]:
    events: list[TraceEvent] = []
    return Network(2, trace=events.append), events


# What the checker's module reads of a line (`TracingEvent` and what it holds, in etcd's library).


class State(msgspec.Struct, forbid_unknown_fields=True):
    term: int
    vote: str
    commit: int


class Described(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    type: Literal[
        "MsgApp",
        "MsgAppResp",
        "MsgVote",
        "MsgVoteResp",
        "MsgHeartbeat",
        "MsgHeartbeatResp",
        "MsgSnap",
    ]
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


class Single(msgspec.Struct, forbid_unknown_fields=True):
    nid: str
    action: Literal["AddNewServer", "RemoveServer", "AddLearner"]


class Change(msgspec.Struct, forbid_unknown_fields=True):
    changes: list[Single] = []
    newconf: list[str] = []


class Properties(msgspec.Struct, forbid_unknown_fields=True):
    match: int | None = None
    next: int | None = None
    cc: Change | None = None


class Event(msgspec.Struct, forbid_unknown_fields=True):
    name: Literal[
        "InitState",
        "BecomeCandidate",
        "BecomeFollower",
        "BecomeLeader",
        "Commit",
        "Replicate",
        "ChangeConf",
        "ApplyConfChange",
        "Ready",
        "SendAppendEntriesRequest",
        "ReceiveAppendEntriesRequest",
        "SendAppendEntriesResponse",
        "ReceiveAppendEntriesResponse",
        "SendRequestVoteRequest",
        "ReceiveRequestVoteRequest",
        "SendRequestVoteResponse",
        "ReceiveRequestVoteResponse",
        "SendSnapshot",
        "ReceiveSnapshot",
    ]
    nid: str
    state: State
    role: Literal["StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate"]
    log: int
    conf: tuple[list[str], list[str]]
    msg: Described | None = None
    prop: Properties | None = None


class Line(msgspec.Struct, forbid_unknown_fields=True):
    tag: Literal["trace"]
    event: Event


def in_the_checkers_form(event: TraceEvent) -> dict[str, Any]:
    """Return an event's JSON object, after the checker's own reading of it."""
    line = event.to_json()
    read = msgspec.json.decode(line, type=Line).event
    assert ("Send" in read.name or "Receive" in read.name) == (read.msg is not None)
    assert (read.name in ("ChangeConf", "ApplyConfChange")) == (
        read.prop is not None and read.prop.cc is not None
    )
    return msgspec.json.decode(line, type=dict[str, dict[str, Any] | str])["event"]  # type: ignore[return-value]  # the tag is text


def test_the_form_is_the_checkers_in_every_event_of_a_long_life() -> None:
    events: list[TraceEvent] = []
    group = Network(3, trace=events.append, pre_vote=True, check_quorum=True)
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    for kind, member in (
        (ConfChangeType.ADD_LEARNER, 4),
        (ConfChangeType.ADD_NODE, 4),
        (ConfChangeType.REMOVE_NODE, 4),
        (ConfChangeType.ADD_WITNESS, 5),
        (ConfChangeType.REMOVE_NODE, 5),
    ):
        group.change(1, ConfChangeV2((ConfChangeSingle(kind, member),)))
    group.compact(1)
    group.heal()
    group.tick(40)
    group[1].node.transfer_leader(2)
    group.settle()
    kinds = {in_the_checkers_form(event)["name"] for event in events}
    assert len(kinds) == 17  # etcd's library does not emit the two about snapshots either
    assert any(event.msg is not None and event.msg.type == "MsgSnap" for event in events)


def test_a_line_of_another_form_is_noticed() -> None:
    _, events = traced()
    wrong = msgspec.structs.replace(events[0], role="StateObserver")
    with pytest.raises(msgspec.ValidationError):
        in_the_checkers_form(wrong)


def test_every_kind_of_event_is_emitted() -> None:
    group, events = traced()
    group.campaign(1)
    group.propose(1, b"a")
    group.tick(1, 1)
    group.change(1, ConfChangeV2((ConfChangeSingle(ConfChangeType.ADD_LEARNER, 3),)))
    names = {event.name for event in events}
    assert names == {
        "InitState",
        "BecomeFollower",
        "BecomeCandidate",
        "BecomeLeader",
        "Commit",
        "Replicate",
        "ChangeConf",
        "ApplyConfChange",
        "Ready",
        "SendAppendEntriesRequest",
        "ReceiveAppendEntriesRequest",
        "SendAppendEntriesResponse",
        "ReceiveAppendEntriesResponse",
        "SendRequestVoteRequest",
        "ReceiveRequestVoteRequest",
        "SendRequestVoteResponse",
        "ReceiveRequestVoteResponse",
    }


def test_an_event_is_one_line_of_json_with_the_checkers_names() -> None:
    group, events = traced()
    group.campaign(1)
    event = next(one for one in events if one.name == "SendAppendEntriesRequest")
    assert in_the_checkers_form(event) == {
        "name": "SendAppendEntriesRequest",
        "nid": "1",
        "state": {"term": 1, "vote": "1", "commit": 0},
        "role": "StateLeader",
        "log": 1,
        "conf": [["1", "2"], []],
        "msg": {
            "type": "MsgApp",
            "term": 1,
            "from": "1",
            "to": "2",
            "entries": 1,
            "logTerm": 0,
            "index": 0,
            "commit": 0,
            "vote": "0",
            "reject": False,
            "rejectHint": 0,
        },
        "prop": {"match": 0, "next": 1},
    }
    assert b"\n" not in event.to_json()


def test_a_change_of_members_says_what_it_does() -> None:
    group, events = traced()
    group.campaign(1)
    group.change(1, ConfChangeV2((ConfChangeSingle(ConfChangeType.ADD_LEARNER, 3),)))
    proposed = next(one for one in events if one.name == "ChangeConf")
    assert in_the_checkers_form(proposed)["prop"] == {
        "cc": {"changes": [{"nid": "3", "action": "AddLearner"}]}
    }
    applied = [one for one in events if one.name == "ApplyConfChange"][-1]
    assert in_the_checkers_form(applied)["prop"] == {"cc": {"newconf": ["1", "2"]}}


def test_the_same_seed_gives_the_same_trace() -> None:
    runs: list[bytes] = []
    for _ in range(3):
        group, events = traced()
        group.tick(60)
        group.propose(group.leader, b"a")
        runs.append(b"\n".join(event.to_json() for event in events))
    assert runs[0] == runs[1] == runs[2]
