"""How facts about tasks change the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.kernel._account import ZERO, negative, triple
from toka.kernel._changes import (
    agent_of_event,
    books_of,
    family_of,
    task_of_event,
    with_agent,
    with_books,
    with_family,
    with_task,
    worked,
)
from toka.kernel._copying import evolve
from toka.kernel._ledger import book
from toka.kernel._state import Family, KernelState, Lease, TaskState
from toka.kernel._tables import EMPTY_TABLE
from toka.types import NOTHING, AgentId, task_id

if TYPE_CHECKING:
    from toka.kernel._event import KernelEvent
    from toka.kernel._ledger import Books
    from toka.kernel._phases import TaskPhase
    from toka.kernel._task_facts import (
        LeaseRenewed,
        TaskCancelled,
        TaskCompleted,
        TaskFailed,
        TaskReleased,
        TaskRetried,
        TaskRevived,
        TaskScheduled,
        TaskStarted,
    )


def task_scheduled(state: KernelState, event: KernelEvent, body: TaskScheduled) -> KernelState:
    """Add the task to the queue."""
    family = family_of(state, event)
    agent = worked(agent_of_event(family, event), queued=1, scheduled=1)
    if body.taint:
        agent = evolve(agent, tainted=True)
    task = TaskState(body.spec, "queued", 1, 0, 0, None, event.id, event.id, taint=body.taint)
    family = with_agent(family, event, agent)
    identifier = task_id(AgentId(event.stream), body.task)
    return with_family(state, event, with_task(family, identifier, task))


def task_started(state: KernelState, event: KernelEvent, body: TaskStarted) -> KernelState:
    """Put the task under a lease; when it was running, the earlier lease ends."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    if task.phase == "queued":
        agent = worked(
            agent_of_event(family, event), queued=-1, running=1, asking=1 if task.asking else 0
        )
        family = with_agent(family, event, agent)
    started = evolve(
        task,
        phase="running",
        fence=body.fence,
        lease=Lease(body.holder, body.expires, body.epoch),
        cause=event.id,
        last=event.id,
    )
    return with_family(state, event, with_task(family, identifier, started))


def lease_renewed(state: KernelState, event: KernelEvent, body: LeaseRenewed) -> KernelState:
    """Move the lease's end."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    lease = None if task.lease is None else evolve(task.lease, expires=body.expires)
    return with_family(state, event, with_task(family, identifier, evolve(task, lease=lease)))


def task_released(state: KernelState, event: KernelEvent, body: TaskReleased) -> KernelState:
    """Queue the task again, with its steps and approvals."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    agent = worked(
        agent_of_event(family, event), queued=1, running=-1, asking=-1 if task.asking else 0
    )
    queued = evolve(task, phase="queued", lease=None, cause=event.id, last=event.id)
    family = with_task(with_agent(family, event, agent), identifier, queued)
    return with_family(state, event, family)


def task_retried(state: KernelState, event: KernelEvent, body: TaskRetried) -> KernelState:
    """Queue the next attempt; nothing of this one stays but its taint."""
    return _end_attempt(state, event, body.task, "queued", body.not_before, body.attempt)


def task_failed(state: KernelState, event: KernelEvent, body: TaskFailed) -> KernelState:
    """Keep the task aside for a restart of its agent."""
    return _end_attempt(state, event, body.task, "failed")


def task_completed(state: KernelState, event: KernelEvent, body: TaskCompleted) -> KernelState:
    """Forget the task."""
    return _end_attempt(state, event, body.task, None)


def task_cancelled(state: KernelState, event: KernelEvent, body: TaskCancelled) -> KernelState:
    """Forget the task, or keep it aside when it ended with its agent."""
    return _end_attempt(state, event, body.task, "cancelled" if body.with_agent else None)


def task_revived(state: KernelState, event: KernelEvent, body: TaskRevived) -> KernelState:
    """Queue a task that had been kept aside."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    agent = worked(agent_of_event(family, event), queued=1, failed=-1)
    queued = evolve(
        task, phase="queued", attempt=body.attempt, not_before=0, cause=event.id, last=event.id
    )
    family = with_task(with_agent(family, event, agent), identifier, queued)
    return with_family(state, event, family)


def _end_attempt(
    state: KernelState,
    event: KernelEvent,
    number: int,
    phase: TaskPhase | None,
    not_before: int = 0,
    attempt: int | None = None,
) -> KernelState:
    """End an attempt and what belonged to it: lease, steps in doubt, approvals."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, number)
    family = _count_end(family, event, task, phase)
    books = _return_estimates(books_of(state, family), event, task)
    ended = None
    if phase is not None:
        ended = TaskState(
            task.spec,
            phase,
            task.attempt if attempt is None else attempt,
            not_before,
            task.fence,
            None,
            event.id,
            event.id,
            EMPTY_TABLE,
            EMPTY_TABLE,
            task.taint,
        )
    state = with_books(state, event, with_task(family, identifier, ended), books)
    return _without_approvals(state, task)


def _count_end(
    family: Family, event: KernelEvent, task: TaskState, phase: TaskPhase | None
) -> Family:
    was_running = task.phase == "running"
    agent = worked(
        agent_of_event(family, event),
        queued=(phase == "queued") - (task.phase == "queued"),
        running=-1 if was_running else 0,
        asking=-1 if was_running and task.asking else 0,
        failed=1 if phase in ("failed", "cancelled") else 0,
    )
    return with_agent(family, event, agent)


def _return_estimates(books: Books, event: KernelEvent, task: TaskState) -> Books:
    for step in task.started.values():
        if step.estimate != NOTHING:
            aside = negative(triple(step.estimate))
            books = book(books, AgentId(event.stream), aside, ZERO, step.payers)
    return books


def _without_approvals(state: KernelState, task: TaskState) -> KernelState:
    if not task.approvals:
        return state
    approvals = state.approvals
    for approval in task.approvals:
        approvals = approvals.remove(approval)
    return evolve(state, approvals=approvals)
