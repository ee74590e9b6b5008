"""Repair a store from the command line: `python -m toka.store.sled repair FOLDER`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from toka.store.core import StoreError
from toka.store.sled._repair import repair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.sled._repair import Range, RepairReport


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0: nothing is lost, 1: something is, 2: nothing was done."""
    parser = argparse.ArgumentParser("python -m toka.store.sled")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("repair", help="rebuild a damaged store from what can be proved")
    command.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    try:
        report = repair(folder)
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(describe(folder, report))
    return int(bool(report.lost))


def describe(folder: Path, report: RepairReport) -> str:
    """Return a report as a person reads it."""
    lines = [
        f"{folder} holds the events up to {report.head.position} now, each of them proved.",
        f"The damaged folder is kept at {report.kept}.",
    ]
    if not report.lost:
        lines.append("Nothing that was acknowledged is lost, as far as is on record.")
    else:
        lines.append(f"Not in it any more: {_ranges(report.lost)}. Of these,")
        lines.append(f"  without a record: {_ranges(report.missing)}")
        lines.append(f"  not as written: {_ranges(report.damaged)}")
        lines.append(f"  sound, but behind those, in the kept folder: {_ranges(report.stranded)}")
    if report.acknowledged is None:
        lines.append("Where the log ended is not on record; it may have been longer.")
    return "\n".join(lines) + "\n"


def _ranges(ranges: tuple[Range, ...]) -> str:
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in ranges]
    return ", ".join(texts) or "none"


if __name__ == "__main__":
    sys.exit(main())
