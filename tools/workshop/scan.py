"""A long log read from its start to its end: does the memory that it takes stay flat?

    tools/scan                             10,000,000 events in SQLite
    tools/scan --events 200000 sled:       as many, in another store

A process writes the log into a scratch folder. Another reads it, and notes the most memory that it
ever had when a tenth of the log was read and again at the end; where it grew by more than 8 MiB
between the two, the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import uv
from workshop.shell import ROOT, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENTS = 10_000_000


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status is 0, or 1 if memory grew."""
    parser = argparse.ArgumentParser("tools/scan", description="Does a scan's memory stay flat?")
    parser.add_argument("scheme", nargs="?", default="sqlite:", help="of the store: sqlite:, sled:")
    parser.add_argument("--events", type=int, default=EVENTS, help="how long the log is")
    options = parser.parse_args(arguments)
    settle(arguments)
    from benchmarks._storage_memory import GROWTH, scan  # noqa: PLC0415 - after `settle`

    result = scan(options.scheme, options.events)
    print(result)
    return int(result.grown > GROWTH)


def settle(arguments: Sequence[str]) -> None:
    """Become a process of the project's environment.

    Raises:
        Failure: the project is not set up.
    """
    if Path(sys.prefix) == uv.VENV:
        return
    python = uv.VENV / "bin" / "python"
    if not python.exists():
        raise Failure("the project is not set up; run tools/dev set-up")
    os.execv(python, [str(python), str(ROOT / "tools" / "scan"), *arguments])  # noqa: S606
