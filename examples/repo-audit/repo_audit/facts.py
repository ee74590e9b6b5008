"""What tools and tasks return, for reading: JSON objects whose keys their authors document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from toka.agent_runtime import TaskContext
    from toka.types import Json

Facts: TypeAlias = dict[str, Any]


async def call(ctx: TaskContext, tool: str, /, **arguments: Json) -> Facts:
    """Call a tool that returns an object."""
    return cast("Facts", await ctx.tool(tool, **arguments))


def result(ctx: TaskContext, *path: str) -> Facts:
    """Return what a task returned: its name, or its agent's name and then its own."""
    found = cast("Facts", ctx.results)
    for name in path:
        found = cast("Facts", found[name])
    return found
