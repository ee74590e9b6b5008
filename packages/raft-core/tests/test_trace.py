"""Trace events have the form that etcd's TLA+ trace checker reads."""

import json

from raft_core import ConfChangeSingle, ConfChangeType, ConfChangeV2, TraceEvent

from .network import Network


def traced() -> tuple[Network, list[TraceEvent]]:
    events: list[TraceEvent] = []
    return Network(2, trace=events.append), events


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
    assert json.loads(event.to_json()) == {
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
    assert json.loads(proposed.to_json())["prop"] == {
        "cc": {"changes": [{"nid": "3", "action": "AddLearner"}]}
    }
    applied = [one for one in events if one.name == "ApplyConfChange"][-1]
    assert json.loads(applied.to_json())["prop"] == {"cc": {"newconf": ["1", "2"]}}


def test_the_same_seed_gives_the_same_trace() -> None:
    runs: list[bytes] = []
    for _ in range(3):
        group, events = traced()
        group.tick(60)
        group.propose(group.leader, b"a")
        runs.append(b"\n".join(event.to_json() for event in events))
    assert runs[0] == runs[1] == runs[2]
