"""Decisions about tasks: their queue, their leases and their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.kernel._decision import require_failure, require_short, require_text, task_number
from toka.kernel._limits import MAX_HOLDER_BYTES, MAX_LEASE_NANOSECONDS, MAX_REASON_BYTES
from toka.kernel._rejection import refuse
from toka.kernel._task_facts import (
    LeaseRenewed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskReleased,
    TaskRetried,
    TaskScheduled,
    TaskStarted,
)
from toka.types import MAX_QUEUED_TASKS, agent_of

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.kernel._state import TaskState
    from toka.types import (
        CancelTask,
        CompleteTask,
        FailTask,
        ReleaseTask,
        RenewLease,
        RetryTask,
        ScheduleTask,
        StartTask,
        TaskId,
    )


def schedule_task(decision: Decision, operation: ScheduleTask) -> None:
    """Put a task into the agent's queue."""
    agent = operation.agent
    decision.allow(f"task:schedule:{agent}")
    known = decision.agent(agent, "work")
    if known.queued + known.failed >= MAX_QUEUED_TASKS:
        raise refuse(
            "limit_exceeded",
            f"Agent {agent} has {MAX_QUEUED_TASKS} tasks that wait or have failed, the most that"
            " are kept.",
            details={"agent": agent, "limit": MAX_QUEUED_TASKS},
        )
    # What a tainted agent wants done may be what the outside told it to want.
    taint = (f"agent:{decision.claims.subject}",) if decision.caller_tainted else ()
    scheduled = TaskScheduled(known.next_task, operation.task, taint)
    decision.record_for(agent, scheduled, known.cause)


def start_task(decision: Decision, operation: StartTask) -> None:
    """Give the lease on a task to a holder, with a new fence."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.task(operation.task, "start")
    decision.agent(agent, "start")
    require_text(operation.holder, "The holder's name", MAX_HOLDER_BYTES)
    _check_lease_time(operation.lease)
    _check_free(decision, operation, task)
    if task.phase == "queued" and decision.now < task.not_before:
        raise refuse(
            "too_early",
            f"Task {operation.task} is not to be tried again before {task.not_before} ns.",
            details={"task": operation.task, "not_before": task.not_before},
        )
    started = TaskStarted(
        task_number(operation.task),
        task.attempt,
        task.fence + 1,
        operation.holder,
        decision.now + operation.lease,
        decision.state.host.epoch,
    )
    decision.record_for(agent, started, task.last)


def _check_free(decision: Decision, operation: StartTask, task: TaskState) -> None:
    lease = task.lease
    if (
        lease is None
        or lease.holder == operation.holder
        or lease.expires <= decision.now
        or lease.epoch != decision.state.host.epoch
    ):
        return
    raise refuse(
        "lease_held",
        f"{lease.holder} runs task {operation.task} until {lease.expires} ns. Wait, or stop it.",
        details={"task": operation.task, "holder": lease.holder, "expires": lease.expires},
    )


def _check_lease_time(lease: int) -> None:
    if not 0 < lease <= MAX_LEASE_NANOSECONDS:
        raise refuse(
            "limit_exceeded",
            f"A lease lasts from 1 to {MAX_LEASE_NANOSECONDS} ns, not {lease}.",
        )


def renew_lease(decision: Decision, operation: RenewLease) -> None:
    """Let the holder keep the lease for longer; an expired one too, if nobody has taken over."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(operation.task, operation.fence)
    _check_lease_time(operation.lease)
    renewed = LeaseRenewed(
        task_number(operation.task), operation.fence, decision.now + operation.lease
    )
    decision.record_for(agent, renewed, task.cause)


def release_task(decision: Decision, operation: ReleaseTask) -> None:
    """Queue the task again with its steps kept, so that another holder can go on at once."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(operation.task, operation.fence, "release")
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    released = TaskReleased(task_number(operation.task), operation.fence, operation.reason)
    decision.record_for(agent, released, task.last)


def retry_task(decision: Decision, operation: RetryTask) -> None:
    """End the attempt and queue the next one, from the beginning."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(operation.task, operation.fence, "retry")
    require_failure(operation.failure)
    retried = TaskRetried(
        task_number(operation.task),
        operation.fence,
        task.attempt + 1,
        operation.failure,
        operation.not_before,
    )
    decision.record_for(agent, retried, task.last)


def complete_task(decision: Decision, operation: CompleteTask) -> None:
    """End the task well; no step of it may be in doubt."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(operation.task, operation.fence, "end")
    _check_nothing_in_doubt(operation.task, task)
    completed = TaskCompleted(task_number(operation.task), operation.fence, operation.result)
    decision.record_for(agent, completed, task.last)


def _check_nothing_in_doubt(identifier: TaskId, task: TaskState) -> None:
    if len(task.started):
        path = min(task.started)
        step = task.started[path]
        raise refuse(
            "wrong_state",
            f"Task {identifier} cannot be completed: its step {step.name} ({path}, number"
            f" {step.ordinal}) was started and has no outcome. Record one first.",
            details={"task": identifier, "path": path, "ordinal": step.ordinal, "step": step.name},
        )


def fail_task(decision: Decision, operation: FailTask) -> None:
    """End the task as failed."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(operation.task, operation.fence, "end")
    require_failure(operation.failure)
    failed = TaskFailed(task_number(operation.task), operation.fence, operation.failure)
    decision.record_for(agent, failed, task.last)


def cancel_task(decision: Decision, operation: CancelTask) -> None:
    """End a task that is not wanted any more, whoever holds its lease."""
    agent = agent_of(operation.task)
    decision.allow(f"task:cancel:{agent}")
    task = decision.task(operation.task, "cancel")
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    cancelled = TaskCancelled(task_number(operation.task), operation.reason, with_agent=False)
    decision.record_for(agent, cancelled, task.last)
