"""Handlers of one step: all that the log has of it, gathered from its beginning and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from toka.agent_runtime import step_key_of
from toka.kernel import (
    StepCompleted,
    StepCopied,
    StepFailed,
    StepRepeated,
    StepStarted,
    TaskStarted,
)
from toka.orchestration_service._errors import NotFound
from toka.orchestration_service._event_pages import event_of, render_why, told_of
from toka.orchestration_service._render import bounded, render_spent
from toka.orchestration_service._shapes import moment, moment_or_none
from toka.orchestration_service._shapes_events import CopiedFrom, StepDetail, StepFailure
from toka.orchestration_service._spans import kind_of
from toka.runtime import find_outcome, from_store
from toka.types import NOTHING, AgentId, root_of, task_id

if TYPE_CHECKING:
    from toka.kernel import Intent, KernelEvent
    from toka.orchestration_service._call import Call
    from toka.runtime import Explanation, Logged, StepOutcome
    from toka.store.core import Event, EventStore

End: TypeAlias = StepCompleted | StepFailed
_BODIES = (StepCompleted, StepFailed, StepRepeated, StepStarted)
_NEAR = 20
"""Events that a step's beginning caused, among which its end is."""


@attrs.frozen
class _Ends:
    """Both ends of a step."""

    first: KernelEvent
    last: KernelEvent
    intent: Intent
    end: End | None
    outcome: StepOutcome | None = None
    """Of a copied step: where it is from."""

    @property
    def began(self) -> int:
        """When the effect began; of a copied step, when it was copied."""
        if self.outcome is not None:
            return self.first.time
        return self.first.time if self.end is None or self.first.id != self.last.id else self._told

    @property
    def _told(self) -> int:
        return self.first.time if self.end is None else self.end.started


async def get_step(call: Call) -> StepDetail:
    """Return a step, by any of its events.

    Raises:
        NotFound: There is no such event, it is none of a step, or the token does not cover it.
    """
    stored = await event_of(call)
    ends = await _ends_of(call.service.runtime.store, stored)
    if ends is None:
        raise NotFound(
            f"Event {stored.id} is a {stored.kind}, which is none of a step.",
            hint=f"GET /v1/explanations/{stored.id} tells of any event.",
        )
    last = await call.service.runtime.store.get(ends.last.id)
    told = await told_of(call, stored if last is None else last)
    view = await call.service.projection.find(root_of(AgentId(ends.first.stream)))
    return _render(call, ends, told, run_ended=view is not None and view.ended)


async def _ends_of(store: EventStore, stored: Event) -> _Ends | None:
    event = from_store(stored).event
    if isinstance(event.body, StepCopied):
        outcome = await find_outcome(store, event.id)
        if outcome is None:
            return None
        return _Ends(event, event, outcome.intent, outcome.end, outcome)
    first = await _first_of(store, event)
    if first is None:
        return None
    if not isinstance(first.body, StepStarted):
        # Begun and ended in one event.
        assert isinstance(first.body, (StepCompleted, StepFailed))  # noqa: S101 - see _first_of
        assert first.body.intent is not None  # noqa: S101
        return _Ends(first, first, first.body.intent, first.body)
    last = event if isinstance(event.body, (StepCompleted, StepFailed)) else None
    if last is None:
        last = await _last_of(store, first)
    end = last.body if last is not None else None
    if not isinstance(end, (StepCompleted, StepFailed)):
        return _Ends(first, first, first.body.intent, None)
    return _Ends(first, last or first, first.body.intent, end)


async def _first_of(store: EventStore, event: KernelEvent) -> KernelEvent | None:
    """Return the event that says what was to be done."""
    while isinstance(event.body, _BODIES):
        body = event.body
        if not isinstance(body, StepRepeated) and body.intent is not None:
            return event
        stored = await store.get(event.parents[0])
        if stored is None or stored.compacted:
            return None
        event = from_store(stored).event
    return None


async def _last_of(store: EventStore, first: KernelEvent) -> KernelEvent | None:
    assert isinstance(first.body, StepStarted)  # noqa: S101 - asked of nothing else
    place = (first.body.task, first.body.path, first.body.ordinal)
    found: KernelEvent | None = None
    for stored in await store.descendants(first.id, limit=_NEAR):
        event = from_store(stored).event
        body = event.body
        if isinstance(body, (StepCompleted, StepFailed, StepRepeated)) and place == (
            body.task,
            body.path,
            body.ordinal,
        ):
            found = event
            if not isinstance(body, StepRepeated):
                break
    return found


def _render(call: Call, ends: _Ends, told: Explanation, *, run_ended: bool) -> StepDetail:
    body, intent, end = ends.first.body, ends.intent, ends.end
    assert isinstance(body, (StepCompleted, StepCopied, StepFailed, StepStarted))  # noqa: S101
    toll = None if end is None else end.toll
    agent = AgentId(ends.first.stream)
    task, attempt = task_id(agent, body.task), _attempt_of(told, body.task, body.fence)
    result = None if end is None or isinstance(end, StepFailed) else end.result
    failure = end.failure if isinstance(end, StepFailed) else None
    return StepDetail(
        step=ends.first.id,
        event=ends.last.id,
        run=root_of(agent),
        agent=agent,
        task=task,
        attempt=attempt,
        path=body.path,
        ordinal=body.ordinal,
        name=intent.name,
        kind=kind_of(intent.name, call.service.orchestrator.tools.names()),
        effect=intent.effect,
        state="running" if end is None else "failed" if failure else "completed",
        began=moment(ends.began),
        ended=moment_or_none(None if end is None else ends.last.time),
        tries=_tries(ends),
        arguments=bounded(intent.arguments),
        arguments_bytes=len(bytes(intent.arguments)),
        result=None if result is None else bounded(result),
        result_bytes=None if result is None else len(bytes(result)),
        failure=None if failure is None else StepFailure(failure.code, failure.message),
        spent=render_spent(toll.spent if toll and ends.outcome is None else NOTHING),
        taint=toll.taint if toll else (),
        requires=intent.terms.requires if intent.terms else (),
        approval=intent.terms.approval if intent.terms else None,
        idempotency_key="" if ends.outcome else step_key_of(task, attempt, body.path, body.ordinal),
        copied_from=_copied_from(ends.outcome),
        run_ended=run_ended,
        why=render_why(call, told),
    )


def _tries(ends: _Ends) -> int:
    """Return how often the effect was tried: not at all where its outcome was copied."""
    if ends.end is None or ends.outcome is not None:
        return 0
    return ends.end.toll.attempts if ends.end.toll else 1


def _copied_from(outcome: StepOutcome | None) -> CopiedFrom | None:
    if outcome is None:
        return None
    made, agent = outcome.chain[-1].event, AgentId(outcome.chain[-1].event.stream)
    return CopiedFrom(
        event=made.id,
        run=root_of(agent),
        agent=agent,
        ended=moment(made.time),
        actor=made.actor,
        token=made.token,
        copied=outcome.chain[1].event.id,
    )


def _attempt_of(told: Explanation, task: int, fence: int) -> int:
    """Return the attempt that a fence belongs to: the task's start is a cause of its steps."""
    for cause in told.causes:
        if _starts(cause, task) and getattr(cause.event.body, "fence", 0) <= fence:
            return getattr(cause.event.body, "attempt", 1)
    return 1


def _starts(cause: Logged, task: int) -> bool:
    body = cause.event.body
    return isinstance(body, TaskStarted) and body.task == task
