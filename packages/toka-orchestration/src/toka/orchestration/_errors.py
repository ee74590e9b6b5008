"""Errors of toka.orchestration.

    TokaError
    └── OrchestrationError               orchestration.error
        ├── UnknownRun                   orchestration.unknown_run       not in this log
        ├── RunBusy                      orchestration.run_busy          being run here already
        ├── Interrupted                  orchestration.interrupted       a task does not get ahead
        ├── RunActive                    orchestration.run_active        it cannot be retried yet
        ├── UnknownStep                  orchestration.unknown_step      not of this run
        ├── StepNotRecorded              orchestration.step_not_recorded its outcome is gone
        ├── SpecChanged                  orchestration.spec_changed      under a half-done run
        ├── ArtifactsUnusable            orchestration.artifacts_unusable
        └── SpecError                    spec.invalid            a specification cannot be used
            ├── SpecFileError            spec.file               missing, too large, not text
            ├── SpecSyntaxError          spec.syntax             not YAML, TOML or JSON
            ├── SpecStructureError       spec.structure          a wrong type, value or place
            │   ├── UnknownKeyError      spec.unknown_key
            │   ├── MissingKeyError      spec.missing_key
            │   └── SpecExpressionError  spec.expression         `${...}` or a permission
            ├── SpecInputError           spec.input              given values do not fit
            ├── DuplicateNameError       spec.duplicate          agents, tasks, inputs
            ├── UnknownDependencyError   spec.unknown_dependency
            ├── DependencyCycleError     spec.cycle
            └── SeveralSpecErrors        spec.several            `errors` holds each

Every `SpecError` says where: `place` is the file, line, column and path in the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from toka.orchestration._place import Place
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.types import Json

MAX_REPORTED_ERRORS: Final = 20
"""Faults that one error names; the rest is counted."""


class OrchestrationError(TokaError):
    """Agents cannot be planned, started or supervised as asked; the base of this tree."""

    default_code: ClassVar[str] = "orchestration.error"


class UnknownRun(OrchestrationError):
    """The log has no run of that name."""

    default_code = "orchestration.unknown_run"


class RunBusy(OrchestrationError):
    """This process runs it already; a second time, the two would take tasks from each other."""

    default_code = "orchestration.run_busy"


class Interrupted(OrchestrationError):
    """A task is given back again and again, with nobody having suspended it."""

    default_code = "orchestration.interrupted"


class RunActive(OrchestrationError):
    """A run that has not ended cannot be retried: what it would take over may still change."""

    default_code = "orchestration.run_active"


class UnknownStep(OrchestrationError):
    """A run has no step with that event."""

    default_code = "orchestration.unknown_step"


class StepNotRecorded(OrchestrationError):
    """The log has the outcomes of a run's steps no more."""

    default_code = "orchestration.step_not_recorded"


class SpecChanged(OrchestrationError):
    """An unfinished run was begun with other specifications than the ones given now."""

    default_code = "orchestration.spec_changed"


class ArtifactsUnusable(OrchestrationError):
    """The directory for what a run makes cannot be made."""

    default_code = "orchestration.artifacts_unusable"


class SpecError(OrchestrationError, ValueError):
    """A specification cannot be used; nothing was started."""

    default_code = "spec.invalid"

    @classmethod
    def at(cls, place: Place, what: str, hint: str = "") -> Self:
        """Make the error that says `what` is wrong at `place`."""
        details: dict[str, Json] = {
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "path": place.path,
        }
        return cls(f"{place}: {what}", hint=hint, details=details)

    @property
    def place(self) -> Place:
        """Where the fault is; empty where the specification came from no document."""
        line, column = self.details.get("line"), self.details.get("column")
        return Place(
            file=str(self.details.get("file", "")),
            line=line if isinstance(line, int) else 0,
            column=column if isinstance(column, int) else 0,
            path=str(self.details.get("path", "")),
        )

    @property
    def errors(self) -> tuple[SpecError, ...]:
        """The single faults: this one, or those of `SeveralSpecErrors`."""
        return (self,)


class SpecFileError(SpecError):
    """A file cannot be read as a specification at all."""

    default_code = "spec.file"


class SpecSyntaxError(SpecError):
    """A document is not well-formed YAML, TOML or JSON, or uses what is not accepted of it."""

    default_code = "spec.syntax"


class SpecStructureError(SpecError):
    """A value has the wrong type, or is not among those that are accepted."""

    default_code = "spec.structure"


class UnknownKeyError(SpecStructureError):
    """A block that Toka interprets has a key that it does not know."""

    default_code = "spec.unknown_key"


class MissingKeyError(SpecStructureError):
    """A key that must be there is not."""

    default_code = "spec.missing_key"


class SpecExpressionError(SpecStructureError):
    """An expression, or a permission, is not well-formed or cannot be evaluated."""

    default_code = "spec.expression"


class SpecInputError(SpecError):
    """The values given to a run do not fit the inputs that its agents declare."""

    default_code = "spec.input"


class DuplicateNameError(SpecError):
    """Two things have one name."""

    default_code = "spec.duplicate"


class UnknownDependencyError(SpecError):
    """Something waits for an agent or a task that does not exist."""

    default_code = "spec.unknown_dependency"


class DependencyCycleError(SpecError):
    """Things wait for each other in a circle."""

    default_code = "spec.cycle"


class SeveralSpecErrors(SpecError):
    """More than one fault; each is an error of its own in `errors`."""

    default_code = "spec.several"
    _errors: tuple[SpecError, ...] = ()

    @classmethod
    def of(cls, errors: Sequence[SpecError]) -> SpecError:
        """Return the one error, or an error that names all, up to a bound."""
        if len(errors) == 1:
            return errors[0]
        lines = [str(error) for error in errors[:MAX_REPORTED_ERRORS]]
        if len(errors) > MAX_REPORTED_ERRORS:
            lines.append(f"and {len(errors) - MAX_REPORTED_ERRORS} more.")
        message = f"{len(errors)} faults:\n" + "\n".join(lines)
        several = cls(message, details={"count": len(errors)})
        several._errors = tuple(errors)
        return several

    @property
    def errors(self) -> tuple[SpecError, ...]:
        """The single faults, in the order of the documents."""
        return self._errors
