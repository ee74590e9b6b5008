"""How a run of a task ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from toka.agent_runtime._encoding import decode
from toka.kernel import TaskCancelled, TaskCompleted, TaskFailed, TaskRevived
from toka.types import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from toka.kernel import KernelEvent
    from toka.types import Json, TaskId


@attrs.frozen
class TaskOutcome:
    """What became of a task in one run; `failure` is None if and only if it is completed."""

    status: Literal["completed", "failed", "cancelled", "released"]
    """`cancelled`: it was ended from outside. `released`: it can be gone on with."""
    result: Json = None
    failure: Failure | None = None
    """What failed, or why the run stopped."""

    @property
    def completed(self) -> bool:
        """Whether the task is done."""
        return self.status == "completed"


def released(reason: str) -> TaskOutcome:
    """Return the outcome of a run that gave its task back, or lost it."""
    return TaskOutcome("released", failure=Failure("agent.task_released", reason))


def cancelled(reason: str) -> TaskOutcome:
    """Return the outcome of a run whose task, or agent, was ended from outside."""
    return TaskOutcome("cancelled", failure=Failure("agent.task_cancelled", reason))


async def recorded_outcome(events: AsyncIterable[KernelEvent], task: TaskId) -> TaskOutcome | None:
    """Return how a task ended, from the events of its agent; None if it has not."""
    number = int(task.rpartition("#")[2])
    outcome: TaskOutcome | None = None
    async for event in events:
        match event.body:
            case TaskCompleted(task=ended, result=result) if ended == number:
                outcome = TaskOutcome("completed", decode(result))
            case TaskFailed(task=ended, failure=failure) if ended == number:
                outcome = TaskOutcome("failed", failure=failure)
            case TaskCancelled(task=ended, reason=reason) if ended == number:
                outcome = cancelled(reason)
            case TaskRevived(task=ended) if ended == number:
                outcome = None
            case _:
                pass
    return outcome
