"""What can go wrong when a task runs.

    TokaError
    └── AgentError                   agent.error
        ├── PlaybookInvalid          agent.playbook_invalid       a playbook that cannot be run
        │   └── TemplateInvalid      agent.template_invalid       a text with a wrong `${...}`
        ├── EntryInvalid             agent.entry_invalid          no such function, or not async
        ├── StepDiffers              agent.step_differs           the program changed under its run
        ├── OutcomeMissing           agent.outcome_missing        of a copied step; not in the log
        ├── StepMisplaced            agent.step_misplaced         two steps at once on one path
        ├── ResultInvalid            agent.result_invalid         not JSON, or too large to record
        ├── NoModel                  agent.no_model               a model is asked, and none is set
        ├── ModelStopped             agent.model_*                the model did not come to an end
        ├── TaskTimedOut             agent.task_timed_out         the task took too long
        └── StepFailed               the recorded code            a step ended, and not well
            ├── ExpressionFailed     agent.expression_failed      `${...}` had no value
            ├── StepTimedOut         agent.step_timed_out         it took too long
            ├── StepDenied           the kernel's code            no permission, no budget, no "yes"
            └── StepInDoubt          agent.step_in_doubt          nobody can say if it happened

A `StepFailed` is what a program may catch: it is recorded, so it is raised again, the same, when
the run is resumed. The others say that the program itself is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.types import TokaError

if TYPE_CHECKING:
    from toka.types import Json


class AgentError(TokaError):
    """Anything that this distribution raises."""

    default_code = "agent.error"


class PlaybookInvalid(AgentError):
    """A playbook does not say something that can be run.

    Attributes:
        path: Where in the playbook: keys and indices from its top.

    """

    default_code = "agent.playbook_invalid"

    def __init__(
        self, message: str, *, path: tuple[str | int, ...] = (), hint: str = "", code: str = ""
    ) -> None:
        details: dict[str, Json] = {"path": list(path)}
        super().__init__(message, code=code or None, hint=hint, details=details)

    @property
    def path(self) -> tuple[str | int, ...]:
        """Keys and indices from the playbook's top to what is wrong."""
        path = self.details["path"]
        assert isinstance(path, list)  # noqa: S101 - set in __init__ and nowhere else
        return tuple([each if isinstance(each, int) else str(each) for each in path])

    def prefix(self, *path: str | int) -> None:
        """Tell the place as seen from further up, where `path` leads to what was parsed."""
        self.details = {**self.details, "path": [*path, *self.path]}


class TemplateInvalid(PlaybookInvalid):
    """A text holds a `${...}` that does not end or is no expression.

    Attributes:
        details: `offset` is the character at fault, counted from 0 in the text.

    """

    default_code = "agent.template_invalid"

    def __init__(self, message: str, *, offset: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.details = {**self.details, "offset": offset}

    @property
    def offset(self) -> int:
        """The character at fault, counted from 0 in the text."""
        offset = self.details["offset"]
        assert isinstance(offset, int)  # noqa: S101 - set in __init__ and nowhere else
        return offset

    def move(self, characters: int) -> None:
        """Tell the place as seen in a text in which what was parsed starts further right."""
        self.details = {**self.details, "offset": self.offset + characters}


class EntryInvalid(AgentError):
    """An `entry` names no async function that takes one context."""

    default_code = "agent.entry_invalid"


class StepDiffers(AgentError):
    """The program asks for another step than the one recorded at the same place."""

    default_code = "agent.step_differs"


class OutcomeMissing(AgentError):
    """A step was copied from another run, and the log has that run's outcome no more."""

    default_code = "agent.outcome_missing"


class StepMisplaced(AgentError):
    """A step begins on a path whose last step has not ended; branches are for that."""

    default_code = "agent.step_misplaced"


class NoModel(AgentError):
    """A task asks a model, and its agent runtime was given none."""

    default_code = "agent.no_model"


class ModelStopped(AgentError):
    """A model loop ended without `finish`; the code says why, never a word of the model's."""

    default_code = "agent.model_stopped"


class TaskTimedOut(AgentError):
    """A run of a task took longer than the task may."""

    default_code = "agent.task_timed_out"


class ResultInvalid(AgentError):
    """What a step or a task returned cannot be recorded."""

    default_code = "agent.result_invalid"


class StepFailed(AgentError):
    """A step ended without a result, and that is recorded."""

    default_code = "agent.step_failed"


class ExpressionFailed(StepFailed):
    """An expression has no value: a missing key, a wrong type, a number out of range."""

    default_code = "agent.expression_failed"


class StepTimedOut(StepFailed):
    """A step took longer than it was given."""

    default_code = "agent.step_timed_out"


class StepDenied(StepFailed):
    """The kernel refused a step before it began."""

    default_code = "agent.step_denied"


class StepInDoubt(StepFailed):
    """A step had begun when its run broke off, and nothing says whether it took effect."""

    default_code = "agent.step_in_doubt"
