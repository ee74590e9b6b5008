"""Durable steps: an effect is done once, and from then on it is what the log says.

The order of durability:

* `none`, `read_only` and `idempotent` effects: asked for permission, done, then recorded with start
  and outcome in one commit. A crash in between does the effect again, which changes nothing.
* `external` and `privileged` effects: the start is on disk before the effect. A crash in between
  leaves the step in doubt, and nothing is guessed: it is retried under its key where the tool
  honours keys, else the policy decides, and in the end a person.

A refused effect is recorded as a failed step of effect `none`, because nothing happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import anyio
import attrs

from toka.agent_runtime._copies import read_copy, record_copy
from toka.agent_runtime._encoding import encode
from toka.agent_runtime._errors import StepDiffers, StepInDoubt, StepMisplaced, StepTimedOut
from toka.agent_runtime._failures import CANCELLED, denial, error_of, failure_of, is_final
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy
from toka.agent_runtime._step_key import step_key_of
from toka.agent_runtime._time import Expired, within
from toka.kernel import StepStarted
from toka.runtime import Rejected
from toka.types import (
    NANOSECONDS,
    NOTHING,
    NULL,
    Amounts,
    Failure,
    FinishStep,
    SideEffect,
    StartStep,
    StepIntent,
    TokaError,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import msgspec

    from toka.agent_runtime._approvals import Approvals
    from toka.agent_runtime._journal import Journal, RecordedStep
    from toka.agent_runtime._session import Session
    from toka.types import EntityId, InDoubt

STARTS_ON_DISK: Final[frozenset[SideEffect]] = frozenset({"external", "privileged"})

DENIALS: Final = frozenset(
    {
        "kernel.approval_denied",
        "kernel.approval_expired",
        "kernel.budget_exhausted",
        "kernel.capability_denied",
        "kernel.malformed_request",
        "kernel.tainted",
    }
)
"""Rejections that are the outcome of a step; others end the run."""

step_key: ContextVar[str] = ContextVar("step_key")
"""Inside an effect: the idempotency key of its step."""


@attrs.frozen
class Outcome:
    """What an effect brought."""

    result: msgspec.Raw = NULL
    spent: Amounts = NOTHING
    taint: tuple[str, ...] = ()


@attrs.frozen
class Plan:
    """What an effect takes before it may begin."""

    requires: tuple[str, ...] = ()
    estimate: Amounts = NOTHING


NO_PLAN: Final = Plan()


@attrs.frozen
class Step:
    """An effect that a program asks for."""

    name: str
    effect: SideEffect
    arguments: msgspec.Raw
    plan: Callable[[], Plan] | None = None
    """Checks the call and says what it takes; what it raises, the step fails with.

    It is not asked for a step that is on record.
    """
    retry: RetryPolicy = NO_RETRY
    timeout: int | None = None
    """Nanoseconds for one attempt."""
    in_doubt: InDoubt = "ask"
    starts_on_disk: bool = False
    """Whether the start is put on disk in any case, because its time matters."""
    message: EntityId | None = None
    """A message in the mailbox that the step consumes."""
    approval: EntityId | None = None
    """An answer that the step consumes."""
    span: str = "step"
    """What the step is called by whoever follows it: one of few names."""


Call: TypeAlias = Callable[[int], Awaitable[Outcome]]
"""Does the effect; is told when its step began, in nanoseconds since the Unix epoch."""


@attrs.define(eq=False)
class Place:
    """A path of a task, and how far the program has come on it."""

    path: str
    next: int = 0
    branches: int = 0
    busy: bool = False
    cut: _Cut | None = None
    """The last step, if its own program cancelled it."""


@attrs.frozen
class _Cut:
    intent: StepIntent
    begun: int
    on_disk: bool


@attrs.frozen
class _End:
    outcome: Outcome
    attempts: int
    failure: Failure | None = None
    error: Exception | None = None


@attrs.define(eq=False)
class Steps:
    """Does the steps of one run, each once."""

    session: Session
    journal: Journal
    approvals: Approvals
    random: Callable[[], float]
    _cuts: list[Place] = attrs.field(factory=list[Place])

    async def run(self, place: Place, step: Step, call: Call) -> msgspec.Raw:
        """Return the result of the next step of a path, doing it if it is not on record.

        Raises:
            StepFailed: It failed, now or when it was done.
            StepDiffers: Another step is on record there.
            OutcomeMissing: It was copied from an event that the log has no more.
            StepMisplaced: The path's last step has not ended.

        """
        if place.busy:
            raise StepMisplaced(
                f"Step {step.name!r} begins on path {place.path} before the last one there ended.",
                hint="Use ctx.branch() for work that is done at the same time.",
            )
        place.busy = True
        try:
            if place.cut is not None:
                await self._settle(place, place.cut)
            recorded = self.journal.take(place.path, place.next)
            if recorded is None or recorded.origin is not None:
                recorded = await self._copied(place, step, recorded)
            if recorded is None:
                with self._span(place, step):
                    return await self._first(place, step, call)
            self._check_same(recorded, step)
            if recorded.finished:
                return await _replayed(place, recorded)
            with self._span(place, step):
                return await self._in_doubt(place, step, recorded, call)
        finally:
            place.busy = False

    async def _copied(
        self, place: Place, step: Step, known: RecordedStep | None
    ) -> RecordedStep | None:
        """Return the step as an earlier run did it, if its outcome stands for this one."""
        origin = self.journal.copy_at(place.path, place.next) if known is None else known.origin
        if origin is None:
            return None
        copied = await read_copy(self.session, origin, place.path, place.next)
        if known is None:
            self._check_same(copied.recorded, step)
            await record_copy(self.session, copied)
        return copied.recorded

    def _span(self, place: Place, step: Step) -> AbstractContextManager[object]:
        return self.session.runtime.tracing.span(
            step.span,
            {
                "toka.step.name": step.name,
                "toka.step.path": place.path,
                "toka.step.ordinal": place.next,
                "toka.step.effect": step.effect,
            },
        )

    def _check_same(self, recorded: RecordedStep, step: Step) -> None:
        try:
            recorded.check_same(step.name, step.effect, step.arguments, self.session.task)
        except StepDiffers as error:
            self.session.abort(error)
            raise

    async def settle(self) -> None:
        """Record the outcome of steps that the program has cancelled, so that the task can end."""
        for place in self._cuts:
            if place.cut is not None and place.cut.on_disk:
                await self._settle(place, place.cut)

    async def _first(self, place: Place, step: Step, call: Call) -> msgspec.Raw:
        session = self.session
        plan, fault = _plan(step)
        intent = StepIntent(
            session.task,
            session.fence,
            place.path,
            place.next,
            step.name,
            step.effect,
            step.arguments,
            plan.requires,
            step.approval,
            step.message,
            plan.estimate,
        )
        if fault is not None:
            await self._refuse(place, intent, failure_of(fault), fault)
        on_disk = step.starts_on_disk or step.effect in STARTS_ON_DISK
        try:
            intent, begun = await self._permit(intent, on_disk=on_disk)
        except Rejected as rejected:
            if rejected.code not in DENIALS:
                raise
            await self._refuse(place, intent, denial(rejected), rejected)
        return await self._do(place, step, intent, begun, call, on_disk=on_disk)

    async def _permit(self, intent: StepIntent, *, on_disk: bool) -> tuple[StepIntent, int]:
        """Return when the step begins, once it is allowed; with the approval that it took."""
        try:
            return intent, await self._begin(intent, on_disk=on_disk)
        except Rejected as rejected:
            if rejected.code != "kernel.tainted":
                raise
            question = f"{rejected.message} Allow {intent.name} this once?"
        answer = await self.approvals.ask(intent.name, intent.arguments, question)
        intent = attrs.evolve(intent, approval=answer.approval)
        return intent, await self._begin(intent, on_disk=on_disk)

    async def _begin(self, intent: StepIntent, *, on_disk: bool) -> int:
        if on_disk:
            receipt = await self.session.submit(StartStep(intent))
            return next(
                event.time for event in receipt.events if isinstance(event.body, StepStarted)
            )
        now = self.session.clock.now()
        # What has no effect and needs nothing is not worth a question.
        if intent.requires or intent.effect != "none":
            await self.session.authorize(FinishStep(intent, now))
        return now

    async def _refuse(
        self, place: Place, intent: StepIntent, failure: Failure, error: TokaError
    ) -> NoReturn:
        """Record that a step did not happen."""
        now = self.session.clock.now()
        await self.session.submit(FinishStep(_without_effect(intent), now, failure=failure))
        place.next += 1
        raise error_of(failure) from error

    async def _do(
        self, place: Place, step: Step, intent: StepIntent, begun: int, call: Call, *, on_disk: bool
    ) -> msgspec.Raw:
        token = step_key.set(key_of(intent, self.session.attempt))
        try:
            end = await self._attempts(step, begun, call)
            return await self._record(place, intent, begun, end)
        except anyio.get_cancelled_exc_class():
            place.cut = _Cut(intent, begun, on_disk)
            self._cuts.append(place)
            raise
        finally:
            step_key.reset(token)

    async def _record(self, place: Place, intent: StepIntent, begun: int, end: _End) -> msgspec.Raw:
        outcome = end.outcome
        await self.session.submit(
            FinishStep(
                intent,
                begun,
                outcome.result,
                end.failure,
                outcome.spent,
                outcome.taint,
                end.attempts,
            )
        )
        place.next += 1
        if end.failure is not None:
            raise error_of(end.failure) from end.error
        return outcome.result

    async def _attempts(self, step: Step, begun: int, call: Call) -> _End:
        attempt = 1
        while True:
            try:
                outcome = await self._timed(step, begun, call)
            except Exception as error:  # noqa: BLE001 - how a foreign function fails is its outcome
                failure = failure_of(error)
                final = is_final(failure.code)
                if not step.retry.is_worth_it(failure.code, attempt=attempt, is_final=final):
                    return _End(Outcome(), attempt, failure, error)
            else:
                return _End(outcome, attempt)
            await self.session.clock.sleep(step.retry.wait(attempt, self.random))
            attempt += 1

    async def _timed(self, step: Step, begun: int, call: Call) -> Outcome:
        try:
            return await within(self.session.clock, step.timeout, lambda: call(begun))
        except Expired:
            seconds = (step.timeout or 0) / NANOSECONDS
            raise StepTimedOut(
                f"Step {step.name} took longer than {seconds:g} s and was ended."
            ) from None

    async def _in_doubt(
        self, place: Place, step: Step, recorded: RecordedStep, call: Call
    ) -> msgspec.Raw:
        intent = recorded.intent(self.session.task, self.session.fence)
        if recorded.effect in STARTS_ON_DISK:
            if not await self._is_to_be_repeated(step, recorded):
                error = StepInDoubt(
                    f"Step {step.name} had begun when its run broke off; it was not done again."
                )
                end = _End(Outcome(), 1, failure_of(error))
                return await self._record(place, intent, recorded.begun, end)
            await self.session.submit(StartStep(intent))
        return await self._do(place, step, intent, recorded.begun, call, on_disk=True)

    async def _is_to_be_repeated(self, step: Step, recorded: RecordedStep) -> bool:
        if step.in_doubt != "ask":
            return step.in_doubt == "retry"
        question = (
            f"Step {step.name} of task {self.session.task} had begun when its run broke off, and"
            " may or may not have taken effect. Do it (again)?"
        )
        # The name is none that a step can have, so that the answer allows nothing else. It is good
        # for this beginning of this step: the next crash in the middle of it is another question.
        beginning = encode(
            {"path": recorded.path, "ordinal": recorded.ordinal, "fence": recorded.fence}, "It"
        )
        answer = await self.approvals.ask(f"in doubt: {step.name}", beginning, question)
        return answer.approved

    async def _settle(self, place: Place, cut: _Cut) -> None:
        """Record that the program cancelled a step; on replay it waits to be cancelled again."""
        place.cut = None
        failure = Failure(CANCELLED, f"Step {cut.intent.name} was cancelled by its own program.")
        intent = cut.intent if cut.on_disk else _without_effect(cut.intent)
        if not self._is_recorded(cut.intent):
            await self.session.submit(FinishStep(intent, cut.begun, failure=failure))
        place.next += 1

    def _is_recorded(self, intent: StepIntent) -> bool:
        # The cancellation may have come just when the outcome was on its way to disk.
        task = self.session.runtime.state.task(self.session.task)
        known = None if task is None else task.paths.get(intent.path)
        done = 0 if known is None else known.next
        started = None if task is None else task.started.get(intent.path)
        return done > intent.ordinal and started is None


def key_of(intent: StepIntent, attempt: int) -> str:
    """Return the idempotency key of a step: the same in every run of one attempt at its task."""
    return step_key_of(intent.task, attempt, intent.path, intent.ordinal)


def _plan(step: Step) -> tuple[Plan, TokaError | None]:
    if step.plan is None:
        return NO_PLAN, None
    try:
        return step.plan(), None
    except TokaError as error:
        return NO_PLAN, error


def _without_effect(intent: StepIntent) -> StepIntent:
    return attrs.evolve(
        intent, effect="none", requires=(), approval=None, message=None, estimate=NOTHING
    )


async def _replayed(place: Place, recorded: RecordedStep) -> msgspec.Raw:
    place.next += 1
    if recorded.failure is None:
        return recorded.result
    if recorded.failure.code == CANCELLED:
        await anyio.sleep_forever()
    raise error_of(recorded.failure)
