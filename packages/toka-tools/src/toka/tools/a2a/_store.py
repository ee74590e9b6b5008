"""Tasks in memory, of which each caller has a bounded number."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from a2a.server.tasks import InMemoryTaskStore
from a2a.types import TaskState

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import Task

_RUNNING: Final = frozenset({TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING})


class BoundedTaskStore(InMemoryTaskStore):
    """Forgets of each caller the tasks that rested first, once more than `limit` do.

    A task rests when it has ended, and when it waits for an answer that may never come.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._resting: dict[str, OrderedDict[str, ServerCallContext]] = {}

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Keep a task."""
        await super().save(task, context)
        own = self._resting.setdefault(context.user.user_name, OrderedDict())
        own.pop(task.id, None)
        if task.status.state in _RUNNING:
            return
        own[task.id] = context
        while len(own) > self._limit:
            oldest, owner = own.popitem(last=False)
            await self.delete(oldest, owner)
