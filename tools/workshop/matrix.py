"""Which packages to test on which Pythons, given what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workshop.members import dependants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workshop.members import Member

PYTHONS = ("3.11", "3.12", "3.13")

ELSEWHERE = ("docs/", "examples/", "config/", "integration-tests/")
"""Changes here touch no package on its own; the whole is tested anyway."""


def matrix(
    members: Sequence[Member], changed: Iterable[str] | None
) -> dict[str, list[dict[str, str]]]:
    """Return the jobs: every package, or those that the changed files can have broken."""
    chosen = affected(members, changed) if changed is not None else {it.name for it in members}
    return {
        "include": [
            {"package": member.name, "folder": f"packages/{member.path.name}", "python": python}
            for member in members
            if member.name in chosen
            for python in PYTHONS
        ]
    }


def affected(members: Sequence[Member], changed: Iterable[str]) -> set[str]:
    """Return the names of the packages that changed, and of all that stand on them."""
    owners = {f"packages/{member.path.name}/": member.name for member in members}
    touched: set[str] = set()
    for path in changed:
        owner = "/".join(path.split("/", 2)[:2]) + "/"
        if owner in owners:
            touched.add(owners[owner])
        elif not path.startswith(ELSEWHERE) and not path.endswith(".md"):
            return {member.name for member in members}  # a root file: anything may be different
    return dependants(members, touched)
