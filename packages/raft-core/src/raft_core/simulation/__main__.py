"""The command `python -m raft_core.simulation`.

run FIRST [LAST]            run seeds; those that break a promise are made smaller and told
run SEED --set loss=0 ...   repeat one run, with some of its fields given
run SEED --set options=1    draw the settings as well that are off by default
run SEED --narrate          tell every step
ablations                   take each safeguard out and see how soon runs notice
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from raft_core._errors import ConfigError
from raft_core.simulation._ablations import ABLATIONS, UNNOTICED
from raft_core.simulation._coverage import Coverage
from raft_core.simulation._outcome import run_profile
from raft_core.simulation._profile import Profile
from raft_core.simulation._shrink import difference, shrink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core.simulation._ablations import Ablation
    from raft_core.simulation._outcome import Outcome

#: Within so many seeds a missing safeguard must be noticed.
BOUND = 300


def main(arguments: Sequence[str]) -> int:
    """Run; the exit status is 0, 1 (a promise was broken) or 2 (wrong use)."""
    parser = argparse.ArgumentParser("python -m raft_core.simulation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run seeds")
    run.add_argument("first", type=int)
    run.add_argument("last", type=int, nargs="?", help="the seed after the last one")
    run.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", dest="given")
    run.add_argument(
        "--ablate", choices=[one.name for one in (*ABLATIONS, *UNNOTICED)], default=None
    )
    run.add_argument("--narrate", action="store_true", help="tell every step")
    run.add_argument("--coverage", action="store_true", help="tell what the runs have been through")
    verbs.add_parser("ablations", help="take each safeguard out")
    options = parser.parse_args(arguments)
    if options.verb == "ablations":
        return _ablations()
    try:
        given = {name: int(number) for name, number in (one.split("=") for one in options.given)}
        last = options.first + 1 if options.last is None else options.last
        return _run(range(options.first, last), given, options)
    except (ConfigError, ValueError) as error:
        _say(f"python -m raft_core.simulation: {error}")
        return 2


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _ablation(name: str | None) -> Ablation | None:
    return next((one for one in (*ABLATIONS, *UNNOTICED) if one.name == name), None)


def _run(seeds: range, given: dict[str, int], options: argparse.Namespace) -> int:
    ablation = _ablation(options.ablate)
    coverage, broken = Coverage(), 0
    with ablation.removed() if ablation is not None else nullcontext():
        for seed in seeds:
            profile = Profile.draw(seed, given)
            outcome = run_profile(profile, _say if options.narrate else None)
            coverage.add(outcome.coverage)
            if outcome.violation is not None:
                broken += 1
                tell(outcome, options.ablate)
            elif len(seeds) == 1:
                _say(f"seed {seed}: {outcome.steps:,} steps, trace {outcome.trace_hash}")
    if options.coverage:
        _say("\n".join(coverage.lines()))
    _say(f"{len(seeds):,} seeds, {broken} of them broke a promise")
    return int(broken > 0)


def tell(outcome: Outcome, ablated: str | None = None) -> None:
    """Say what a run found, and how to see it again, as it was and made smaller."""
    if outcome.violation is None:
        return
    seed = outcome.profile.seed
    _say(f"seed {seed}: {outcome.violation.reason}")
    for name, one in (("again", outcome), ("smaller", shrink(outcome))):
        given = " ".join(f"{key}={value}" for key, value in difference(one.profile).items())
        command = f"python -m raft_core.simulation run {seed}"
        command += f" --set {given}" if given else ""
        command += f" --ablate {ablated}" if ablated else ""
        _say(f"  {name} ({one.steps:,} steps): {command}")


def find(ablation: Ablation, bound: int = BOUND) -> Outcome | None:
    """Return the first run that notices that a safeguard is missing."""
    with ablation.removed():
        for seed in range(bound):
            outcome = run_profile(Profile.draw(seed, ablation.given))
            if outcome.violation is not None:
                return outcome
    return None


def _ablations() -> int:
    missed = 0
    for ablation in ABLATIONS:
        outcome = find(ablation)
        if outcome is None or outcome.violation is None:
            missed += 1
            _say(f"{ablation.name}: NOT FOUND in {BOUND} seeds")
        else:
            invariant = outcome.violation.invariant.value
            _say(f"{ablation.name}: seed {outcome.profile.seed}, {invariant}")
    _say(f"{len(ABLATIONS)} safeguards, {missed} not missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
