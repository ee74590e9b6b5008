"""How facts about steps change the state. Replaying a log spends most of its time here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.kernel._account import ZERO, negative, triple
from toka.kernel._changes import (
    agent_of_event,
    books_of,
    family_of,
    payers_of,
    task_of_event,
    with_agent,
    with_books,
    with_family,
    with_task,
)
from toka.kernel._copying import evolve
from toka.kernel._ledger import Books, book
from toka.kernel._limits import MAX_TAINT_LABELS
from toka.kernel._state import Family, KernelState, PathState, StartedStep, TaskState
from toka.kernel._step_facts import Terms
from toka.types import NOTHING, AgentId, digest

if TYPE_CHECKING:
    from toka.kernel._event import KernelEvent
    from toka.kernel._step_facts import (
        StepCompleted,
        StepCopied,
        StepFailed,
        StepRepeated,
        StepStarted,
        Toll,
    )

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
        payers_of(state, event, family),
    )
    started = evolve(task, started=task.started.insert(body.path, step), last=event.id)
    family = with_task(family, identifier, started)
    if terms.estimate == NOTHING:
        return with_family(state, event, family)
    aside = triple(terms.estimate)
    books = book(books_of(state, family), AgentId(event.stream), aside, ZERO, step.payers)
    return with_books(state, event, family, books)


def step_repeated(state: KernelState, event: KernelEvent, body: StepRepeated) -> KernelState:
    """Note under which lease the step runs now."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    step = evolve(task.started[body.path], fence=body.fence, event=event.id)
    repeated = evolve(task, started=task.started.insert(body.path, step), last=event.id)
    return with_family(state, event, with_task(family, identifier, repeated))


def step_finished(
    state: KernelState, event: KernelEvent, body: StepCompleted | StepFailed
) -> KernelState:
    """Advance the path, and settle what the step has spent."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    started, earlier = task.started, None
    if body.intent is None:
        earlier = started[body.path]
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
    if toll is None and (earlier is None or earlier.estimate is NOTHING):
        return with_family(state, event, family)
    return with_books(state, event, family, _settled(state, event, family, earlier, toll))


def step_copied(state: KernelState, event: KernelEvent, body: StepCopied) -> KernelState:
    """Advance the path; what the outcome cost was paid where it was made, its taint is kept."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    copied = evolve(
        task,
        paths=task.paths.insert(body.path, PathState(body.ordinal + 1, event.id)),
        last=event.id,
        taint=_merged(task.taint, body.taint),
    )
    family = with_task(family, identifier, copied)
    if body.taint:
        agent = evolve(agent_of_event(family, event), tainted=True)
        family = with_agent(family, event, agent)
    return with_family(state, event, family)


def _settled(
    state: KernelState,
    event: KernelEvent,
    family: Family,
    earlier: StartedStep | None,
    toll: Toll | None,
) -> Books:
    spent = NOTHING if toll is None else toll.spent
    estimate = NOTHING if earlier is None else earlier.estimate
    books, agent = books_of(state, family), AgentId(event.stream)
    if estimate != NOTHING or spent != NOTHING:
        payers = payers_of(state, event, family) if earlier is None else earlier.payers
        books = book(books, agent, negative(triple(estimate)), triple(spent), payers)
    if toll is not None and toll.taint:
        marked = evolve(books.agents[agent], tainted=True)
        books = Books(books.agents.insert(agent, marked), books.tokens)
    return books


def _merged(taint: tuple[str, ...], labels: tuple[str, ...]) -> tuple[str, ...]:
    if not labels:
        return taint
    return tuple(sorted({*taint, *labels}))[:MAX_TAINT_LABELS]
