"""What the built-in tools have in common: typed arguments and a measured duration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from toka.tools._result import ToolResult
from toka.tools._schema import decode, fits, schema_of

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect

A = TypeVar("A")


@attrs.frozen
class Output:
    """What a tool's body returns."""

    value: Json
    truncated: bool = False


class TypedTool(ABC, Generic[A]):
    """A tool whose arguments are instances of one attrs class."""

    name: str
    version: str = "1"
    description: str
    side_effect: SideEffect
    honours_idempotency_key: bool = False
    taints: bool = True
    kind: type[A]
    actions: tuple[str, ...] = ()
    """Domain and action of what calls may request, as in `fs:read`, so that no model is offered a
    tool that none of its permissions reaches; empty says nothing."""

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""
        kind: type = self.kind
        return schema_of(kind)

    def fits(self, arguments: JsonObject) -> bool:
        """Say quickly whether arguments satisfy `parameters`."""
        return fits(self.kind, arguments)

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:
        """Return every permission request that must be granted before this call.

        Raises:
            ToolError: The call cannot be allowed in any circumstances.
        """
        return self.needs(decode(self.kind, arguments, self.name), workspace)

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Do it.

        Raises:
            ToolError: It was refused, failed, or ran out of time.
        """
        started = context.clock.monotonic()
        output = await self.run(decode(self.kind, arguments, self.name), context)
        spent = context.clock.monotonic() - started
        return ToolResult(output.value, truncated=output.truncated, duration_ns=spent)

    @abstractmethod
    def needs(self, arguments: A, workspace: Workspace) -> tuple[str, ...]:
        """Return the requests of a call."""

    @abstractmethod
    async def run(self, arguments: A, context: ToolContext) -> Output:
        """Check again what is touched, and touch it."""
