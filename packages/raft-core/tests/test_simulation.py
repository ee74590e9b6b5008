"""Groups under faults: 2,000 seeds here, as many as wanted by `python -m raft_core.simulation`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import raft_core
import raft_core.simulation
from raft_core import ConfigError, MessageType, Role
from raft_core.simulation import (
    ABLATIONS,
    Coverage,
    Invariant,
    Profile,
    run_profile,
    run_seed,
    shrink,
)
from raft_core.simulation.__main__ import main
from raft_core.simulation._shrink import difference

PARTS = 8
SEEDS = 2_000
WITH_OPTIONS = 400


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(raft_core.simulation) if not name.startswith("_")}
    assert set(raft_core.simulation.__all__) == public


@pytest.mark.parametrize("part", range(PARTS))
def test_no_seed_breaks_a_promise(part: int) -> None:
    size = SEEDS // PARTS
    coverage = Coverage()
    for seed in range(part * size, (part + 1) * size):
        outcome = run_seed(seed)
        assert outcome.violation is None, f"seed {seed}: {outcome.violation}"
        coverage.add(outcome.coverage)
    seen = {(kind, role) for kind, role, _ in coverage.messages}
    assert {(MessageType.APP, Role.FOLLOWER), (MessageType.APP_RESP, Role.LEADER)} <= seen
    assert {"crash", "configuration", "joint", "snapshot installed", "compaction"} <= set(
        coverage.events
    )


def test_no_seed_breaks_a_promise_with_the_settings_that_are_off_by_default() -> None:
    coverage = Coverage()
    for seed in range(WITH_OPTIONS):
        outcome = run_seed(seed, {"options": 1})
        assert outcome.violation is None, f"seed {seed}: {outcome.violation}"
        coverage.add(outcome.coverage)
    seen = {(kind, role) for kind, role, _ in coverage.messages}
    assert {(MessageType.QUIESCE, Role.FOLLOWER), (MessageType.SNAP_CHUNK, Role.FOLLOWER)} <= seen
    assert (MessageType.SNAP_CHUNK_RESP, Role.LEADER) in seen


@pytest.mark.parametrize(
    ("seed", "given"),
    [
        (2941, {"options": 1}),  # the last copy with data left, and a witness kept the others out
        (6270, {"options": 1}),  # a witness had what a leader that was removed had appended
        (26837, {"priorities": 3}),  # a learner in a later term than its leader, who never heard
    ],
)
def test_seeds_that_once_broke_a_promise(seed: int, given: dict[str, int]) -> None:
    assert run_seed(seed, given).violation is None


def test_settings_that_are_off_by_default_do_not_change_what_is_drawn_beside_them() -> None:
    for seed in range(50):
        plain, drawn = Profile.draw(seed), Profile.draw(seed, {"options": 1})
        options = {"options", "priorities", "quiesce_tick", "snapshot_chunk"}
        options |= {"witnesses", "sites", "lost_states"}
        if drawn.quiesce_tick:  # which does not go with these
            options |= {"leases", "pre_vote", "check_quorum"}
        same = {name: getattr(drawn, name) for name in attrs.asdict(plain).keys() - options}
        changed = set() if not plain.leases else {"drift", "stops"}
        assert all(getattr(plain, name) == same[name] for name in same.keys() - changed)


def test_a_seed_gives_the_same_run_eight_times() -> None:
    for seed in (0, 1, 2, 3):
        assert len({run_seed(seed).trace_hash for _ in range(8)}) == 1


def pythons() -> list[str]:
    """Return this interpreter, and others that can import what the package needs."""
    return [sys.executable, *filter(None, map(shutil.which, ("python3.12", "python3.13")))]


@pytest.mark.parametrize("python", pythons())
def test_neither_hash_seed_nor_version_changes_a_run(python: str) -> None:
    code = (
        "from raft_core.simulation import run_seed\n"
        "print(*[run_seed(seed).trace_hash for seed in range(12)])"
    )
    source = str(Path(raft_core.__file__).parent.parent)
    expected = [run_seed(seed).trace_hash for seed in range(12)]
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": source}
        result = subprocess.run(  # noqa: S603 - an interpreter found on the path, our own code
            [python, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        if python != sys.executable and result.returncode:
            pytest.skip(f"{python} lacks attrs or msgspec, or is not there")
        assert result.stdout.split() == expected


def test_seeds_differ() -> None:
    assert len({run_seed(seed).trace_hash for seed in range(20)}) == 20


def test_what_is_given_is_not_drawn() -> None:
    profile = Profile.draw(7, {"nodes": 2, "loss": 5})
    assert (profile.nodes, profile.loss) == (2, 5)
    assert attrs.evolve(Profile.draw(7), nodes=2, loss=5) == profile


@pytest.mark.parametrize("given", [{"nodse": 3}, {"nodes": 0}, {"nodes": 9}, {"delay": 0}])
def test_a_run_that_cannot_be_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        Profile.draw(1, {"learners": 0, "spares": 0, **given})


def test_a_failing_run_shrinks_and_fails_the_same_way() -> None:
    ablation = next(one for one in ABLATIONS if one.name == "ignore-the-log")
    with ablation.removed():
        outcome = next(one for one in map(run_seed, range(300)) if one.violation is not None)
        smaller = shrink(outcome, attempts=60)
        assert smaller.violation is not None
        assert outcome.violation is not None
        assert smaller.violation.invariant is outcome.violation.invariant
        assert smaller.steps < outcome.steps
        given = difference(smaller.profile)
        assert run_profile(Profile.draw(outcome.profile.seed, given)) == smaller


def test_a_run_that_breaks_nothing_does_not_shrink() -> None:
    outcome = run_seed(0)
    assert shrink(outcome) is outcome


def test_the_command_runs_and_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "0", "3", "--coverage"]) == 0
    assert "3 seeds, 0 of them broke a promise" in capsys.readouterr().out
    assert main(["run", "5", "--set", "nodes=3", "learners=0", "spares=0", "steps=50"]) == 0
    assert "trace" in capsys.readouterr().out
    assert main(["run", "5", "--set", "nodse=3"]) == 2
    assert main(["run", "5", "--set", "nodes"]) == 2


def test_the_command_says_how_to_see_a_failure_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "0", "--ablate", "no-sync"]) == 1
    told = capsys.readouterr().out
    assert Invariant.SYNCED_BEFORE_REPLY.value in told
    (smaller,) = [line for line in told.splitlines() if line.startswith("  smaller")]
    arguments = smaller.split("raft_core.simulation ")[1].split()
    assert main(arguments) == 1
    assert Invariant.SYNCED_BEFORE_REPLY.value in capsys.readouterr().out


def test_a_run_can_be_told_step_by_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "5", "--narrate", "--set", "steps=30"]) == 0
    assert "follower of 0" in capsys.readouterr().out
