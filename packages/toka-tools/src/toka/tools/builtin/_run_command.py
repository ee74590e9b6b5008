"""The tool `run_command`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import attrs
from msgspec import Meta

from toka.tools._errors import CommandDeniedError, InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import file_request, open_directory, resolve
from toka.tools.process._confined import finished_value
from toka.tools.process._process import Command, run_process
from toka.tools.process._programs import (
    DEFAULT_PATH,
    base_environment,
    delegates,
    environment_requests,
    find_program,
)
from toka.tools.sandbox._confinement import confinement
from toka.tools.sandbox._level import SandboxLevel
from toka.tools.sandbox._proof import require
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.tools.sandbox._confinement import Confinement
    from toka.types import JsonObject, SideEffect

_NO_HOME = "/nonexistent"


@attrs.frozen
class RunCommandArguments:
    """Arguments of `run_command`."""

    argv: Annotated[
        tuple[str, ...],
        Meta(description="Program and arguments; never a shell line.", min_length=1),
    ]
    cwd: Annotated[str | None, Meta(description="Directory; else the workspace.")] = None
    stdin: Annotated[str, Meta(description="Text for its standard input.")] = ""
    env: Annotated[dict[str, str], Meta(description="Variables to add.")] = attrs.field(
        factory=dict[str, str]
    )
    timeout: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds.")] = None
    effect: Annotated[
        Literal["read_only", "idempotent", "external"],
        Meta(description="What running it once more would do."),
    ] = "external"


@attrs.frozen
class _Plan:
    program: str
    resource: str
    cwd: str
    requests: tuple[str, ...]


@attrs.frozen
class RunCommand(TypedTool[RunCommandArguments]):
    """Runs one program by an argument list and ends all that it leaves behind."""

    path: tuple[str, ...] = DEFAULT_PATH
    """Directories in which bare names are looked up, in this order."""

    name = "run_command"
    description = (
        "Run a program with an argument list. No shell: no pipes, globs or redirections. Returns"
        " `exit_code` or `signal`, `stdout` and `stderr`. An exit code other than 0 is a result."
    )
    side_effect: SideEffect = "external"
    actions = ("proc:run",)
    kind = RunCommandArguments

    def effect_of(self, arguments: JsonObject) -> SideEffect:
        """Return what the caller said about this command; it knows best what it wrote."""
        effect = arguments.get("effect")
        return effect if effect in ("read_only", "idempotent") else "external"

    def needs(self, arguments: RunCommandArguments, workspace: Workspace) -> tuple[str, ...]:
        return self._plan(arguments, workspace).requests

    async def run(self, arguments: RunCommandArguments, context: ToolContext) -> Output:
        plan = self._plan(arguments, context.workspace)
        for request in plan.requests:
            if not context.granted.covers(request):
                raise CommandDeniedError(
                    f"{arguments.argv[0]} needs {request}, which is not granted.",
                    details={"request": request},
                )
        timeout_ns = context.timeout_ns
        if arguments.timeout is not None:
            timeout_ns = min(timeout_ns, int(arguments.timeout * NANOSECONDS))
        level = context.sandbox.level
        await require(level)
        home = str(context.workspace.scratch or _NO_HOME)
        with open_directory(plan.cwd) as directory:
            environment = base_environment(plan.program, self.path, home)
            command = Command(
                program=plan.program,
                argv=arguments.argv,
                directory=directory,
                environment={**environment, **context.environment, **arguments.env},
                stdin=arguments.stdin.encode(),
                limits=None if level is SandboxLevel.NONE else context.limits,
                confinement=_confinement(plan, context),
            )
            finished = await run_process(command, timeout_ns, context.output_limit_bytes)
        value = finished_value(finished, level)
        return Output(value, truncated=finished.ended_by is not None)

    def _plan(self, arguments: RunCommandArguments, workspace: Workspace) -> _Plan:
        _check_texts(arguments)
        program, resource = find_program(arguments.argv[0], self.path)
        requests = [f"proc:run:{resource}"]
        if delegates(arguments.argv):
            requests.append(f"proc:delegate:{resource}")
        requests.extend(environment_requests(arguments.env))
        cwd = os.path.realpath(workspace.root)
        if arguments.cwd is not None:
            wanted = resolve(arguments.cwd, workspace)
            if wanted != cwd:
                requests.append(file_request("read", wanted))
            cwd = wanted
        return _Plan(program, resource, cwd, tuple(requests))


def _confinement(plan: _Plan, context: ToolContext) -> Confinement | None:
    return confinement(
        context.sandbox,
        context.granted,
        program=plan.program,
        scratch=context.workspace.scratch,
        protected=context.workspace.protected,
        network=context.granted.covers(f"proc:network:{plan.resource}") is not None,
    )


def _check_texts(arguments: RunCommandArguments) -> None:
    if any("\0" in argument for argument in arguments.argv):
        raise InvalidArgumentsError("An argument holds NUL, which no program can be passed.")
    try:
        for text in (*arguments.argv, *arguments.env.values(), arguments.stdin):
            text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError("An argument of the command is not valid Unicode.") from error
