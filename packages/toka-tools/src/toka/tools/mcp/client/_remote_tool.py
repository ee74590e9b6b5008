"""A tool of another server as a tool of Toka: a capability in front, and nothing taken on trust.

What a model sees is the definition that was approved. Effect, taint and permissions are what the
operator said; what the server's annotations say is for nobody but the reader of the definition.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, cast

import anyio
import attrs

from toka.capability.core import PermissionSyntaxError, Request, quote_resource
from toka.tools._deadline import timed_out
from toka.tools._errors import AccessDeniedError, InvalidArgumentsError, SandboxUnavailableError
from toka.tools._result import ToolResult
from toka.tools.files._paths import path_request
from toka.tools.mcp.client._content import map_result
from toka.tools.sandbox import SandboxLevel
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.tools._context import ToolContext, Workspace
    from toka.tools._tool import Tool
    from toka.tools.mcp.client._config import ServerConfig
    from toka.tools.mcp.client._definition import Definition
    from toka.types import Json, JsonObject, SideEffect

_LEVELS: Final = tuple(SandboxLevel)
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
_MAX_REQUESTS: Final = 100


class Caller(Protocol):
    """Calls tools of one server; a client is one."""

    async def call(
        self, definition: Definition, arguments: JsonObject, context: ToolContext
    ) -> dict[str, Json]:
        """Call, and return what the server answered."""
        ...


@attrs.frozen(eq=False)
class RemoteTool:
    """One approved tool of one server."""

    definition: Definition
    config: ServerConfig = attrs.field(repr=False)
    _caller: Caller = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """`server__tool`, or what the operator calls it."""
        return self.config.rules_for(self.definition.name).name or self.definition.local_name

    @property
    def version(self) -> str:
        """Changes with the definition that was approved."""
        return self.definition.sha256[:16]

    @property
    def description(self) -> str:
        """What the server says of it, as it was approved."""
        return self.definition.description

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments, as it was approved."""
        return self.definition.parameters

    @property
    def side_effect(self) -> SideEffect:
        """What the operator says that one more call would do."""
        return self.config.effect_of(self.definition.name)

    @property
    def honours_idempotency_key(self) -> bool:
        """Whether a second call has no second effect: the protocol knows no such key."""
        return False

    @property
    def taints(self) -> bool:
        """Whether its results are data from outside."""
        return self.config.taints_of(self.definition.name)

    @property
    def actions(self) -> tuple[str, ...]:
        """Domain and action of what calls may request."""
        return ("mcp:call",)

    @property
    def request(self) -> str:
        """The permission that every call needs."""
        resource = f"{self.definition.server}/{quote_resource(self.definition.name)}"
        return f"mcp:call:{resource}"

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:
        """Return `mcp:call:SERVER/TOOL`, and what the operator says that the arguments touch.

        Raises:
            InvalidArgumentsError: An argument that decides about a permission is missing.
            ToolError: The call cannot be allowed in any circumstances.
        """
        found = [self.request]
        for template in self.config.rules_for(self.definition.name).requests:
            found += _filled(template, arguments, workspace)
            if len(found) > _MAX_REQUESTS:
                raise InvalidArgumentsError(f"{self.name}: too many arguments need permissions.")
        return tuple(dict.fromkeys(found))

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Call the server's tool.

        Raises:
            ToolError: It was refused, failed, or ran out of time.
        """
        self._check_sandbox(context)
        for request in self.requests(arguments, context.workspace):
            if not context.granted.covers(request):
                raise AccessDeniedError(
                    f"{self.name} needs {request}, which is not granted.",
                    hint="Ask for that permission.",
                    details={"tool": self.name, "request": request},
                )
        started = context.clock.monotonic()
        try:
            with anyio.fail_after(context.timeout_ns / NANOSECONDS):
                answered = await self._caller.call(self.definition, arguments, context)
        except TimeoutError:
            raise timed_out(context.timeout_ns) from None
        mapped = map_result(answered, self.definition, context.output_limit_bytes)
        spent = context.clock.monotonic() - started
        value = cast("Json", mapped.value)
        return ToolResult(value, truncated=mapped.truncated, duration_ns=spent)

    def _check_sandbox(self, context: ToolContext) -> None:
        level, demanded = self.config.level, context.sandbox.level
        if self.config.command is None or _LEVELS.index(level) >= _LEVELS.index(demanded):
            return
        raise SandboxUnavailableError(
            f"{self.definition.server} runs in a sandbox of level {level}, and {demanded} is"
            " demanded.",
            hint=f"Configure the server with `sandbox = {demanded.value!r}`.",
            details={"level": level.value, "demanded": demanded.value},
        )


def _filled(template: str, arguments: JsonObject, workspace: Workspace) -> Iterator[str]:
    """Give the requests of a template: one for each value of an argument that is a list."""
    names = _PLACEHOLDER.findall(template)
    if not names:
        yield _checked(template)
        return
    if len(names) > 1:
        raise InvalidArgumentsError(f"{template!r} names more than one argument.")
    for value in _values(arguments, names[0]):
        domain, action, resource = template.split(":", 2)
        if domain == "fs" and resource == f"{{{names[0]}}}":
            # Links and `..` are resolved as they would be for a tool of our own.
            yield path_request(action, value, workspace)
        else:
            quoted = quote_resource(value)
            yield _checked(template.replace(f"{{{names[0]}}}", quoted))


def _values(arguments: JsonObject, name: str) -> list[str]:
    value: object = arguments
    for part in name.split("."):
        value = cast("dict[str, object]", value).get(part) if isinstance(value, dict) else None
    several = cast("list[object]", value) if isinstance(value, list) else [value]
    texts = [one for one in several if isinstance(one, str)]
    if not texts or len(texts) < len(several):
        # Without it the server would choose, and what it chooses nobody has granted.
        raise InvalidArgumentsError(
            f"The argument {name} decides about a permission and has to be given, as text.",
            details={"argument": name},
        )
    return texts


def _checked(request: str) -> str:
    try:
        return Request.parse(request).text
    except PermissionSyntaxError as error:
        raise InvalidArgumentsError(f"No permission can name this: {error.message}") from error


if TYPE_CHECKING:
    _implements: type[Tool] = RemoteTool
