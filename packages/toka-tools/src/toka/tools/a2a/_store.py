"""Tasks in memory, of which each caller has a bounded number."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from a2a.server.tasks import InMemoryTaskStore
from a2a.types import TaskState

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import Task

_ENDED: Final = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_REJECTED,
    }
)


class BoundedTaskStore(InMemoryTaskStore):
    """Forgets the tasks that ended first, once there are more than `limit` that have ended."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._ended: OrderedDict[str, ServerCallContext] = OrderedDict()

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Keep a task."""
        await super().save(task, context)
        if task.status.state not in _ENDED:
            return
        self._ended[task.id] = context
        while len(self._ended) > self._limit:
            oldest, owner = self._ended.popitem(last=False)
            await self.delete(oldest, owner)
