"""The benchmark command: finds the suites, lets them run, prints a table and writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import lock, uv
from workshop.measure import Measure, Row, rows, take_turns
from workshop.shell import ROOT, Failure, run, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    found = [row for name in options.suite or suites() for row in measured(name)]
    print(table(found))
    if options.json:
        result = {"machine": machine(), "rows": [row.as_json() for row in found]}
        options.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    return int(any(row.met is False for row in found))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("tools/bench", description="Measure Toka beside its peers.")
    parser.add_argument("suite", nargs="*", help="which suites to run; all, if none is named")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
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


def measured(suite: str) -> Iterable[Row]:
    """Run one suite and return its rows."""
    measures: list[Measure] = import_module(f"{SUITES.name}.{suite}").measures()
    for measure in measures:
        say(f"{suite}: {measure.name}")
        yield from rows(suite, measure, take_turns(measure, say))


def table(found: Sequence[Row]) -> str:
    """Return the rows as a table for people."""
    head = ("suite", "measure", "unit", "ours", "peer", "", "ratio", "bar", "met")
    cells = [head, *(_cells(row) for row in found)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    absent = "not measured" if row.peer_name else "-"
    return (
        row.suite,
        row.measure,
        row.unit,
        _figure(row.ours, "not measured"),
        row.peer_name or "-",
        _figure(row.peer, absent),
        _figure(row.ratio, "-"),
        row.bar or "-",
        {True: "yes", False: "NO", None: "-"}[row.met],
    )


def _figure(number: float | None, otherwise: str) -> str:
    if number is None:
        return otherwise
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"  # noqa: PLR2004


def machine() -> dict[str, str | int | float]:
    """Return what one must know to compare figures."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count() or 0,
        "memory": _first("/proc/meminfo", "MemTotal"),
        "load": round(os.getloadavg()[0], 2),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
    }


def _first(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
