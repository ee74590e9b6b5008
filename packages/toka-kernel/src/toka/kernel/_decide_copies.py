"""The decision to let the outcome of an earlier run's step stand for a step of this one.

Whether the earlier event says what the operation says of it, the kernel cannot know: the host holds
the two against each other before it asks. What is decided here is whether this family may take over
outcomes of that run at all, and that an outcome goes to its own place: the origin's stream is this
agent's, with the other root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.kernel._decide_steps import (
    check_labels,
    enclosing_cause,
    out_of_order,
    task_of_step,
)
from toka.kernel._decision import agent_in, require_text, task_number
from toka.kernel._limits import MAX_STEP_NAME_BYTES, MAX_STEP_PATH_BYTES
from toka.kernel._rejection import refuse
from toka.kernel._step_facts import StepCopied
from toka.types import AgentId, root_of

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.kernel._state import Family, TaskState
    from toka.types import CopyStep

_MAX_EVENT_BYTES: Final = 64


def copy_step(decision: Decision, operation: CopyStep) -> None:
    """Record that a step has an outcome already, in an earlier run."""
    agent, family, task = task_of_step(decision, operation)
    agent_in(family, agent, "start")
    _check_source(family, agent)
    _check_sizes(operation)
    path = task.paths.get(operation.path)
    _check_place(operation, task, 0 if path is None else path.next)
    cause = enclosing_cause(task, operation.path) if path is None else path.last
    copied = StepCopied(
        task_number(operation.task),
        operation.fence,
        operation.path,
        operation.ordinal,
        operation.name,
        operation.origin,
        operation.failed,
        operation.taint,
    )
    decision.record_for(agent, copied, cause, operation.origin)


def _check_source(family: Family, agent: AgentId) -> None:
    root = family.agents[AgentId(root_of(agent))]
    if root.copies_from is None:
        raise refuse(
            "nothing_to_copy",
            f"Run {root_of(agent)} was begun by itself; there is no run whose outcomes its steps"
            " could take over.",
            details={"agent": agent},
        )


def _check_sizes(operation: CopyStep) -> None:
    require_text(operation.path, "A step's path", MAX_STEP_PATH_BYTES)
    require_text(operation.name, "A step's name", MAX_STEP_NAME_BYTES)
    require_text(operation.origin, "An event's identifier", _MAX_EVENT_BYTES)
    check_labels(operation.taint)


def _check_place(operation: CopyStep, task: TaskState, expected: int) -> None:
    if operation.ordinal != expected:
        raise out_of_order(operation, expected)
    if operation.path in task.started:
        raise refuse(
            "wrong_state",
            f"Step {operation.name} (path {operation.path}, number {operation.ordinal}) has been"
            " started; nothing else can stand for its outcome.",
            details={
                "task": operation.task,
                "path": operation.path,
                "ordinal": operation.ordinal,
            },
        )
