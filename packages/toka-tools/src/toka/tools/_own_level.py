"""The level of programs that a tool runs on its own account, whatever the policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.tools.sandbox._level import SandboxLevel
from toka.tools.sandbox._proof import prove

if TYPE_CHECKING:
    from toka.tools._context import ToolContext


async def own_level(context: ToolContext) -> SandboxLevel:
    """Return the level of the policy, or the first one that confines if this machine has it."""
    level = context.sandbox.level
    if not level.confines and (await prove(SandboxLevel.LANDLOCK)).proven:
        return SandboxLevel.LANDLOCK
    return level
