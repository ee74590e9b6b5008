"""The tool `run_python`."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import attrs
import msgspec
from msgspec import Meta

from toka.tools._deadline import shorter
from toka.tools._errors import CommandDeniedError, InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.tools.builtin._read_file import read_bytes
from toka.tools.process._confined import Job, finished_value, run_job
from toka.tools.process._programs import DEFAULT_PATH, base_environment
from toka.tools.process._scratch import scratch
from toka.tools.sandbox._level import SandboxLevel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.capability.core import Permission
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect

REQUEST: Final = "proc:run:python"
MAX_FILE_BYTES: Final = 256 << 20
"""Of any file that code writes."""

_ANSWER: Final = "answer.json"


@attrs.frozen
class RunPythonArguments:
    """Arguments of `run_python`."""

    code: Annotated[str, Meta(description="Python 3, standard library only.", max_length=1 << 20)]
    data: Annotated[object, Meta(description="Is the variable `data` of the code.")] = None
    access: Annotated[
        Literal["none", "read", "write"],
        Meta(description="What the code may do with the files that are granted to the caller."),
    ] = "none"
    timeout: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds.")] = None


@attrs.frozen
class RunPython(TypedTool[RunPythonArguments]):
    """Runs Python code in an interpreter of its own that is kept in a sandbox."""

    packages: tuple[Path, ...] = ()
    """Directories from which code may import, beside the standard library."""

    name = "run_python"
    description = (
        "Run Python code in a sandbox without network, in an empty directory of its own that is"
        " gone afterwards. Returns `value` (of the last expression, or of the variable `result`)"
        " as JSON, else as `repr`; `error` with type, message and line; `stdout` and `stderr`."
    )
    side_effect: SideEffect = "external"
    actions = ("proc:run",)
    kind = RunPythonArguments

    def effect_of(self, arguments: JsonObject) -> SideEffect:
        """Return what code with this access could do."""
        access = arguments.get("access", "none")
        return "none" if access == "none" else "read_only" if access == "read" else "external"

    def needs(self, arguments: RunPythonArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - the files are those that are granted
        return (REQUEST,)

    async def run(self, arguments: RunPythonArguments, context: ToolContext) -> Output:
        if not context.granted.covers(REQUEST):
            raise CommandDeniedError(
                f"run_python needs {REQUEST}, which is not granted.", details={"request": REQUEST}
            )
        level = context.sandbox.level.at_least(SandboxLevel.LANDLOCK)
        async with scratch() as home:
            finished = await run_job(self._job(arguments, context, home), context, level)
            answer, whole = _answer(home / _ANSWER, context.output_limit_bytes)
        value = {**answer, **finished_value(finished, level)}
        value["truncated"] = truncated = finished.ended_by is not None or not whole
        return Output(value, truncated=truncated)

    def _job(self, arguments: RunPythonArguments, context: ToolContext, home: Path) -> Job:
        program = os.path.realpath(sys.executable)
        limits = context.limits
        most = MAX_FILE_BYTES if limits.max_file_bytes is None else limits.max_file_bytes
        return Job(
            program=program,
            argv=(program, "-I", "-S", "-B", "-X", "utf8", "-c", _driver()),
            cwd=str(home),
            environment=base_environment("python3", DEFAULT_PATH, str(home)),
            stdin=_asked(arguments, context, self.packages, home),
            scratch=home,
            readable=(*_homes(), *self.packages),
            permissions=_opened(context.granted, arguments.access),
            limits=attrs.evolve(limits, max_file_bytes=min(most, MAX_FILE_BYTES)),
            timeout_ns=shorter(arguments.timeout, context),
        )


def _real(path: str) -> Path:
    return Path(os.path.realpath(path))


@cache
def _driver() -> str:
    return Path(__file__).with_name("_python_driver.py").read_text()


@cache
def _homes() -> tuple[Path, ...]:
    """Return where the interpreter's own files are."""
    return (_real(sys.base_prefix), _real(sys.base_exec_prefix))


def _asked(
    arguments: RunPythonArguments, context: ToolContext, packages: tuple[Path, ...], home: Path
) -> bytes:
    asked = {
        "code": arguments.code,
        "data": arguments.data,
        "packages": [str(package) for package in packages],
        "workspace": str(context.workspace.root),
        "answer": str(home / _ANSWER),
    }
    try:
        return msgspec.json.encode(asked)
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError("The code or its data is not valid Unicode.") from error


def _opened(granted: Iterable[Permission], access: str) -> tuple[Permission, ...]:
    """Return the permissions that open files to the code, made weaker where it asks for less."""
    if access == "none":
        return ()
    if access == "write":
        return tuple(granted)
    reads = [one for one in granted if one.domain == "fs" and one.action in ("read", "*")]
    return tuple([type(one).parse(f"fs:read:{one.resource}") for one in reads])


def _answer(path: Path, limit: int) -> tuple[dict[str, Json], bool]:
    """Return what the code left, and whether that is all; the code may have left anything."""
    empty: dict[str, Json] = {"value": None, "repr": None, "error": None}
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return empty, True
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return empty, True
        data, _ = read_bytes(descriptor, 0, limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        return {**empty, "repr": data[:2_000].decode("utf-8", "replace")}, False
    try:
        left: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return empty, True
    found = cast("dict[str, Json]", left) if isinstance(left, dict) else {}
    return {name: found.get(name) for name in empty}, True
