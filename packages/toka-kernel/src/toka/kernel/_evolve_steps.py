"""How facts about steps change the state. Replaying a log spends most of its time here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.kernel._account import ZERO, negative, triple
from toka.kernel._changes import family_of, task_of_event, with_family, with_task
from toka.kernel._ledger import book
from toka.kernel._limits import MAX_TAINT_LABELS
from toka.kernel._state import Family, KernelState, PathState, StartedStep, TaskState
from toka.kernel._step_facts import Terms
from toka.types import NOTHING, AgentId, digest

if TYPE_CHECKING:
    from toka.kernel._event import KernelEvent
    from toka.kernel._step_facts import StepCompleted, StepFailed, StepRepeated, StepStarted, Toll
    from toka.types import Amounts

_NO_TERMS = Terms()


def step_started(state: KernelState, event: KernelEvent, body: StepStarted) -> KernelState:
    """Remember the step until its outcome comes, and set its estimate aside."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    terms = body.intent.terms or _NO_TERMS
    step = StartedStep(
        body.ordinal,
        body.fence,
        event.id,
        event.time,
        body.intent.name,
        body.intent.effect,
        digest(bytes(body.intent.arguments)),
        terms.requires,
        terms.approval,
        terms.message,
        terms.estimate,
    )
    started = attrs.evolve(task, started=task.started.insert(body.path, step), last=event.id)
    family = with_task(family, identifier, started)
    if terms.estimate != NOTHING:
        agents = book(family.agents, AgentId(event.stream), triple(terms.estimate), ZERO)
        family = Family(agents, family.tasks)
    return with_family(state, event, family)


def step_repeated(state: KernelState, event: KernelEvent, body: StepRepeated) -> KernelState:
    """Note under which lease the step runs now."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    step = attrs.evolve(task.started[body.path], fence=body.fence, event=event.id)
    repeated = attrs.evolve(task, started=task.started.insert(body.path, step), last=event.id)
    return with_family(state, event, with_task(family, identifier, repeated))


def step_finished(
    state: KernelState, event: KernelEvent, body: StepCompleted | StepFailed
) -> KernelState:
    """Advance the path, and settle what the step has spent."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    started, estimate = task.started, NOTHING
    if body.intent is None:
        estimate = started[body.path].estimate
        started = started.remove(body.path)
    toll = body.toll
    taint = task.taint if toll is None else _merged(task.taint, toll.taint)
    # Written out because it runs for every step: attrs.evolve would cost more than all the rest.
    finished = TaskState(
        task.spec,
        task.phase,
        task.attempt,
        task.not_before,
        task.fence,
        task.lease,
        task.cause,
        event.id,
        task.paths.insert(body.path, PathState(body.ordinal + 1, event.id)),
        started,
        taint,
        task.approvals,
        task.asking,
    )
    agents, tasks = family.agents, family.tasks.insert(identifier, finished)
    family = Family(agents, tasks)
    if toll is not None or estimate is not NOTHING:
        family = _settle(family, event, estimate, toll)
    return with_family(state, event, family)


def _settle(family: Family, event: KernelEvent, estimate: Amounts, toll: Toll | None) -> Family:
    spent = NOTHING if toll is None else toll.spent
    agents = family.agents
    if estimate != NOTHING or spent != NOTHING:
        agents = book(agents, AgentId(event.stream), negative(triple(estimate)), triple(spent))
    if toll is not None and toll.taint:
        agent = attrs.evolve(agents[AgentId(event.stream)], tainted=True)
        agents = agents.insert(AgentId(event.stream), agent)
    return Family(agents, family.tasks)


def _merged(taint: tuple[str, ...], labels: tuple[str, ...]) -> tuple[str, ...]:
    if not labels:
        return taint
    return tuple(sorted({*taint, *labels}))[:MAX_TAINT_LABELS]
