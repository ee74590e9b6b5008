"""The table of packages in the README, made from what each package says about itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workshop.members import read_members
from workshop.shell import ROOT, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workshop.members import Member

_TABLE = re.compile(r"(?<=<!-- packages -->\n).*?(?=<!-- /packages -->)", re.DOTALL)


def table(members: Iterable[Member]) -> str:
    """Return the table, one line a package."""
    rows = ["| package | import | what it is for |", "|---|---|---|"]
    for member in members:
        link = f"[`{member.name}`](packages/{member.path.name})"
        rows.append(f"| {link} | `{member.import_name}` | {member.description} |")
    return "\n".join(rows) + "\n"


def renewed(root: Path = ROOT) -> str:
    """Return the README with the table as it should be.

    Raises:
        Failure: the README has no place for the table.
    """
    text = (root / "README.md").read_text("utf-8")
    fresh = table(read_members(root))
    text, count = _TABLE.subn(lambda _: fresh, text)
    if count != 1:
        raise Failure(
            "README.md: the table belongs between <!-- packages --> and <!-- /packages -->"
        )
    return text


def is_current(root: Path = ROOT) -> bool:
    """Tell whether the README's table is what the packages say."""
    return renewed(root) == (root / "README.md").read_text("utf-8")


def renew(root: Path = ROOT) -> None:
    """Write the table into the README.

    Raises:
        Failure: the README has no place for the table.
    """
    (root / "README.md").write_text(renewed(root), "utf-8")
