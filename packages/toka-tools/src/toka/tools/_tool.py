"""The one shape of every tool, built in or brought along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.tools._result import ToolResult
    from toka.types import JsonObject, SideEffect


class Tool(Protocol):
    """Something an agent can do to the world, described well enough to allow and to record it."""

    @property
    def name(self) -> str:
        """Lower case letters, digits and underscores, unique in a registry."""
        ...

    @property
    def version(self) -> str:
        """Changes when the same call would do or return something else."""
        ...

    @property
    def description(self) -> str:
        """What a model needs to know to use it."""
        ...

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema 2020-12 of the arguments, an object."""
        ...

    @property
    def side_effect(self) -> SideEffect:
        """What running any call once more would do, at worst. See `effect_of` for one call."""
        ...

    @property
    def honours_idempotency_key(self) -> bool:
        """Whether a second call under the same key has no second effect."""
        ...

    @property
    def taints(self) -> bool:
        """Whether results hold data from outside, which may try to give orders to a model."""
        ...

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:
        """Return every permission request that must be granted before this call.

        Looks at the file system to find out what links and `..` lead to, changes nothing.

        Raises:
            ToolError: The call cannot be allowed in any circumstances.
        """
        ...

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Do it. The result is `ok`.

        Raises:
            ToolError: It was refused, failed, or ran out of time.
        """
        ...


@runtime_checkable
class VariableEffect(Protocol):
    """A tool whose side effect depends on the arguments, as of an HTTP request on its method."""

    def effect_of(self, arguments: JsonObject) -> SideEffect:
        """Return what running this call once more would do."""
        ...


def effect_of(tool: Tool, arguments: JsonObject) -> SideEffect:
    """Return the side effect of one call: never worse than `tool.side_effect`."""
    if isinstance(tool, VariableEffect):
        return tool.effect_of(arguments)
    return tool.side_effect
