"""Which function applies which fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar, cast

from toka.kernel import _agent_facts, _approval_facts, _budget_facts, _step_facts, _task_facts
from toka.kernel import _evolve_agents as agents
from toka.kernel import _evolve_others as others
from toka.kernel import _evolve_steps as steps
from toka.kernel import _evolve_tasks as tasks
from toka.kernel._event import KernelEvent
from toka.kernel._facts import Body
from toka.kernel._state import KernelState
from toka.kernel._system_facts import HostOpened, TokenAdmitted

Evolver: TypeAlias = Callable[[KernelState, KernelEvent, Body], KernelState]
Told = TypeVar("Told", bound=Body)


def _pair(
    body: type[Told], evolver: Callable[[KernelState, KernelEvent, Told], KernelState]
) -> tuple[type, Evolver]:
    """Pair the two, letting the type checker see that they belong together."""
    return body, cast("Evolver", evolver)


EVOLVERS: Final[Mapping[type, Evolver]] = dict(
    [
        _pair(_agent_facts.AgentSpawned, agents.agent_spawned),
        _pair(_agent_facts.AgentSuspended, agents.agent_suspended),
        _pair(_agent_facts.AgentResumed, agents.agent_resumed),
        _pair(_agent_facts.AgentRestarted, agents.agent_restarted),
        _pair(_agent_facts.AgentCompleted, agents.agent_completed),
        _pair(_agent_facts.AgentFailed, agents.agent_failed),
        _pair(_agent_facts.AgentTerminated, agents.agent_terminated),
        _pair(_agent_facts.ObservationEmitted, agents.observation_emitted),
        _pair(_agent_facts.MessageSent, agents.message_sent),
        _pair(_agent_facts.MessageConsumed, agents.message_consumed),
        _pair(_task_facts.TaskScheduled, tasks.task_scheduled),
        _pair(_task_facts.TaskStarted, tasks.task_started),
        _pair(_task_facts.LeaseRenewed, tasks.lease_renewed),
        _pair(_task_facts.TaskReleased, tasks.task_released),
        _pair(_task_facts.TaskRetried, tasks.task_retried),
        _pair(_task_facts.TaskCompleted, tasks.task_completed),
        _pair(_task_facts.TaskFailed, tasks.task_failed),
        _pair(_task_facts.TaskCancelled, tasks.task_cancelled),
        _pair(_task_facts.TaskRevived, tasks.task_revived),
        _pair(_step_facts.StepStarted, steps.step_started),
        _pair(_step_facts.StepRepeated, steps.step_repeated),
        _pair(_step_facts.StepCompleted, steps.step_finished),
        _pair(_step_facts.StepFailed, steps.step_finished),
        _pair(_step_facts.StepCopied, steps.step_copied),
        _pair(_approval_facts.ApprovalRequested, others.approval_requested),
        _pair(_approval_facts.ApprovalResolved, others.approval_resolved),
        _pair(_approval_facts.ApprovalExpired, others.approval_expired),
        _pair(_approval_facts.ApprovalConsumed, others.approval_consumed),
        _pair(_budget_facts.BudgetReserved, others.budget_reserved),
        _pair(_budget_facts.BudgetSettled, others.budget_settled),
        _pair(TokenAdmitted, others.token_admitted),
        _pair(HostOpened, others.host_opened),
    ]
)
"""Every fact but those of extensions; a test holds the table against the kinds."""
