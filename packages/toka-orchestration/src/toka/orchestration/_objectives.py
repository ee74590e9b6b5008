"""Whether an agent met its objectives: by checks or by tasks, never by words in a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.agent_runtime import ExpressionFailed, Template
from toka.orchestration._run import ObjectiveResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.types import Json, Objective

CHECK_NAMES = frozenset({"agent", "inputs", "results", "run"})
"""What the `check` of an objective can see; `results` holds the agent's own tasks, by id, too."""


def judge(
    objectives: Sequence[Objective], variables: dict[str, Json], unfinished: str
) -> tuple[ObjectiveResult, ...]:
    """Decide on every objective.

    Args:
        objectives: As specified.
        variables: What checks can see.
        unfinished: Why not all tasks completed; empty if all did.
    """
    return tuple(_judge(objective, variables, unfinished) for objective in objectives)


def _judge(objective: Objective, variables: dict[str, Json], unfinished: str) -> ObjectiveResult:
    if not objective.check:
        why = unfinished or "all tasks completed"
        return ObjectiveResult(objective.description, met=not unfinished, why=why)
    try:
        value = Template.parse_expression(objective.check, CHECK_NAMES).render(variables)
    except ExpressionFailed as error:
        # A check over the result of a task that never ended is not met, for that reason.
        return ObjectiveResult(objective.description, met=False, why=unfinished or str(error))
    if not isinstance(value, bool):
        why = f"its check gave {type(value).__name__} instead of true or false"
        return ObjectiveResult(objective.description, met=False, why=why)
    return ObjectiveResult(objective.description, met=value, why=f"check: {objective.check}")
