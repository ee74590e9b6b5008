"""The idempotency key of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.types import digest

if TYPE_CHECKING:
    from toka.types import TaskId


def step_key_of(task: TaskId, attempt: int, path: str, ordinal: int) -> str:
    """Return what an effect is told from its repetition by: the same in every run of an attempt.

    Args:
        task: Whose step it is.
        attempt: At the task, from 1.
        path: Where in the task.
        ordinal: On the path, from 0.
    """
    return digest(f"{task}\n{attempt}\n{path}\n{ordinal}".encode()).hex()[:32]
