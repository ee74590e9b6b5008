"""The benchmark command: finds the suites, lets them run, prints a table and writes JSON."""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import lock, uv
from workshop.shell import ROOT, Failure, run, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toka.performance import Measure, Result

SUITES = ROOT / "tools" / "benchmarks"
VENV = ROOT / ".venv-bench"
"""An environment of its own: the peers would be gone from `.venv` at the next set-up."""


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status is 0, 1 (a bar is missed) or 2 (wrong use)."""
    options = parse(arguments)
    if options.list:
        print("\n".join(suites()))
        return 0
    unknown = set(options.suite) - set(suites())
    if unknown:
        raise Failure(f"there is no suite {', '.join(sorted(unknown))}; there are {suites()}")
    settle(arguments, with_peers=options.peers)
    # Only now: until `settle` this may be a process of a Python that has no Toka.
    from toka.performance import run_suites, save_result, table  # noqa: PLC0415

    chosen = {name: measures_of(name) for name in options.suite or suites()}
    result = run_suites(chosen, say)
    print(table(result.rows))
    if options.json:
        save_result(result, options.json)
    if options.plots:
        write_plots(result, options.plots)
    worse = print_regressions(result, options.compare) if options.compare else False
    return int(worse or any(row.met is False for row in result.rows))


def measures_of(suite: str) -> Callable[[], list[Measure]]:
    """Return what makes the measures of a suite, when it is their turn."""

    def measures() -> list[Measure]:
        made: list[Measure] = import_module(f"{SUITES.name}.{suite}").measures()
        return made

    return measures


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("tools/bench", description="Measure Toka beside its peers.")
    parser.add_argument("suite", nargs="*", help="which suites to run; all, if none is named")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw each measure there")
    parser.add_argument(
        "--compare", type=Path, metavar="FOLDER", help="say what is worse than the results there"
    )
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    parser.add_argument(
        "--no-peers", dest="peers", action="store_false", help="do not install the peers"
    )
    return parser.parse_args(arguments)


def suites() -> list[str]:
    """Return the names of the suites: each module of the folder but those that help others."""
    names = (path.stem for path in SUITES.glob("*.py"))
    return sorted(name for name in names if not name.startswith("_") and "_peers" not in name)


def settle(arguments: Sequence[str], *, with_peers: bool) -> None:
    """Become a process of the environment that has Toka and, if they can be had, its peers.

    Raises:
        Failure: the project is not set up.
    """
    if Path(sys.prefix) in {VENV, uv.VENV}:
        return
    environment = VENV if with_peers and install_peers() else uv.VENV
    python = environment / "bin" / "python"
    if not python.exists():
        raise Failure("the project is not set up; run tools/dev set-up")
    os.execv(python, [str(python), str(ROOT / "tools" / "bench"), *arguments])  # noqa: S606


def install_peers() -> bool:
    """Make the benchmark's environment; tell whether it could be done."""
    say("bench: installing the peers that uv.lock names into .venv-bench")
    try:
        lock.complete()
        sync = [uv.path(), "sync", "--all-packages", "--locked", "--group", "bench"]
        run(sync, env={"UV_PROJECT_ENVIRONMENT": str(VENV)}, quiet=True)
    except Failure as failure:
        say(f"bench: going without them: {failure}")
        return False
    return True


def print_regressions(result: Result, folder: Path) -> bool:
    """Say what is worse than the results that a folder keeps, and whether anything is."""
    from toka.performance import find_regressions, load_results  # noqa: PLC0415 - see `main`

    history = [earlier for earlier in load_results(folder) if earlier.when < result.when]
    found = find_regressions(history, result)
    for each in found:
        print(f"{each.severity}: {each.name} {each.before:g} -> {each.after:g}, {each.cause}")
    return bool(found)


def write_plots(result: Result, folder: Path) -> None:
    """Write a plot of each measure into a folder."""
    from toka.performance import plot_result  # noqa: PLC0415 - see `main`

    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, plot) in enumerate(plot_result(result).items()):
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        (folder / f"{number:02}-{words}.svg").write_text(plot, "utf-8")
