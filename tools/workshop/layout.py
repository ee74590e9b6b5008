"""What every member must have, and the lists at the root that must hold every member."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workshop import readme, versions
from workshop.members import NAMESPACES, Requirement, read_members, read_toml
from workshop.shell import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workshop.members import Member

TOP = frozenset(
    {
        ".ci", ".github", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "config",
        "docs", "examples", "integration-tests", "packages", "pyproject.toml", "tools", "uv.lock",
    }
)  # fmt: skip
"""All that the top level holds, beside dotfiles."""


def complaints(root: Path = ROOT) -> list[str]:
    """Return everything that is out of order in the workspace."""
    members = read_members(root)
    document = read_toml(root / "pyproject.toml")
    found = [
        *versions.complaints(members),
        *_lists(members, document),
        *_test_groups(members, document),
        *_namespaces(root),
        *(text for member in members for text in _member(member, root, document)),
    ]
    if not readme.is_current(root):
        found.append("README.md: its table of packages is stale; run tools/workspace readme")
    return found


def strangers(tracked: Iterable[str]) -> list[str]:
    """Return the entries of the top level that do not belong there."""
    top = {path.partition("/")[0] for path in tracked}
    return sorted(name for name in top - TOP if not name.startswith("."))


def _lists(members: list[Member], document: dict[str, Any]) -> Iterator[str]:
    tool = document["tool"]
    names = {member.name for member in members}
    imports = {member.import_name for member in members}
    roots = {name.partition(".")[0] for name in imports}
    globs = {"packages/*/src", "packages/*/tests", "integration-tests", "tools"}
    for where, listed, wanted in [
        ("[tool.uv.sources]", tool["uv"]["sources"], names),
        ("[tool.coverage.run] source_pkgs", tool["coverage"]["run"]["source_pkgs"], imports),
        ("[tool.mypy] packages", tool["mypy"]["packages"], imports),
        ("[tool.importlinter] layers", _floors(tool["importlinter"]), imports),
        ("[tool.importlinter] root_packages", tool["importlinter"]["root_packages"], roots),
        ("[tool.pyright] include", tool["pyright"]["include"], globs),
    ]:
        yield from _difference(where, set(listed), wanted)


def _floors(settings: dict[str, Any]) -> set[str]:
    floors: list[str] = []
    for contract in settings["contracts"]:
        floors += contract.get("layers", [])
    return {name.strip(" ()") for floor in floors for name in re.split(r"[|:]", floor)}


def _difference(where: str, listed: set[str], wanted: set[str]) -> Iterator[str]:
    for name in sorted(wanted - listed):
        yield f"pyproject.toml: {where} lacks {name}"
    for name in sorted(listed - wanted):
        yield f"pyproject.toml: {where} holds {name}, which is not in the workspace"


def _test_groups(members: list[Member], document: dict[str, Any]) -> Iterator[str]:
    # The shared environment is synced with the root's groups, and has every member.
    texts = [text for text in document["dependency-groups"]["test"] if isinstance(text, str)]
    shared = {Requirement.parse(text).name for text in texts} | {each.name for each in members}
    for member in members:
        for requirement in member.test_requirements:
            if requirement.name not in shared:
                yield f"{member.name}: its test group needs {requirement.name}, the root's lacks it"


def _namespaces(root: Path) -> Iterator[str]:
    for namespace in NAMESPACES:
        folder = namespace.replace(".", "/")
        for path in sorted(root.glob(f"packages/*/src/{folder}/__init__.py")):
            yield f"{path.relative_to(root)}: {namespace} is shared by many packages; remove this"
    for path in sorted(root.glob("packages/*/tests/**/__init__.py")):
        yield f"{path.relative_to(root)}: two of these in a workspace clash; remove it"


def _member(member: Member, root: Path, document: dict[str, Any]) -> Iterator[str]:
    source = member.path / "src" / member.import_path
    for path in (source / "__init__.py", source / "py.typed", member.path / "README.md"):
        if not path.is_file():
            yield f"{member.name}: {path.relative_to(root)} is missing"
    license_file = member.path / "LICENSE"
    if license_file.is_symlink() or not license_file.is_file():
        yield f"{member.name}: LICENSE must be a real copy; a link does not get into the wheel"
    elif license_file.read_bytes() != (root / "LICENSE").read_bytes():
        yield f"{member.name}: LICENSE differs from the project's"
    if member.requires_python != document["project"]["requires-python"]:
        yield f"{member.name}: requires-python differs from the project's"
    if member.path.name != member.name:
        yield f"{member.name}: it lives in packages/{member.path.name}"
