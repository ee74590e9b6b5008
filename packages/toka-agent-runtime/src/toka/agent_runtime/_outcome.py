"""How a run of a task ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from toka.types import Failure, Json


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
