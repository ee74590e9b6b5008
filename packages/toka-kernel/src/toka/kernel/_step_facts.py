"""Facts about steps, in the stream of their agent.

These are most of a log, so they hold what cannot be known otherwise and nothing twice: the agent is
the stream, the lease is named by its fence, and what few steps need is a part that others leave
out. The identity of a step is (task, attempt, path, ordinal); a fence belongs to one attempt.
"""

from typing import ClassVar

import attrs
import msgspec

from toka.types import NOTHING, Amounts, EntityId, EventId, Failure, SideEffect


@attrs.frozen
class Terms:
    """Under which conditions an effect was allowed."""

    requires: tuple[str, ...] = ()
    approval: EntityId | None = None
    message: EntityId | None = None
    estimate: Amounts = NOTHING


@attrs.frozen
class Intent:
    """What was to be done."""

    name: str
    effect: SideEffect
    arguments: msgspec.Raw
    terms: Terms | None
    """None where the step needed nothing."""


@attrs.frozen
class Toll:
    """What an effect took and brought besides its result."""

    spent: Amounts = NOTHING
    taint: tuple[str, ...] = ()
    attempts: int = 1


@attrs.frozen
class StepStarted:
    """An effect is about to happen; until its outcome is recorded it is in doubt."""

    kind: ClassVar[str] = "step.started.v1"
    task: int
    fence: int
    path: str
    ordinal: int
    intent: Intent


@attrs.frozen
class StepRepeated:
    """An effect in doubt is tried again by a later holder of the lease."""

    kind: ClassVar[str] = "step.repeated.v1"
    task: int
    fence: int
    path: str
    ordinal: int


@attrs.frozen
class StepCompleted:
    """An effect happened, with this result."""

    kind: ClassVar[str] = "step.completed.v1"
    task: int
    fence: int
    path: str
    ordinal: int
    intent: Intent | None
    """None where the step's start is an event of its own."""
    started: int
    result: msgspec.Raw
    toll: Toll | None
    """None where it took nothing and brought nothing."""


@attrs.frozen
class StepCopied:
    """The outcome of an earlier run's step stands for this one, which was not done again.

    What the outcome is, is in the event that it was copied from; it took nothing here.
    """

    kind: ClassVar[str] = "step.copied.v1"
    task: int
    fence: int
    path: str
    ordinal: int
    name: str
    origin: EventId
    failed: bool = False
    taint: tuple[str, ...] = ()


@attrs.frozen
class StepFailed:
    """An effect failed; that is its outcome, and it counts as done."""

    kind: ClassVar[str] = "step.failed.v1"
    task: int
    fence: int
    path: str
    ordinal: int
    intent: Intent | None
    started: int
    result: msgspec.Raw
    toll: Toll | None
    failure: Failure
