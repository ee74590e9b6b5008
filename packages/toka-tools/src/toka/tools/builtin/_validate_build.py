"""The tool `validate_build`: what would keep a project from being built, found without building."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, cast

import attrs
from msgspec import Meta

from toka.tools._errors import FileAccessError, FileMissingError, PathDeniedError
from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import demand, file_request, resolve
from toka.tools.files._whole import read_whole

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, SideEffect

Table: TypeAlias = Mapping[str, object]
Level: TypeAlias = Literal["error", "warning"]

MAX_FILE_BYTES: Final = 2 << 20

_BUILT: Final = {
    "Cargo.toml": "target",
    "package.json": "node_modules",
    "pyproject.toml": "dist",
}
_IGNORE: Final = ".gitignore"
_PLACE: Final = re.compile(r"at line (\d+), column (\d+)")


@attrs.frozen
class ValidateBuildArguments:
    """Arguments of `validate_build`."""

    workspace_path: Annotated[str, Meta(description="The project.", min_length=1)] = "."


@attrs.define
class _Findings:
    """What was found in one project."""

    root: str
    context: ToolContext
    found: list[dict[str, Json]] = attrs.field(factory=list["dict[str, Json]"], init=False)

    def add(self, level: Level, file: str, message: str, line: int | None = None) -> None:
        self.found.append({"level": level, "file": file, "line": line, "message": message})

    def read(self, name: str) -> bytes | None:
        """Return a file of the project; None if it is not there or cannot be read."""
        real = resolve(f"{self.root}/{name}", self.context.workspace)
        try:
            demand("read", real, self.context)
            return read_whole(real, MAX_FILE_BYTES)
        except FileMissingError:
            return None
        except (FileAccessError, PathDeniedError) as error:
            self.add("error", name, error.message)
            return None

    def there(self, name: str) -> bool:
        """Say whether something of the project is there and may be seen."""
        try:
            real = resolve(f"{self.root}/{name}", self.context.workspace)
            demand("read", real, self.context)
        except (FileAccessError, PathDeniedError):
            return False
        return os.path.lexists(real)


class ValidateBuild(TypedTool[ValidateBuildArguments]):
    """Checks the files that say how a project is built."""

    name = "validate_build"
    description = (
        "Check the build files of a project (Cargo.toml, pyproject.toml, package.json): that they"
        " can be read, that what they name is there, and that what is built is not committed."
        " Returns `valid`, and `findings` with level, file, line and message."
    )
    side_effect: SideEffect = "read_only"
    actions = ("fs:read",)
    kind = ValidateBuildArguments

    def needs(self, arguments: ValidateBuildArguments, workspace: Workspace) -> tuple[str, ...]:
        root = resolve(arguments.workspace_path, workspace)
        there = [
            f"{root}/{name}" for name in (*_BUILT, _IGNORE) if os.path.lexists(f"{root}/{name}")
        ]
        paths = [root, *[resolve(path, workspace) for path in there]]
        return tuple([file_request("read", path) for path in paths])

    async def run(self, arguments: ValidateBuildArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_validate, arguments, context)


def _validate(arguments: ValidateBuildArguments, context: ToolContext) -> Output:
    root = resolve(arguments.workspace_path, context.workspace)
    demand("read", root, context)
    findings = _Findings(root, context)
    built: list[str] = []
    for name in _BUILT:
        data = findings.read(name)
        if data is None:
            continue
        built.append(name)
        table = _parsed(findings, name, data)
        if table is not None:
            _CHECKS[name](findings, table)
    if not built and not findings.found:
        findings.add("error", ".", f"There is none of {', '.join(_BUILT)} here.")
    _check_ignored(findings, built)
    value: dict[str, Json] = {
        "path": root,
        "build_files": list(built),
        "valid": not any(one["level"] == "error" for one in findings.found),
        "findings": list(findings.found),
    }
    return Output(value)


def _parsed(findings: _Findings, name: str, data: bytes) -> Table | None:
    try:
        table: object = json.loads(data) if name.endswith(".json") else tomllib.loads(data.decode())
    except json.JSONDecodeError as error:
        findings.add("error", name, f"It is not JSON: {error.msg}.", error.lineno)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        findings.add("error", name, f"It is not TOML: {error}.", int(place[1]) if place else None)
    except (UnicodeDecodeError, RecursionError) as error:
        findings.add("error", name, f"It cannot be read: {error}.")
    else:
        if isinstance(table, dict):
            return cast("Table", table)
        findings.add("error", name, "It holds no object.", 1)
    return None


def _table(table: Table, *names: str) -> Table:
    """Return a table within tables, empty if it is not there."""
    for name in names:
        inner = table.get(name)
        table = cast("Table", inner) if isinstance(inner, dict) else {}
    return table


def _texts(value: object) -> list[str]:
    many = cast("list[object]", value) if isinstance(value, list) else []
    return [one for one in many if isinstance(one, str)]


def _check_cargo(findings: _Findings, table: Table) -> None:
    name = "Cargo.toml"
    if "workspace" not in table:
        level: Level = "warning" if "package" in table else "error"
        findings.add(level, name, "It has no [workspace].")
    for member in _texts(_table(table, "workspace").get("members")):
        if not _has(findings, member, name):
            findings.add("error", name, f"The member {member!r} has no Cargo.toml.")
    if "package" in table:
        _require(findings, name, _table(table, "package"), "package", ("name",))


def _check_python(findings: _Findings, table: Table) -> None:
    name = "pyproject.toml"
    project = _table(table, "project")
    if not project and not _table(table, "tool"):
        findings.add("error", name, "It has neither [project] nor [tool].")
    if project:
        _require(findings, name, project, "project", ("name",))
        if "version" not in project and "version" not in _texts(project.get("dynamic")):
            findings.add("error", name, "[project] has neither a version nor a dynamic one.")
        if "requires-python" not in project:
            findings.add("warning", name, "[project] does not say which Python it requires.")
        if "build-system" not in table and not _table(table, "tool", "uv", "workspace"):
            findings.add("warning", name, "It has no [build-system], so setuptools is guessed.")
        readme = project.get("readme")
        if isinstance(readme, str) and not findings.there(readme):
            findings.add("error", name, f"The readme {readme!r} is not there.")
    for member in _texts(_table(table, "tool", "uv", "workspace").get("members")):
        if not _has(findings, member, name):
            findings.add("error", name, f"The member {member!r} has no pyproject.toml.")


def _check_node(findings: _Findings, table: Table) -> None:
    name = "package.json"
    _require(findings, name, table, "it", ("name",) if table.get("private") is not True else ())
    if not _table(table, "scripts").get("build"):
        findings.add("warning", name, "It has no script `build`.")
    locks = ("package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock")
    if not any(findings.there(lock) for lock in locks):
        findings.add("warning", name, "Nothing locks the versions of what it depends on.")


_CHECKS: Final = {
    "Cargo.toml": _check_cargo,
    "package.json": _check_node,
    "pyproject.toml": _check_python,
}


def _require(
    findings: _Findings, file: str, table: Table, called: str, names: tuple[str, ...]
) -> None:
    for name in names:
        if not isinstance(table.get(name), str) or not table[name]:
            findings.add("error", file, f"{called} has no {name}.")


def _has(findings: _Findings, member: str, file: str) -> bool:
    """Say whether a member of a workspace has a build file of its own, or is a pattern."""
    return any(mark in member for mark in "*?[") or findings.there(f"{member}/{file}")


def _check_ignored(findings: _Findings, built: list[str]) -> None:
    data = findings.read(_IGNORE)
    lines = (data or b"").decode("utf-8", "replace").splitlines()
    ignored = {line.strip().strip("/").removesuffix("/*") for line in lines}
    for name in built:
        folder = _BUILT[name]
        if not {folder, f"**/{folder}"} & ignored:
            findings.add("warning", _IGNORE, f"It does not list {folder}/, where {name} builds.")
