"""How a task is run, besides what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.agent_runtime._limits import NO_LIMITS, TaskLimits
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy

if TYPE_CHECKING:
    from toka.tools import Workspace
    from toka.types import InDoubt


@attrs.frozen
class TaskOptions:
    """What a specification says of a task as a whole."""

    retry: RetryPolicy = NO_RETRY
    """Of the task; each attempt begins from the beginning."""
    limits: TaskLimits = NO_LIMITS
    in_doubt: InDoubt | None = None
    """For steps that say nothing themselves; None takes the tool's word."""
    workspace: Workspace | None = None
    """The agent runtime's own if None."""


DEFAULT_OPTIONS = TaskOptions()
