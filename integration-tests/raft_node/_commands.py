"""What can be done from a shell.

    raft_node format FOLDER             make a store, once in the life of a disk; print its id
    raft_node run ...                   run a node on it
    raft_node members --at NUMBER=HOST:PORT ... [CHANGE]
                                        say who belongs to the group, after a change if there is one

The founders of a group each `format`, then `run --found` with all their ids. Whoever comes later
runs without it, and the group takes them in: `members --add-learner`, then `--add` or `--replace`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from raft_core import RaftError
from raft_storage import FileStorage

from . import _process
from ._changes import Action, Change
from ._client import Client
from ._errors import NodeError
from ._identity import format_member, parse_member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core import Member


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the status of the process."""
    command, *rest = arguments or ["--help"]
    if command == "run":
        return _process.main(rest)
    options = _parse(arguments)
    try:
        return format_store(options.folder) if command == "format" else members(options)
    except (NodeError, RaftError) as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 2


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("raft_node", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run a node: see run --help")
    making = commands.add_parser("format", help="make a store, and print what it calls itself")
    making.add_argument("folder", type=Path)
    asking = commands.add_parser("members", help="say who belongs to the group, or change it")
    asking.add_argument("--at", type=_process.route, action="append", required=True, dest="nodes")
    changes = asking.add_mutually_exclusive_group()
    changes.add_argument("--add-learner", type=parse_member, metavar="MEMBER")
    changes.add_argument("--add", type=parse_member, metavar="MEMBER")
    changes.add_argument("--remove", type=parse_member, metavar="MEMBER")
    changes.add_argument("--replace", type=parse_member, nargs=2, metavar=("OLD", "NEW"))
    return parser.parse_args(arguments)


def format_store(folder: Path) -> int:
    """Make a store, and print its id."""
    with FileStorage.create(folder) as store:
        sys.stdout.write(f"{store.store_id}\n")
    return 0


def members(options: argparse.Namespace) -> int:
    """Print who belongs to the group, after a change if one is asked for."""
    change = _change(options)

    async def ask() -> None:
        with closing(Client(dict(options.nodes))) as client:
            found = await (client.members() if change is None else client.change(change))
        for one in found:
            sys.stdout.write(f"{format_member(one.member)} {'votes' if one.votes else 'learns'}\n")

    asyncio.run(ask())
    return 0


def _change(options: argparse.Namespace) -> Change | None:
    one: Member | None
    for action, one in (
        (Action.ADD_LEARNER, options.add_learner),
        (Action.ADD_VOTER, options.add),
        (Action.REMOVE, options.remove),
    ):
        if one is not None:
            return Change(action, one)
    if options.replace is None:
        return None
    old, new = options.replace
    return Change(Action.REPLACE, new, old)
