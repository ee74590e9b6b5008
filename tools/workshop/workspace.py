"""The command line of the workspace: versions, lists, matrix, wheels, the README's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import layout, matrix, readme, versions, wheels
from workshop.members import read_members
from workshop.shell import ROOT, Failure, output, say

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """\
usage: tools/workspace check                  versions, pins, lists, layout; all that must agree
       tools/workspace versions check         one version everywhere, sisters pinned to its minor
       tools/workspace versions set X.Y.Z     write it everywhere (then: tools/lock make)
       tools/workspace matrix [FILE...]       the test jobs as JSON; with files, those they touch
       tools/workspace wheels FOLDER          look through one built wheel of every member
       tools/workspace readme                 renew the table of packages in README.md\
"""


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the exit status is 0, 1 (something is out of order) or 2 (wrong use)."""
    match list(arguments):
        case ["check"]:
            tracked = output(["git", "ls-files"]).splitlines()
            strangers = [f"{name} has no place at the top" for name in layout.strangers(tracked)]
            _report(layout.complaints() + strangers, "workspace: all in order")
        case ["versions", "check"]:
            _report(list(versions.complaints(read_members())), "versions: all agree")
        case ["versions", "set", version]:
            versions.set_version(version)
            say("versions: written; run tools/lock make")
        case ["matrix", *changed]:
            print(json.dumps(matrix.matrix(read_members(), changed or None)))
        case ["wheels", folder]:
            licence = (ROOT / "LICENSE").read_bytes()
            found = wheels.complaints(Path(folder), read_members(), licence)
            _report(found, "wheels: all in order")
        case ["readme"]:
            readme.renew()
        case _:
            say(USAGE)
            return 2
    return 0


def _report(found: list[str], otherwise: str) -> None:
    if found:
        raise Failure("out of order:\n  " + "\n  ".join(found))
    say(otherwise)
