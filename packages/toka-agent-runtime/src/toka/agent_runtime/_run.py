"""Everything that the parts of one run share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.agent_runtime._approvals import Approvals
    from toka.agent_runtime._journal import Journal
    from toka.agent_runtime._options import TaskOptions
    from toka.agent_runtime._session import Session
    from toka.agent_runtime._steps import Steps
    from toka.capability.core import PermissionSet
    from toka.llm_gateway import Model
    from toka.tools import ToolContext, ToolRegistry
    from toka.types import Json


@attrs.define(eq=False)
class Run:
    """One run of one task."""

    session: Session
    journal: Journal
    steps: Steps
    approvals: Approvals
    tools: ToolRegistry
    granted: PermissionSet
    conditions: ToolContext
    """Of every tool call, but for its key and its timeout."""
    options: TaskOptions
    variables: Mapping[str, Json]
    """What expressions can see: `inputs`, `results`, `agent`, `run`."""
    model: Callable[[], Model]
    """Raises NoModel where there is none."""
    random: Callable[[], float]
