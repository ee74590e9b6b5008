"""A JSON manifest as a tool: called over the first of its transports that works here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs
import msgspec

from toka.capability.core import PermissionSyntaxError, Request, quote_resource
from toka.tools._errors import (
    AccessDeniedError,
    InvalidManifestError,
    RemoteToolError,
)
from toka.tools._result import ToolResult
from toka.tools._schema import check_arguments, compile_schema
from toka.tools.http._request import Hop, check_headers, send
from toka.tools.http._url import parse_target
from toka.tools.manifests._json_manifest import (
    HttpTransport,
    InProcessTransport,
    JsonManifest,
    StdioTransport,
)
from toka.tools.process._confined import Job, run_job, text_of
from toka.tools.process._programs import DEFAULT_PATH, base_environment, find_program
from toka.tools.process._scratch import scratch
from toka.tools.sandbox._level import SandboxLevel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect

Handler: TypeAlias = "Callable[[JsonObject, ToolContext], Awaitable[Json]]"

_SAID: Final = 2_000


@attrs.frozen(eq=False)
class JsonManifestTool:
    """What a manifest describes, reached over one of its transports."""

    manifest: JsonManifest
    transport: HttpTransport | StdioTransport | InProcessTransport
    root: Path
    """The directory from which a program's path is read."""
    handler: Handler | None = None
    """For the transport `in_process`."""

    @property
    def name(self) -> str:
        """The manifest's, with underscores for hyphens, dots and spaces."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The manifest's, and the beginning of its digest."""
        return f"{self.manifest.version}+{self.manifest.digest[:12]}"

    @property
    def description(self) -> str:
        """The manifest's."""
        return self.manifest.description

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""
        return self.manifest.parameters

    @property
    def side_effect(self) -> SideEffect:
        """What the manifest says that a second call would do."""
        return self.manifest.side_effect

    @property
    def honours_idempotency_key(self) -> bool:
        """No format says so."""
        return False

    @property
    def taints(self) -> bool:
        """What comes from a program or a server is data from outside."""
        return True

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - the manifest says what, not the call
        """Return every permission request that must be granted before this call.

        Raises:
            ToolError: The program is not there, or the endpoint can never be allowed.
        """
        own = (self.manifest.capability,) if _is_request(self.manifest.capability) else ()
        if isinstance(self.transport, HttpTransport):
            return (*own, parse_target(self.transport.endpoint).request("POST"))
        if isinstance(self.transport, StdioTransport):
            return (*own, f"proc:run:{self._program(self.transport)[1]}")
        return own

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Call it, and check the result against the manifest.

        Raises:
            AccessDeniedError: Something that it needs is not granted.
            RemoteToolError: It answered with an error, or with what the manifest does not say.
            ToolError: It could not be reached, or took too long.
        """
        started = context.clock.monotonic()
        for request in self.requests(arguments, context.workspace):
            if not context.granted.covers(request):
                raise AccessDeniedError(
                    f"{self.name} needs {request}, which is not granted.",
                    hint="Ask for that permission.",
                    details={"tool": self.name, "request": request},
                )
        value = await self._ask(arguments, context)
        self._check(value)
        return ToolResult(value, duration_ns=context.clock.monotonic() - started)

    async def _ask(self, arguments: JsonObject, context: ToolContext) -> Json:
        if isinstance(self.transport, HttpTransport):
            return self._result(await self._post(self.transport, arguments, context))
        if isinstance(self.transport, StdioTransport):
            return self._result(await self._run(self.transport, arguments, context))
        if self.handler is None:
            raise AssertionError("A tool in this process is made with its handler.")
        return await self.handler(arguments, context)

    def _request(self, arguments: JsonObject) -> bytes:
        request = {"jsonrpc": "2.0", "id": 1, "method": self.manifest.method, "params": arguments}
        return msgspec.json.encode(request) + b"\n"

    async def _post(
        self, transport: HttpTransport, arguments: JsonObject, context: ToolContext
    ) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if context.idempotency_key:
            headers["Idempotency-Key"] = quote_resource(context.idempotency_key)
        target = parse_target(transport.endpoint)
        hop = Hop("POST", target, check_headers(headers), self._request(arguments))
        limit, timeout_ns = context.output_limit_bytes, context.timeout_ns
        answer = await send(hop, context.granted, limit=limit, timeout_ns=timeout_ns, follows=False)
        if not 200 <= answer.exchange.status < 300:  # noqa: PLR2004 - status codes
            raise self._failed(f"answered with status {answer.exchange.status}", b"")
        if answer.exchange.truncated:
            raise self._failed(f"answered with more than {limit} bytes", b"")
        return answer.exchange.body

    async def _run(
        self, transport: StdioTransport, arguments: JsonObject, context: ToolContext
    ) -> bytes:
        program, _ = self._program(transport)
        level = context.sandbox.level.at_least(SandboxLevel.LANDLOCK)
        async with scratch() as home:
            job = Job(
                program=program,
                argv=(program, *transport.argv[1:]),
                cwd=_real(context.workspace.root),
                environment=base_environment(program, DEFAULT_PATH, str(home)),
                stdin=self._request(arguments),
                scratch=home,
                readable=(self.root,),
                permissions=tuple(context.granted),
                network=context.granted.covers(f"proc:network:{quote_resource(program)}")
                is not None,
                limits=context.limits,
                timeout_ns=context.timeout_ns,
            )
            finished = await run_job(job, context, level)
        for line in finished.stdout.splitlines():
            if line.lstrip().startswith(b"{"):
                return line
        raise self._failed("ended without an answer", finished.stderr)

    def _program(self, transport: StdioTransport) -> tuple[str, str]:
        name = transport.argv[0]
        if "/" in name and not name.startswith("/"):
            name = os.path.realpath(self.root / name)
        return find_program(name, DEFAULT_PATH)

    def _result(self, data: bytes) -> Json:
        """Return the result of an answer by JSON-RPC 2.0, section 5."""
        try:
            answer: object = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise self._failed("answered with what is not JSON", data) from error
        fields = cast("dict[str, Json]", answer) if isinstance(answer, dict) else {}
        if fields.get("error") is not None:
            raise self._failed("answered with an error", msgspec.json.encode(fields["error"]))
        if fields.get("id") != 1 or "result" not in fields:
            raise self._failed("answered with what is no answer of JSON-RPC", data)
        return fields["result"]

    def _check(self, value: Json) -> None:
        schema = self.manifest.result
        if schema is None:
            return
        whole = compile_schema({"properties": {"result": schema}}, self.name)
        check_arguments(whole, {"result": value}, f"the result of {self.name}")

    def _failed(self, what: str, said: bytes) -> RemoteToolError:
        text, _ = text_of(said[:_SAID])
        return RemoteToolError(
            f"{self.name} {what}.", details={"tool": self.name, "said": text.strip()}
        )


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _is_request(capability: str) -> bool:
    try:
        Request.parse(capability)
    except PermissionSyntaxError:
        return False
    return True


def unsupported(manifest: JsonManifest) -> InvalidManifestError:
    """Return the error of a manifest that cannot be called from here."""
    return InvalidManifestError(
        f"{manifest.name}: none of its transports works here.",
        hint=f"Register something for {manifest.id!r} to call it in this process.",
    )
