"""Traces of groups, judged by etcd's TLA+ trace checker: behaviours that its specification allows.

`RAFT_TLA` is the folder of the checker (`tla` of etcd's Raft library), `RAFT_TLC` the class path of
the model checker (`tla2tools.jar:CommunityModules-deps.jar`). Without them, and without Java,
these tests are skipped; `docs/raft-seeds.md` says with what they were run.

The specification knows one change of members at a time and no joint state, takes the log that a
node begins with for the changes that founded the group, and a restart for one step. It cannot
follow the answer to a snapshot: what it expects of one, no node says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from raft_core.simulation import ABLATIONS

from .network import Network, add_learner, add_voter, make_storage, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from raft_core import TraceEvent

_CHECKER = os.environ.get("RAFT_TLA", "")
_MODEL_CHECKER = os.environ.get("RAFT_TLC", "")

pytestmark = pytest.mark.skipif(
    not (_CHECKER and _MODEL_CHECKER and shutil.which("java")),
    reason="RAFT_TLA and RAFT_TLC do not say where the checker is, or there is no Java",
)


def founded(events: list[TraceEvent], **settings: Any) -> Network:
    """Return a group of three whose logs begin with what founded it."""
    storages = {number: make_storage([1, 1, 1], commit=3) for number in (1, 2, 3)}
    return Network(3, trace=events.append, storages=storages, **settings)


def elections_and_entries(events: list[TraceEvent]) -> None:
    group = founded(events)
    group.campaign(1)
    group.propose(1, b"a")
    group.tick(2)
    group.propose(1, b"b", b"c")
    group.campaign(2)
    group.propose(2, b"d")


def conflicting_tails(events: list[TraceEvent]) -> None:
    group = founded(events)
    group.campaign(1)
    group.isolate(1)
    group.propose(1, b"lost")
    group.campaign(2)
    group.propose(2, b"kept")
    group.heal()
    group.tick(2)
    assert b"lost" not in group[1].data
    assert b"kept" in group[1].data


def restarts(events: list[TraceEvent]) -> None:
    group = founded(events)
    group.campaign(1)
    group.propose(1, b"a")
    group.restart(2)
    group.tick(2)
    group.propose(1, b"b")
    group.restart(1)
    group.campaign(3)
    group.propose(3, b"c")


def changes_of_members(events: list[TraceEvent]) -> None:
    group = founded(events)
    group.campaign(1)
    group.add(4, make_storage([1, 1, 1], commit=3), trace=events.append)
    for change in (add_learner(4), add_voter(4), remove(2)):
        group.change(1, change)
        group.tick(2)
    group.propose(1, b"a")
    assert group[4].data == [b"a"]


def pre_votes_and_a_transfer(events: list[TraceEvent]) -> None:
    group = founded(events, pre_vote=True, check_quorum=True)
    group.tick(40)
    group.propose(group.leader, b"a")
    group[group.leader].node.transfer_leader(1 + group.leader % 3)
    group.settle()
    group.tick(2)


def an_older_term_with_a_majority(events: list[TraceEvent]) -> None:
    """Figure 8 of the paper: a majority holds an entry of an older term, and nothing newer."""
    group = founded(events, max_size_per_message=9, max_entry_size=9)
    group.campaign(1)
    group.isolate(1)
    group.propose(1, b"old")
    group.heal()
    group.restart(1)
    group.drop = lambda message: (
        any(entry.term == 3 for entry in message.entries)
        and group[message.to].storage.last_index() == 5
    )
    group.campaign(1)
    group.tick(3)
    assert group[2].log()[-1] == group[3].log()[-1] == (2, 5)


LIVES: list[Callable[[list[TraceEvent]], None]] = [
    elections_and_entries,
    conflicting_tails,
    restarts,
    changes_of_members,
    pre_votes_and_a_transfer,
    an_older_term_with_a_majority,
]


def as_the_checker_reads(events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """Return the events with each restart, from its beginning to its loaded state, as one."""
    known: set[str] = set()
    loading: set[str] = set()
    read: list[TraceEvent] = []
    for event in events:
        if event.name == "InitState" and event.nid in known:
            loading.add(event.nid)
        elif event.nid not in loading:
            read.append(event)
        elif event.name == "BecomeFollower":
            loading.remove(event.nid)
            read.append(msgspec.structs.replace(event, name="InitState"))
        known.add(event.nid)
    return read


def verdict(events: Iterable[TraceEvent], folder: Path) -> str:
    """Return what the model checker says of a trace."""
    trace = folder / "trace.ndjson"
    trace.write_bytes(b"".join(event.to_json() + b"\n" for event in as_the_checker_reads(events)))
    checker = ["-config", "Traceetcdraft.cfg", "Traceetcdraft.tla", "-lncheck", "final"]
    command = [
        "java",
        "-XX:+UseSerialGC",
        "-Xmx1g",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        _MODEL_CHECKER,
        "tlc2.TLC",
        *checker,
    ]
    done = subprocess.run(  # noqa: S603 - what the environment names
        [*command, "-metadir", folder / "states", "-workers", "1", "-noGenerateSpecTE"],
        cwd=_CHECKER,
        env={**os.environ, "JSON": str(trace)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
def test_the_specification_allows_it(
    life: Callable[[list[TraceEvent]], None], tmp_path: Path
) -> None:
    events: list[TraceEvent] = []
    life(events)
    assert "No error has been found" in verdict(events, tmp_path)


def test_an_entry_of_an_older_term_committed_by_count_is_not_allowed(tmp_path: Path) -> None:
    events: list[TraceEvent] = []
    (ablation,) = [one for one in ABLATIONS if one.name == "commit-old-terms"]
    with ablation.removed():
        an_older_term_with_a_majority(events)
    assert "violated" in verdict(events, tmp_path)


@pytest.mark.parametrize("name", ["Ready", "Commit", "BecomeLeader", "SendAppendEntriesRequest"])
def test_a_trace_that_lacks_a_kind_of_event_is_not_allowed(name: str, tmp_path: Path) -> None:
    events: list[TraceEvent] = []
    elections_and_entries(events)
    assert "violated" in verdict([event for event in events if event.name != name], tmp_path)
