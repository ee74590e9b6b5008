"""The members of the workspace, as their `pyproject.toml` files tell."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workshop.shell import ROOT, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAMESPACES = ("toka", "toka.store", "toka.bus", "toka.capability")
"""Import names that many distributions share; none of them may hold an `__init__.py`."""

_REQUIREMENT = re.compile(r"^\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?(?P<rest>.*)$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement: what is wanted, and the text behind the name."""

    name: str
    specifier: str

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Split a requirement as it stands in a `pyproject.toml`.

        Raises:
            Failure: the text names nothing.
        """
        found = _REQUIREMENT.match(text)
        if found is None:
            raise Failure(f"not a requirement: {text!r}")
        return cls(re.sub(r"[-_.]+", "-", found["name"]).lower(), found["rest"].strip())


@dataclass(frozen=True, slots=True)
class Member:
    """One distribution of the workspace."""

    path: Path
    name: str
    version: str
    description: str
    requires_python: str
    requirements: tuple[Requirement, ...]
    """What it needs, its extras included."""
    test_requirements: tuple[Requirement, ...] = field(default=())

    @property
    def import_name(self) -> str:
        """Return what a program imports: one rule for all, no list of exceptions."""
        return import_name(self.name)

    @property
    def import_path(self) -> str:
        """Return the only folder that its wheel may fill."""
        return self.import_name.replace(".", "/")

    @property
    def wheel_stem(self) -> str:
        """Return how the file name of its wheel begins."""
        return f"{self.name.replace('-', '_')}-{self.version}"


def import_name(distribution: str) -> str:
    """Return the import name of a distribution."""
    head, _, tail = distribution.partition("-")
    if head != "toka":
        return distribution.replace("-", "_")
    family, _, rest = tail.partition("-")
    if rest and f"toka.{family}" in NAMESPACES:
        return f"toka.{family}.{rest.replace('-', '_')}"
    return f"toka.{tail.replace('-', '_')}"


def read_members(root: Path = ROOT) -> list[Member]:
    """Return every member, by name.

    Raises:
        Failure: a `pyproject.toml` lacks what every member must say.
    """
    paths = sorted((root / "packages").glob("*/pyproject.toml"))
    return [read_member(path.parent) for path in paths]


def read_member(path: Path) -> Member:
    """Return the member in a folder.

    Raises:
        Failure: its `pyproject.toml` lacks what every member must say.
    """
    document = read_toml(path / "pyproject.toml")
    project = document.get("project", {})
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    wanted = [
        *project.get("dependencies", []),
        *(text for extra in extras.values() for text in extra),
    ]
    try:
        return Member(
            path=path,
            name=project["name"],
            version=project["version"],
            description=project["description"],
            requires_python=project["requires-python"],
            requirements=_parsed(wanted),
            test_requirements=_parsed(document.get("dependency-groups", {}).get("test", [])),
        )
    except KeyError as missing:
        raise Failure(f"{path / 'pyproject.toml'}: [project] has no {missing}") from missing


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file as it stands.

    Raises:
        Failure: it is missing, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{path}: {error}") from error


def dependants(members: Iterable[Member], of: Iterable[str]) -> set[str]:
    """Return the given names and those of all members that stand on them, however far away."""
    everyone = list(members)
    reached = set(of)
    while True:
        further = {
            member.name
            for member in everyone
            if reached & {requirement.name for requirement in member.requirements}
        }
        if further <= reached:
            return reached
        reached |= further


def _parsed(texts: Iterable[Any]) -> tuple[Requirement, ...]:
    # A dependency group may also hold tables ({include-group = ...}); those name no requirement.
    return tuple(Requirement.parse(text) for text in texts if isinstance(text, str))
