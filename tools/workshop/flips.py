"""The soak run of raft-storage: single flipped bits, of which none may be silent."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import uv
from workshop.shell import ROOT, Failure, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_storage.testing import FlipReport

PART = 10_000
"""How many flips one seed stands for; `--seed` with `--count 10000` repeats one part."""


def main(arguments: Sequence[str]) -> int:
    """Flip; the exit status is 0, or 1 if a flip did harm and nobody noticed."""
    parser = argparse.ArgumentParser("tools/flips", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="how many flips")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(arguments)
    _settle(arguments)
    began, parts = time.monotonic(), range(options.seed, options.seed + -(-options.count // PART))
    with ProcessPoolExecutor() as pool:
        reports = list(pool.map(_part, parts))
    refused = sum(report.refused for report in reports)
    harmless = sum(report.harmless for report in reports)
    silent = [place for report in reports for place in report.silent]
    say(
        f"flips: {refused + harmless + len(silent):,}, refused {refused:,}, harmless {harmless:,}, "
        f"silent {len(silent)}, in {time.monotonic() - began:.0f} s"
    )
    for name, bit in silent[:20]:
        say(f"  silent: {name}, bit {bit}")
    return int(bool(silent))


def _part(seed: int) -> FlipReport:
    from raft_storage.testing import flip_bits  # noqa: PLC0415 - not before the environment is ours

    return flip_bits(PART, seed=seed)


def _settle(arguments: Sequence[str]) -> None:
    """Become a process of the environment that has the packages."""
    if Path(sys.prefix) == uv.VENV:
        return
    python = uv.VENV / "bin" / "python"
    if not python.exists():
        raise Failure("the project is not set up; run tools/dev set-up")
    os.execv(python, [str(python), str(ROOT / "tools" / "flips"), *arguments])  # noqa: S606
