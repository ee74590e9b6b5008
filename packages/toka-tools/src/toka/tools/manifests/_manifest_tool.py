"""A program that a YAML manifest describes, as a tool.

The program gets its arguments as options and, as one JSON object, on standard input. It runs at
level landlock or higher whatever the policy says, because what a manifest says about paths and the
network is kept by nothing less.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import attrs
import msgspec

from toka.capability.core import quote_resource
from toka.tools._deadline import shorter
from toka.tools._errors import (
    AccessDeniedError,
    FileMissingError,
    InvalidManifestError,
    SandboxUnavailableError,
)
from toka.tools._result import ToolResult
from toka.tools.files._paths import file_request, open_parent, resolve
from toka.tools.manifests._arguments import options, with_defaults
from toka.tools.manifests._places import Places
from toka.tools.process._confined import Job, finished_value, run_job
from toka.tools.process._programs import DEFAULT_PATH, base_environment, find_program
from toka.tools.process._scratch import scratch
from toka.tools.sandbox._level import SandboxLevel
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import anyio

    from toka.tools._context import ToolContext, Workspace
    from toka.tools._resource_limits import ResourceLimits
    from toka.tools.manifests._manifest import ToolManifest
    from toka.tools.process._process import Finished
    from toka.types import Json, JsonObject, SideEffect

N = TypeVar("N", int, float)

_INTERPRETERS = {"python": "python3", "shell": "sh", "rust": None}
_OPTIONS = {"python": ("-E", "-s", "-B"), "shell": (), "rust": ()}


@attrs.define(eq=False)
class ManifestTool:
    """A program with its manifest."""

    manifest: ToolManifest
    root: Path
    """The directory from which the program's path is read."""
    digest: str = ""
    """Of the manifest's bytes."""
    _turn: anyio.Lock | None = attrs.field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """The manifest's, with underscores for hyphens."""
        return self.manifest.metadata.name.replace("-", "_").lower()

    @property
    def version(self) -> str:
        """The manifest's, and the beginning of its digest."""
        return f"{self.manifest.metadata.version}+{self.digest[:12]}"

    @property
    def description(self) -> str:
        """The manifest's."""
        return self.manifest.metadata.description

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""
        return self.manifest.parameters

    @property
    def side_effect(self) -> SideEffect:
        """What a program that may write or use the network could do a second time."""
        sandbox = self.manifest.spec.security.sandbox
        changes = sandbox.writable_paths or sandbox.allow_network
        return "external" if changes else "read_only"

    @property
    def honours_idempotency_key(self) -> bool:
        """No format says so."""
        return False

    @property
    def taints(self) -> bool:
        """What a program says is data from outside."""
        return True

    @property
    def actions(self) -> tuple[str, ...]:
        """Domain and action of what calls need."""
        return ("proc:run",)

    @property
    def program(self) -> str:
        """The program's file, free of links."""
        return os.path.realpath(self.root / self.manifest.spec.executable.path)

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - the manifest says what, not the call
        """Return every permission request that must be granted before this call.

        Raises:
            PathDeniedError: A path of the manifest can never be allowed.
        """
        resource = quote_resource(self.program)
        sandbox = self.manifest.spec.security.sandbox
        network = (f"proc:network:{resource}",) if sandbox.allow_network else ()
        return (f"proc:run:{resource}", *network, *self._places(workspace).requests)

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Run the program to its end.

        Raises:
            AccessDeniedError: Something that it needs is not granted.
            SandboxUnavailableError: This machine cannot keep it in, or nothing here can: it wants
                a network of some hosts alone.
            FileMissingError: Its program is not there.
            CommandStartError: It, or its interpreter, could not be started.
            InvalidArgumentsError: A value cannot be passed to a program.
            ToolTimeoutError: It took too long.
        """
        started = context.clock.monotonic()
        for request in self.requests(arguments, context.workspace):
            if not context.granted.covers(request):
                raise AccessDeniedError(
                    f"{self.name} needs {request}, which is not granted.",
                    hint="Ask for that permission.",
                    details={"tool": self.name, "request": request},
                )
        self._check_network()
        level = context.sandbox.level.at_least(SandboxLevel.LANDLOCK)
        async with self._alone(), scratch() as home:
            finished = await run_job(self._job(arguments, context, home), context, level)
        value = {"output": _output(finished), **finished_value(finished, level)}
        spent = context.clock.monotonic() - started
        return ToolResult(value, truncated=finished.ended_by is not None, duration_ns=spent)

    def _check_network(self) -> None:
        sandbox = self.manifest.spec.security.sandbox
        if sandbox.allow_network and sandbox.network_restrictions:
            hosts = ", ".join(sandbox.network_restrictions)[:200]
            raise SandboxUnavailableError(
                f"{self.name} is to reach {hosts} alone, and no sandbox here keeps a program to"
                " some hosts.",
                hint="Write `allow_network: false`, or leave out `network_restrictions` to give it"
                " all of the network.",
                details={"tool": self.name, "hosts": list(sandbox.network_restrictions)},
            )

    def _places(self, workspace: Workspace) -> Places:
        spec = self.manifest.spec
        inside = attrs.evolve(workspace, root=workspace.root / spec.executable.working_directory)
        sandbox = spec.security.sandbox
        return Places.of(sandbox.readonly_paths, sandbox.writable_paths, inside)

    def _job(self, arguments: JsonObject, context: ToolContext, home: Path) -> Job:
        spec, program = self.manifest.spec, self.program
        if not os.path.isfile(program):  # noqa: PTH113 - plain text is enough here
            raise FileMissingError(f"{self.name}: there is no program at {program}.")
        values = with_defaults(spec.parameters, arguments)
        started, *first = self._command(program)
        places = self._places(context.workspace)
        _make_directories(places)
        timeout_ns = self.manifest.timeout_ns
        seconds = None if timeout_ns is None else timeout_ns / NANOSECONDS
        return Job(
            program=started,
            argv=(started, *first, *options(spec.parameters, values, self.name)),
            cwd=resolve(spec.executable.working_directory, context.workspace),
            environment=base_environment(program, DEFAULT_PATH, str(home)),
            stdin=msgspec.json.encode(values),
            scratch=home,
            readable=(Path(program).parent,),
            permissions=places.opened(context.granted),
            network=spec.security.sandbox.allow_network,
            limits=_narrowed(context.limits, self.manifest.limits),
            timeout_ns=shorter(seconds, context),
        )

    def _command(self, program: str) -> tuple[str, ...]:
        executable = self.manifest.spec.executable
        interpreter = executable.interpreter or _INTERPRETERS[executable.type]
        if interpreter is None:
            return (program,)
        found, _ = find_program(interpreter, DEFAULT_PATH)
        return (found, *_OPTIONS[executable.type], program)

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """Let one call at a time pass, unless the manifest says that several may run."""
        import anyio  # noqa: PLC0415 - 40 ms at import

        if self.manifest.interface.execution.parallel_safe:
            yield
            return
        self._turn = self._turn or anyio.Lock()
        async with self._turn:
            yield


def manifest_tool(manifest: ToolManifest, root: Path, digest: str = "") -> ManifestTool:
    """Return a manifest's program as a tool.

    Raises:
        InvalidManifestError: It names a program that is not below `root`.
    """
    real = Path(os.path.realpath(root))
    tool = ManifestTool(manifest, real, digest)
    if not Path(tool.program).is_relative_to(real):
        raise InvalidManifestError(
            f"{manifest.metadata.name}: its program {manifest.spec.executable.path!r} is not below"
            f" {real}."
        )
    return tool


def _make_directories(places: Places) -> None:
    """Make the directories that the program may write: one that is missing cannot be opened to it.

    Raises:
        FileAccessError: The system refuses.
    """
    for path in places.writable:
        file_request("write", path)
        if not os.path.lexists(path):
            with open_parent(f"{path}/.", create=True):
                pass


def _narrowed(given: ResourceLimits, own: ResourceLimits) -> ResourceLimits:
    """Return the smaller one of each limit that a manifest can set."""
    return attrs.evolve(
        given,
        max_memory_bytes=_smaller(given.max_memory_bytes, own.max_memory_bytes),
        max_cpu_percent=_smaller(given.max_cpu_percent, own.max_cpu_percent),
    )


def _smaller(one: N | None, other: N | None) -> N | None:
    return min([limit for limit in (one, other) if limit is not None], default=None)


def _output(finished: Finished) -> Json:
    """Return what the program wrote, if that is a JSON object or array."""
    text = finished.stdout.strip()
    if not text.startswith((b"{", b"[")):
        return None
    try:
        value: Json = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return value
