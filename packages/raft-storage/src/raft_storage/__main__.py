"""Look after a store: `python -m raft_storage check FOLDER`, `... repair FOLDER INTO`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from raft_storage._errors import RaftStorageError
from raft_storage._files import FileStorage
from raft_storage._repair import repair

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the status is 1 if the store is damaged or refuses."""
    options = _parse(arguments)
    try:
        text = _check(options.folder) if options.into is None else _repair(options)
    except RaftStorageError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"{text}\n")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("raft_storage", description="Look after a store of Raft's.")
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="open a store, as its node does, and read all of it")
    check.add_argument("folder", type=Path)
    check.set_defaults(into=None)
    mend = commands.add_parser(
        "repair", help="make a new store of what is sound in one that has a hole"
    )
    mend.add_argument("folder", type=Path, help="the damaged store; it stays as it is")
    mend.add_argument("into", type=Path, help="where the new store shall be")
    return parser.parse_args(arguments)


def _check(folder: Path) -> str:
    with FileStorage.open(folder) as store:
        found = store.recovery
    torn = f"; a torn tail was cut, a copy is in {found.cut}" if found.cut else ""
    return f"sound: entries {found.first_index} to {found.last_index}{torn}"


def _repair(options: argparse.Namespace) -> str:
    done = repair(options.folder, options.into)
    lost = f"entries {done.lost[0]} to {done.lost[-1]}" if done.lost else "no entries"
    return (
        f"found: {done.reason}\n"
        f"saved: a snapshot up to {done.snapshot_index}, entries up to {done.last_index}\n"
        f"lost: {lost}, and whatever was voted or promised since term {done.term} began\n"
        f"The new store is another voter, {done.store_id} instead of {done.old_store_id}.\n"
        "Remove the node from its group and add it anew before it runs."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
