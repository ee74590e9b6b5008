"""What the log says of one attempt at a task: the steps that a resumed run does not do again.

The journal is read once, when a run begins, and emptied as the program reaches its steps. What is
left in it at the end was recorded and never reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from toka.agent_runtime._errors import StepDiffers
from toka.kernel import (
    StepCompleted,
    StepCopied,
    StepFailed,
    StepRepeated,
    StepStarted,
    TaskStarted,
    Terms,
)
from toka.types import NULL, EventId, Failure, SideEffect, StepIntent

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from toka.kernel import Intent, KernelEvent
    from toka.types import TaskId

Steps: TypeAlias = StepCompleted | StepCopied | StepFailed | StepRepeated | StepStarted

_NO_TERMS: Final = Terms()


@attrs.frozen
class RecordedStep:
    """A step as the log has it."""

    path: str
    ordinal: int
    name: str
    effect: SideEffect
    arguments: bytes
    terms: Terms
    begun: int
    """Nanoseconds since the Unix epoch."""
    fence: int
    """Under which it was begun, the last time."""
    finished: bool = False
    result: msgspec.Raw = NULL
    failure: Failure | None = None
    origin: EventId | None = None
    """The event that has the outcome, where it is another run's; the rest is to be read there."""

    def intent(self, task: TaskId, fence: int) -> StepIntent:
        """Return the step as it was asked for, under a later fence."""
        return StepIntent(
            task,
            fence,
            self.path,
            self.ordinal,
            self.name,
            self.effect,
            msgspec.Raw(self.arguments),
            self.terms.requires,
            self.terms.approval,
            self.terms.message,
            self.terms.estimate,
        )

    def check_same(
        self, name: str, effect: SideEffect, arguments: msgspec.Raw, task: TaskId
    ) -> None:
        """Check that a program asks for what is on record.

        Raises:
            StepDiffers: It asks for something else.
        """
        # A refused step is on record as one without effect.
        had_none = self.failure is not None and self.effect == "none"
        differing = [
            what
            for what, same in (
                ("name", self.name == name),
                ("effect", self.effect == effect or had_none),
                ("arguments", self.arguments == bytes(arguments)),
            )
            if not same
        ]
        if differing:
            raise StepDiffers(
                f"Task {task} has step {self.name!r} on record (path {self.path}, number"
                f" {self.ordinal}), and the program asks for {name!r} there; they differ in:"
                f" {', '.join(differing)}.",
                hint=HINT if self.origin is None else COPY_HINT,
                details={
                    "task": task,
                    "path": self.path,
                    "ordinal": self.ordinal,
                    "recorded": self.name,
                    "given": name,
                    "differing": differing,
                },
            )


@attrs.define(eq=False)
class Journal:
    """The recorded steps that the program has not reached yet."""

    task: TaskId
    copies: Mapping[tuple[str, int], EventId] = attrs.field(
        factory=dict[tuple[str, int], "EventId"]
    )
    """Outcomes of an earlier run that stand for steps of this one, by path and ordinal."""
    _steps: dict[tuple[str, int], RecordedStep] = attrs.field(
        factory=dict[tuple[str, int], RecordedStep]
    )
    _branches: dict[tuple[str, int], str] = attrs.field(factory=dict[tuple[str, int], str])

    @classmethod
    async def read(
        cls,
        events: AsyncIterable[KernelEvent],
        task: TaskId,
        attempt: int,
        copies: Mapping[tuple[str, int], EventId],
    ) -> Journal:
        """Collect the steps of an attempt from the events of its agent, oldest first."""
        journal = cls(task, copies)
        number = int(task.rpartition("#")[2])
        fences: set[int] = set()
        async for event in events:
            body = event.body
            if isinstance(body, Steps):
                if body.task == number and body.fence in fences:
                    journal._observe(body, event.time)
            elif isinstance(body, TaskStarted) and body.task == number and body.attempt == attempt:
                fences.add(body.fence)
        return journal

    def _observe(self, body: Steps, time: int) -> None:
        place = (body.path, body.ordinal)
        if isinstance(body, StepCopied):
            self._steps[place] = _copied(body, time)
            self._note_branches(body.path)
            return
        if isinstance(body, StepRepeated):
            self._steps[place] = attrs.evolve(self._steps[place], fence=body.fence)
            return
        if isinstance(body, StepStarted):
            self._steps[place] = _begun(body, body.intent, time)
            self._note_branches(body.path)
            return
        step = self._steps.get(place)
        if body.intent is not None:
            step = _begun(body, body.intent, body.started)
            self._note_branches(body.path)
        assert step is not None  # noqa: S101 - the kernel records no outcome without a start
        failure = body.failure if isinstance(body, StepFailed) else None
        self._steps[place] = attrs.evolve(step, finished=True, result=body.result, failure=failure)

    def _note_branches(self, path: str) -> None:
        """Remember which name each branch has, so that another name at its place is found out."""
        while "/" in path:
            path, _, segment = path.rpartition("/")
            number, colon, name = segment.partition(":")
            if colon:
                self._branches[path, int(number)] = name

    def __len__(self) -> int:
        return len(self._steps)

    def has(self, path: str, ordinal: int) -> bool:
        """Return whether a step has an outcome, or a beginning, at a place."""
        return (path, ordinal) in self._steps or (path, ordinal) in self.copies

    def take(self, path: str, ordinal: int) -> RecordedStep | None:
        """Return what is recorded at a place, once."""
        return self._steps.pop((path, ordinal), None) if self._steps else None

    def copy_at(self, path: str, ordinal: int) -> EventId | None:
        """Return the event of an earlier run whose outcome stands for the step at a place."""
        return self.copies.get((path, ordinal))

    def check_branch(self, path: str, number: int, name: str) -> None:
        """Check that a branch has the name under which its steps were recorded.

        Raises:
            StepDiffers: It has another.

        """
        recorded = self._branches.get((path, number))
        if recorded is not None and recorded != name:
            raise StepDiffers(
                f"Task {self.task} has branch {recorded!r} on record as number {number} of path"
                f" {path}, and the program begins branch {name!r} there.",
                hint=HINT,
                details={"task": self.task, "path": path, "recorded": recorded, "given": name},
            )

    def check_emptied(self) -> None:
        """Check that the program has reached every step that was done.

        Raises:
            StepDiffers: It ended without one; the first in order is named.

        """
        left = sorted(
            [step for step in self._steps.values() if step.finished],
            key=lambda step: (step.path, step.ordinal),
        )
        if left:
            first = left[0]
            raise StepDiffers(
                f"Task {self.task} has step {first.name!r} on record (path {first.path}, number"
                f" {first.ordinal}), and the program ended without it.",
                hint=HINT,
                details={
                    "task": self.task,
                    "path": first.path,
                    "ordinal": first.ordinal,
                    "recorded": first.name,
                },
            )


def _copied(body: StepCopied, time: int) -> RecordedStep:
    return RecordedStep(
        body.path,
        body.ordinal,
        body.name,
        "none",
        b"",
        _NO_TERMS,
        time,
        body.fence,
        finished=True,
        origin=body.origin,
    )


HINT: Final = "Restore the program that this run began with, or begin a new run."
COPY_HINT: Final = "Retry from this step or one before it; what was done there does not fit."


def _begun(
    body: StepCompleted | StepFailed | StepStarted, intent: Intent, time: int
) -> RecordedStep:
    return RecordedStep(
        body.path,
        body.ordinal,
        intent.name,
        intent.effect,
        bytes(intent.arguments),
        intent.terms or _NO_TERMS,
        time,
        body.fence,
    )
