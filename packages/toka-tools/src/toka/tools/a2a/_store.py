"""Tasks in memory, of which each caller has a bounded number and a bounded size."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import TaskState

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import Task

_RUNNING: Final = frozenset({TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING})


@attrs.define
class _Shelf:
    """The resting tasks of one caller, the one that rested first at the front."""

    tasks: OrderedDict[str, tuple[ServerCallContext, int]] = attrs.field(
        factory=OrderedDict[str, "tuple[ServerCallContext, int]"]
    )
    size: int = 0

    def take(self, task_id: str) -> None:
        """Take a task away, if it is there."""
        _, size = self.tasks.pop(task_id, (None, 0))
        self.size -= size

    def put(self, task: Task, context: ServerCallContext) -> None:
        """Put a task at the end."""
        size = task.ByteSize()
        self.tasks[task.id] = (context, size)
        self.size += size


class BoundedTaskStore(InMemoryTaskStore):
    """Forgets of each caller the tasks that rested first, once there are too many or too large.

    A task rests when it has ended, and when it waits for an answer that may never come. The last
    one is kept whatever its size, for somebody is about to ask for it.
    """

    def __init__(self, limit: int, max_bytes: int) -> None:
        super().__init__()
        self._limit, self._max_bytes = limit, max_bytes
        self._resting: dict[str, _Shelf] = {}

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Keep a task."""
        await super().save(task, context)
        own = self._resting.setdefault(context.user.user_name, _Shelf())
        own.take(task.id)
        if task.status.state in _RUNNING:
            return
        own.put(task, context)
        while len(own.tasks) > 1 and self._is_too_much(own):
            oldest, (owner, _) = next(iter(own.tasks.items()))
            own.take(oldest)
            await self.delete(oldest, owner)

    def _is_too_much(self, own: _Shelf) -> bool:
        return len(own.tasks) > self._limit or own.size > self._max_bytes
