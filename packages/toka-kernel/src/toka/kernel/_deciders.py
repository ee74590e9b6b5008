"""Which function decides which operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar, cast

from toka.kernel._decide_agents import (
    finish_agent,
    restart_agent,
    resume_agent,
    spawn_agent,
    suspend_agent,
    terminate_agent,
)
from toka.kernel._decide_approvals import expire_approval, request_approval, resolve_approval
from toka.kernel._decide_copies import copy_step
from toka.kernel._decide_others import (
    emit_observation,
    open_host,
    reserve_budget,
    send_message,
    settle_budget,
)
from toka.kernel._decide_steps import finish_step, start_step
from toka.kernel._decide_tasks import (
    cancel_task,
    complete_task,
    fail_task,
    release_task,
    renew_lease,
    retry_task,
    schedule_task,
    start_task,
)
from toka.kernel._decision import Decision
from toka.types import (
    CancelTask,
    CompleteTask,
    CopyStep,
    EmitObservation,
    ExpireApproval,
    FailTask,
    FinishAgent,
    FinishStep,
    OpenHost,
    Operation,
    ReleaseTask,
    RenewLease,
    RequestApproval,
    ReserveBudget,
    ResolveApproval,
    RestartAgent,
    ResumeAgent,
    RetryTask,
    ScheduleTask,
    SendMessage,
    SettleBudget,
    SpawnAgent,
    StartStep,
    StartTask,
    SuspendAgent,
    TerminateAgent,
)

Decider: TypeAlias = Callable[[Decision, Operation], None]
Asked = TypeVar("Asked", bound=Operation)


def _pair(
    operation: type[Asked], decider: Callable[[Decision, Asked], None]
) -> tuple[type, Decider]:
    """Pair the two, letting the type checker see that they belong together."""
    return operation, cast("Decider", decider)


DECIDERS: Final[Mapping[type, Decider]] = dict(
    [
        _pair(SpawnAgent, spawn_agent),
        _pair(SuspendAgent, suspend_agent),
        _pair(ResumeAgent, resume_agent),
        _pair(RestartAgent, restart_agent),
        _pair(FinishAgent, finish_agent),
        _pair(TerminateAgent, terminate_agent),
        _pair(ScheduleTask, schedule_task),
        _pair(StartTask, start_task),
        _pair(RenewLease, renew_lease),
        _pair(ReleaseTask, release_task),
        _pair(RetryTask, retry_task),
        _pair(CompleteTask, complete_task),
        _pair(FailTask, fail_task),
        _pair(CancelTask, cancel_task),
        _pair(StartStep, start_step),
        _pair(FinishStep, finish_step),
        _pair(CopyStep, copy_step),
        _pair(EmitObservation, emit_observation),
        _pair(SendMessage, send_message),
        _pair(RequestApproval, request_approval),
        _pair(ResolveApproval, resolve_approval),
        _pair(ExpireApproval, expire_approval),
        _pair(ReserveBudget, reserve_budget),
        _pair(SettleBudget, settle_budget),
        _pair(OpenHost, open_host),
    ]
)
"""Every operation of `toka.types` and its decision; a test holds the two against each other."""
