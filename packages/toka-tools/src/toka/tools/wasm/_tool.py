"""A guest as a tool: JSON on its standard input, a result on its standard output.

Each call is a guest of its own, whose imports are what this call needs and was granted: what one
call reads or leaves in memory, no other ever sees.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Never
from urllib.parse import unquote

import attrs
import msgspec

from toka.capability.core import Denial, PermissionSet
from toka.cvm import (
    Authority,
    CvmError,
    GuestComponent,
    Limits,
    Machine,
    ModuleLimits,
    Services,
    is_component,
)
from toka.tools._errors import (
    AccessDeniedError,
    InvalidArgumentsError,
    InvalidManifestError,
    PathDeniedError,
)
from toka.tools._manifest_file import read_bounded
from toka.tools._result import ToolResult
from toka.tools._schema import check_depth
from toka.tools.files._paths import resolve
from toka.tools.wasm._errors import GuestFailedError, failure_of
from toka.tools.wasm._http import http_handler
from toka.tools.wasm._manifest import WasmManifest, load_wasm_manifest
from toka.tools.wasm._permissions import Derived, PermissionTemplate, derive
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.cvm import ComponentGuest, Guest, GuestModule, KeyValue, Outcome
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect

IDEMPOTENCY_VARIABLE: Final = "TOKA_IDEMPOTENCY_KEY"
_SAID: Final = 4_000


@lru_cache(maxsize=1)
def _usual_machine() -> Machine:
    return Machine()


class WasmTool:
    """A WebAssembly module, or a component, as a tool.

    Args:
        manifest: What it is called, takes and may need.
        wasm: The bytes of the module.
        machine: What runs it; one machine for all such tools by default.
        key_value: The keys and values that calls with a permission `kv:...` see; none by default.

    Raises:
        InvalidManifestError: The bytes are not those that the manifest pins, or the module imports
            what none of the manifest's permissions grants.
        ToolError: The bytes are no module that the machine takes.
    """

    def __init__(
        self,
        manifest: WasmManifest,
        wasm: bytes,
        *,
        machine: Machine | None = None,
        key_value: KeyValue | None = None,
    ) -> None:
        self.manifest = manifest
        self._templates = manifest.templates
        self._machine = _usual_machine() if machine is None else machine
        self._key_value = key_value
        _check_pinned(manifest, wasm)
        compile_it = (
            self._machine.compile_component if is_component(wasm) else self._machine.compile
        )
        try:
            self._module: GuestModule | GuestComponent = compile_it(wasm)
        except CvmError as error:
            raise failure_of(error, manifest.name) from error
        _check_imports(self._machine, self._module, manifest, self._templates)

    @property
    def name(self) -> str:
        """The manifest's."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The manifest's, and the beginning of the module's hash."""
        return f"{self.manifest.version}+{self.manifest.sha256[:12]}"

    @property
    def description(self) -> str:
        """The manifest's."""
        return self.manifest.description

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""
        return self.manifest.schema

    @property
    def side_effect(self) -> SideEffect:
        """What the manifest says that a second call would do."""
        return self.manifest.side_effect

    @property
    def honours_idempotency_key(self) -> bool:
        """Whether the guest acts once for each value of the variable `TOKA_IDEMPOTENCY_KEY`."""
        return self.manifest.honours_idempotency_key

    @property
    def taints(self) -> bool:
        """Whether results hold data from outside."""
        return self.manifest.taints

    @property
    def actions(self) -> tuple[str, ...]:
        """Domain and action of what calls may need, as in `fs:read`."""
        return tuple(sorted({f"{one.domain}:{one.action}" for one in self._templates}))

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:
        """Return every permission request that must be granted before this call.

        Raises:
            ToolError: The call cannot be allowed in any circumstances.
        """
        return derive(self._templates, arguments, workspace, self.name).requests

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Run a guest with these arguments.

        Raises:
            AccessDeniedError: Something that the call needs is not granted, or was taken back.
            ToolTimeoutError: It took too long.
            GuestFailedError: It came to no result.
            ToolError: The arguments name what can never be allowed.
        """
        started = context.clock.monotonic()
        derived = derive(self._templates, arguments, context.workspace, self.name)
        _demand(derived, context, self.name)
        try:
            outcome = await self._run(derived, context)
        except CvmError as error:
            raise failure_of(error, self.name) from error
        value = _value(outcome, self.manifest)
        return ToolResult(value, duration_ns=context.clock.monotonic() - started)

    async def _run(self, derived: Derived, context: ToolContext) -> Outcome:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        services = Services(
            clock=context.clock, key_value=self._key_value, http=http_handler(context)
        )
        authority, limits = _authority(derived, context), self._limits(context)
        guest = await anyio.to_thread.run_sync(self._guest, authority, limits, services)
        with guest:
            return await guest.arun(
                (self.name,),
                data=msgspec.json.encode(derived.arguments),
                environment=_environment(context),
            )

    def _guest(
        self, authority: Authority, limits: Limits, services: Services
    ) -> Guest | ComponentGuest:
        module, machine = self._module, self._machine
        if isinstance(module, GuestComponent):
            return machine.instantiate_component(
                module, authority, limits=limits, services=services
            )
        return machine.instantiate(module, authority, limits=limits, services=services)

    def _limits(self, context: ToolContext) -> Limits:
        usual, own = Limits(), self.manifest.limits
        seconds = own.deadline_seconds or usual.deadline_seconds
        return attrs.evolve(
            usual,
            fuel=own.fuel or usual.fuel,
            memory_bytes=usual.memory_bytes if own.memory_bytes is None else own.memory_bytes,
            deadline_seconds=min(seconds, context.timeout_ns / NANOSECONDS),
            output_bytes=context.output_limit_bytes,
        )


def load_wasm_tool(
    path: str | Path, *, machine: Machine | None = None, key_value: KeyValue | None = None
) -> WasmTool:
    """Make a tool of a manifest and of the module beside it.

    Args:
        path: Of the manifest.
        machine: What runs it; one machine for all such tools by default.
        key_value: The keys and values that calls with a permission `kv:...` see.

    Raises:
        InvalidManifestError: The manifest or its module cannot be read, do not belong together, or
            the module imports what none of the manifest's permissions grants.
        ToolError: The bytes are no module that the machine takes.
    """
    manifest = load_wasm_manifest(path)
    return tool_beside(Path(path), manifest, machine=machine, key_value=key_value)


def tool_beside(
    path: Path,
    manifest: WasmManifest,
    *,
    machine: Machine | None = None,
    key_value: KeyValue | None = None,
) -> WasmTool:
    """Make a tool of a manifest that was read already, and of the module beside its file.

    Raises:
        InvalidManifestError: As `load_wasm_tool`.
        ToolError: As `load_wasm_tool`.
    """
    wasm = read_bounded(path.parent / manifest.module, ModuleLimits().module_bytes)
    return WasmTool(manifest, wasm, machine=machine, key_value=key_value)


def _check_pinned(manifest: WasmManifest, wasm: bytes) -> None:
    found = sha256(wasm).hexdigest()
    if found != manifest.sha256:
        raise InvalidManifestError(
            f"The module of {manifest.name} is not the one that its manifest pins.",
            hint=f"Look at what changed. Its SHA-256 is {found}.",
            details={"tool": manifest.name, "pinned": manifest.sha256, "found": found},
        )


def _check_imports(
    machine: Machine,
    module: GuestModule | GuestComponent,
    manifest: WasmManifest,
    templates: tuple[PermissionTemplate, ...],
) -> None:
    """Find at once, and not at the first call, what no call could ever be granted."""
    everything = Authority(PermissionSet.parse([one.example for one in templates]))
    services = Services(key_value=_Unasked(), http=_unasked)
    refused = machine.refused_imports(module, everything, services)
    if refused:
        needs = sorted({one.needs for one in refused if one.needs})
        raise InvalidManifestError(
            f"The module of {manifest.name} imports what its manifest's permissions never grant: "
            + ", ".join([f"{one.module}.{one.name}" for one in refused[:8]])
            + ".",
            hint=f"It may need {', '.join(needs)}." if needs else "Build it without these.",
            details={"tool": manifest.name, "needs": list(needs)},
        )


def _demand(derived: Derived, context: ToolContext, name: str) -> None:
    for request in derived.requests:
        if not context.granted.covers(request):
            raise AccessDeniedError(
                f"{name} needs {request}, which is not granted.",
                hint="Ask for that permission.",
                details={"tool": name, "request": request},
            )


def _authority(derived: Derived, context: ToolContext) -> Authority:
    """Return what the guest may do: what the call needs, as long as that is granted."""
    granted, workspace = context.granted, context.workspace

    def lost() -> Denial | None:
        for request in derived.requests:
            if not granted.covers(request):
                return Denial("tools.access_denied", "what the call needs is not granted any more")
        return None

    return Authority(
        PermissionSet.parse(derived.permissions),
        lost,
        agrees=_agrees(lambda wish: granted.covers(wish) is not None, workspace),
        follows_links=False,
    )


def _agrees(covers: Callable[[str], bool], workspace: Workspace) -> Callable[[str], bool]:
    def agrees(wish: str) -> bool:
        domain, _, rest = wish.partition(":")
        if domain == "fs":
            path = unquote(rest.partition(":")[2], errors="surrogateescape")
            try:
                resolve(path, workspace)
            except PathDeniedError:
                return False
        return covers(wish)

    return agrees


def _environment(context: ToolContext) -> dict[str, str]:
    own = {IDEMPOTENCY_VARIABLE: context.idempotency_key} if context.idempotency_key else {}
    return {**context.environment, **own}


def _value(outcome: Outcome, manifest: WasmManifest) -> Json:
    if outcome.status:
        raise _failed(f"ended with status {outcome.status}", outcome, manifest)
    if manifest.output == "text":
        return outcome.output.decode("utf-8", "replace")
    try:
        value: Json = msgspec.json.decode(outcome.output)
        check_depth(value, manifest.name)
    except (msgspec.DecodeError, UnicodeError, RecursionError, InvalidArgumentsError) as error:
        raise _failed("wrote no JSON that can be taken", outcome, manifest) from error
    return value


def _failed(what: str, outcome: Outcome, manifest: WasmManifest) -> GuestFailedError:
    denied: list[Json] = list(outcome.denied)
    return GuestFailedError(
        f"{manifest.name}: the guest {what}.",
        hint=f"It was denied {outcome.denied[0]}." if denied else "",
        details={
            "tool": manifest.name,
            "code": "cvm.exit",
            "status": outcome.status,
            "error_output": outcome.error_output[:_SAID].decode("utf-8", "replace"),
            "denied": denied,
        },
    )


def _unasked(_request: object, _seconds: float) -> Never:
    raise OSError("Nothing runs here.")


class _Unasked:
    """Keys and values that nobody asks for."""

    def get(self, _key: str, /) -> None:
        return None

    def put(self, _key: str, _value: bytes, /) -> None:
        return None

    def delete(self, _key: str, /) -> None:
        return None
