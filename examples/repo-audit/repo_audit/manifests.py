"""Manifests: which dependencies a project declares. Text in, values out."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Final

from repo_audit.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Dependency = Facts
"""`name`, `requirement` and `scope`, which is runtime, development, optional or build."""

_PEP508: Final = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*([^;#]*)"
)
_GO_BLOCK: Final = re.compile(r"^(\w+)\s*\(\s*$")
_GO_LINE: Final = re.compile(r"(\S+)\s+(v\S+)\s*(//\s*indirect)?")


class Unreadable(ValueError):
    """A manifest does not say what its format makes it say."""


def parse(name: str, text: str) -> Facts:
    """Return what the manifest called `name` declares.

    Raises:
        Unreadable: It is malformed.
    """
    reader = _READERS.get(name, _requirements)
    try:
        project = reader(text)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(str(error) or type(error).__name__) from error
    project["dependencies"].sort(key=lambda each: (each["scope"], each["name"]))
    return project


def normal_name(ecosystem: str, name: str) -> str:
    """Return the one spelling of a name; Python has several for each."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "Python" else name


def _project(ecosystem: str, fields: Facts, dependencies: Iterable[Dependency]) -> Facts:
    return {
        "ecosystem": ecosystem,
        "name": _text(fields.get("name")),
        "version": _text(fields.get("version")),
        "licence": _licence(fields.get("license", fields.get("licenses"))),
        "dependencies": list(dependencies),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _licence(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dict):
        return _text(value.get("text")) or _text(value.get("type")) or _text(value.get("file"))
    if isinstance(value, list):
        return " OR ".join([name for name in map(_licence, value) if name]) or None
    return None


def _pyproject(text: str) -> Facts:
    data = tomllib.loads(text)
    project, poetry = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    found = list(_pep508(project.get("dependencies", []), "runtime"))
    for each in project.get("optional-dependencies", {}).values():
        found += _pep508(each, "optional")
    for each in data.get("dependency-groups", {}).values():
        found += _pep508(each, "development")
    found += _pep508(data.get("build-system", {}).get("requires", []), "build")
    found += _poetry(poetry.get("dependencies", {}), "runtime")
    found += _poetry(poetry.get("dev-dependencies", {}), "development")
    for group in poetry.get("group", {}).values():
        found += _poetry(group.get("dependencies", {}), "development")
    return _project("Python", {**poetry, **project}, found)


def _pep508(lines: Iterable[object], scope: str) -> Iterator[Dependency]:
    for line in lines:
        # A dependency group may hold tables that include other groups.
        match = _PEP508.match(line) if isinstance(line, str) else None
        if match:
            yield {"name": match[1], "requirement": match[2].strip(" ()"), "scope": scope}


def _poetry(table: Facts, scope: str) -> Iterator[Dependency]:
    for name, value in table.items():
        if name.lower() != "python":
            yield {"name": name, "requirement": _requirement(value), "scope": scope}


def _requirement(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        keys = ("version", "path", "git", "url", "workspace")
        return next((str(value[key]) for key in keys if key in value), "")
    return ""


def _requirements(text: str) -> Facts:
    lines = text.replace("\\\n", " ").splitlines()
    wanted = [line for line in lines if line.strip() and line.strip()[0] not in "#-"]
    found = [
        {**each, "requirement": each["requirement"].partition(" --")[0].strip()}
        for each in _pep508(wanted, "runtime")
    ]
    return _project("Python", {}, found)


def _package_json(text: str) -> Facts:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise Unreadable("it is no object")
    scopes = {
        "dependencies": "runtime",
        "peerDependencies": "runtime",
        "optionalDependencies": "optional",
        "devDependencies": "development",
    }
    found = [
        {"name": name, "requirement": _requirement(value), "scope": scope}
        for key, scope in scopes.items()
        for name, value in data.get(key, {}).items()
    ]
    return _project("JavaScript", data, found)


def _cargo(text: str) -> Facts:
    data = tomllib.loads(text)
    found = list(_crates(data))
    for target in data.get("target", {}).values():
        found += _crates(target)
    found += _crates(data.get("workspace", {}))
    return _project("Rust", data.get("package", {}), found)


def _crates(table: Facts) -> Iterator[Dependency]:
    scopes = {
        "dependencies": "runtime",
        "dev-dependencies": "development",
        "build-dependencies": "build",
    }
    for key, scope in scopes.items():
        for name, value in table.get(key, {}).items():
            crate = value.get("package", name) if isinstance(value, dict) else name
            inherits = isinstance(value, dict) and value.get("workspace") is True
            requirement = "workspace" if inherits else _requirement(value)
            yield {"name": crate, "requirement": requirement, "scope": scope}


def _go_mod(text: str) -> Facts:
    fields: Facts = {}
    found: list[Dependency] = []
    block = ""
    for raw in text.splitlines():
        line = raw.strip()
        opening = _GO_BLOCK.match(line)
        if opening or line == ")":
            block = opening[1] if opening else ""
            continue
        word, _, rest = (block, "", line) if block else line.partition(" ")
        if word == "module":
            fields["name"] = rest.strip().strip('"')
        elif word == "require" and (match := _GO_LINE.match(rest.strip())):
            scope = "optional" if match[3] else "runtime"
            found.append({"name": match[1], "requirement": match[2], "scope": scope})
    return _project("Go", fields, found)


_READERS: Final[dict[str, Callable[[str], Facts]]] = {
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
    "Cargo.toml": _cargo,
    "go.mod": _go_mod,
}
