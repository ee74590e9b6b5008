"""One version for all members, and what each may say about its sisters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workshop.members import read_members
from workshop.shell import ROOT, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workshop.members import Member

_VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)((?:a|b|rc|\.dev|\.post)\d+)?$")
_VERSION_LINE = re.compile(r'^version = "[^"]*"', re.MULTILINE)


def sister_specifier(version: str) -> str:
    """Return how sisters are required: any release of the same minor version.

    Raises:
        Failure: the version is not X.Y.Z, with or without a pre-release suffix.
    """
    found = _VERSION.match(version)
    if found is None:
        raise Failure(f"{version!r} is not a version: X.Y.Z is wanted, as in 0.3.0 or 0.4.0rc1")
    # A pre-release of X.Y.0 comes before X.Y.0, so it must name itself to be let in.
    pre = found[4] or "" if found[3] == "0" else ""
    return f"~={found[1]}.{found[2]}.0{pre}"


def set_version(version: str, root: Path = ROOT) -> None:
    """Write the version, and the sisters' specifiers that follow from it, into every member.

    Raises:
        Failure: it is not a version, or a member has no version line.
    """
    specifier = sister_specifier(version)
    members = read_members(root)
    names = "|".join(re.escape(member.name) for member in members)
    sister = re.compile(rf'"(?P<who>({names})(\[[^\]]*\])?)\s*[~=<>!][^";]*(?P<marker>;[^"]*)?"')
    for member in members:
        path = member.path / "pyproject.toml"
        text, count = _VERSION_LINE.subn(f'version = "{version}"', path.read_text("utf-8"), count=1)
        if not count:
            raise Failure(f"{path}: there is no line that begins with version =")
        path.write_text(
            sister.sub(lambda it: f'"{it["who"]}{specifier}{it["marker"] or ""}"', text), "utf-8"
        )


def complaints(members: Iterable[Member]) -> Iterator[str]:
    """Yield what disagrees: a version, or a sister's specifier."""
    everyone = list(members)
    names = {member.name for member in everyone}
    versions = sorted({member.version for member in everyone})
    if len(versions) != 1:
        yield f"members have {len(versions)} versions ({', '.join(versions)}); one is wanted"
        return
    wanted = sister_specifier(versions[0])
    for member in everyone:
        for requirement in member.requirements:
            said = requirement.specifier.partition(";")[0].strip()
            if requirement.name in names and said != wanted:
                yield f"{member.name} requires {requirement.name}{said}; {wanted} is wanted"
