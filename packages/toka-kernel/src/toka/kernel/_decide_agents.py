"""Decisions about the lives of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.capability.core import Permission, PermissionSyntaxError
from toka.kernel._account import add, triple, what_is_left
from toka.kernel._agent_facts import (
    AgentCompleted,
    AgentFailed,
    AgentRestarted,
    AgentResumed,
    AgentSpawned,
    AgentSuspended,
    AgentTerminated,
)
from toka.kernel._decision import (
    NO_CAUSES,
    require_amounts,
    require_failure,
    require_short,
    require_size,
)
from toka.kernel._limits import MAX_REASON_BYTES
from toka.kernel._rejection import refuse
from toka.kernel._state import Family
from toka.kernel._task_facts import TaskCancelled, TaskRevived
from toka.types import (
    MAX_PERMISSIONS,
    MAX_STEP_RESULT_BYTES,
    AgentId,
    Amounts,
    InvalidValueError,
    TaskId,
    agent_of,
    check_entity_id,
    child_agent,
    parent_of,
    root_agent,
)

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.kernel._state import AgentState, TaskState
    from toka.types import (
        EventId,
        FinishAgent,
        RestartAgent,
        ResumeAgent,
        SpawnAgent,
        SuspendAgent,
        TerminateAgent,
    )


def spawn_agent(decision: Decision, operation: SpawnAgent) -> None:
    """Create an agent with no more than its parent and the caller have."""
    parent = operation.parent
    target = operation.name if parent is None else f"{parent}/{operation.name}"
    decision.allow(f"agent:spawn:{target}")
    _check_attenuation(decision, operation)
    if operation.copies_from is not None:
        _check_copies(decision, operation, operation.copies_from)
    require_amounts(operation.budget)
    if parent is None:
        agent, causes = root_agent(decision.ids.entity()), NO_CAUSES
        decision.check_slice(Family().agents, agent, operation.name, operation.budget)
    else:
        agent, causes = _child(decision, operation, parent)
    spawned = AgentSpawned(
        operation.name,
        parent,
        operation.permissions,
        operation.untainted,
        operation.budget,
        operation.spec,
        decision.caller_tainted,
        operation.copies_from,
    )
    decision.record_for(agent, spawned, *causes)


def _child(
    decision: Decision, operation: SpawnAgent, parent: AgentId
) -> tuple[AgentId, tuple[EventId, ...]]:
    known = decision.agent(parent, "work")
    try:
        agent = child_agent(parent, operation.name)
    except InvalidValueError as error:
        raise refuse("limit_exceeded", str(error), details={"parent": parent}) from error
    agents = decision.family(parent).agents
    if agent in agents:
        raise refuse(
            "duplicate_name",
            f"Agent {parent} has had a child called {operation.name} already. Choose another name,"
            " or restart that one.",
            details={"agent": agent, "state": agents[agent].phase},
        )
    decision.check_slice(agents, agent, operation.name, operation.budget)
    return agent, (known.cause,)


def _check_attenuation(decision: Decision, operation: SpawnAgent) -> None:
    """Hold every permission of the child against the caller's: it may be narrower, never wider."""
    claims = decision.claims
    if len(operation.permissions) + len(operation.untainted) > MAX_PERMISSIONS:
        raise refuse(
            "limit_exceeded",
            f"Agent {operation.name} asks for more than {MAX_PERMISSIONS} permissions.",
        )
    for text in operation.permissions:
        if claims.granted.covers(_permission(text)) is None:
            raise _wider(operation.name, text, claims.subject)
    for text in operation.untainted:
        permission = _permission(text)
        if claims.granted.covers(permission) is None and claims.guarded.covers(permission) is None:
            raise _wider(operation.name, text, claims.subject)


def _check_copies(decision: Decision, operation: SpawnAgent, source: AgentId) -> None:
    """Let a root take over outcomes only of what the caller may read, and what changes no more."""
    if operation.parent is not None:
        raise refuse(
            "malformed_request",
            f"Agent {operation.name} has a parent; outcomes are taken over from root to root.",
        )
    try:
        root = check_entity_id(source)
    except InvalidValueError as error:
        raise refuse("malformed_request", f"No root is called so: {error.message}") from error
    decision.allow_all(f"event:read:{root}/**")
    if root in decision.state.families:
        raise refuse(
            "wrong_state",
            f"Agent {source} has not ended, so its outcomes cannot be taken over yet.",
            details={"agent": source, "asked": "copy"},
        )


def _permission(text: str) -> Permission:
    try:
        return Permission.parse(text)
    except PermissionSyntaxError as error:
        raise refuse("malformed_request", str(error), details={"permission": text[:300]}) from error


def _wider(name: str, permission: str, subject: str) -> Exception:
    return refuse(
        "capability_denied",
        f"{subject} cannot give {name} the permission {permission}, which it does not have itself.",
        needed=permission,
        details={"subject": subject, "child": name},
    )


def suspend_agent(decision: Decision, operation: SuspendAgent) -> None:
    """Stop the agent from starting anything."""
    decision.allow(f"agent:control:{operation.agent}")
    known = decision.agent(operation.agent, "suspend")
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    decision.record_for(operation.agent, AgentSuspended(operation.reason), known.cause)


def resume_agent(decision: Decision, operation: ResumeAgent) -> None:
    """Let a suspended agent go on."""
    decision.allow(f"agent:control:{operation.agent}")
    known = decision.agent(operation.agent, "resume")
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    decision.record_for(operation.agent, AgentResumed(operation.reason), known.cause)


def restart_agent(decision: Decision, operation: RestartAgent) -> None:
    """Begin an ended agent's life again, with its tasks and with what is left of its budget."""
    agent = operation.agent
    decision.allow(f"agent:control:{agent}")
    known = decision.agent(agent, "restart")
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    parent = parent_of(agent)
    # A root that has ended is gone with its family, so whatever can be restarted has a parent.
    if parent is not None:
        decision.agent(parent, "work")
        budget = what_is_left(known.account)
        decision.check_slice(decision.family(agent).agents, agent, known.name, budget)
        restarted = decision.record_for(
            agent, AgentRestarted(operation.reason, budget), known.cause
        )
        for identifier, task in decision.state.tasks(agent).items():
            number = int(identifier.rpartition("#")[2])
            decision.record_for(agent, TaskRevived(number, task.attempt + 1), task.last, restarted)


def finish_agent(decision: Decision, operation: FinishAgent) -> None:
    """End an agent's life on its own account; failing takes everything below along."""
    agent = operation.agent
    decision.allow(f"agent:act:{agent}")
    require_size(operation.result, f"The result of agent {agent}", MAX_STEP_RESULT_BYTES)
    if operation.failure is None:
        _complete(decision, operation)
    else:
        known = decision.agent(agent, "fail")
        require_failure(operation.failure)
        reason = f"Agent {agent} failed: {operation.failure.message}"[:MAX_REASON_BYTES]
        spent = _end_below(decision, agent, reason)
        failed = AgentFailed(operation.failure, operation.result, spent)
        decision.record_for(agent, failed, known.cause)


def _complete(decision: Decision, operation: FinishAgent) -> None:
    agent = operation.agent
    known = decision.agent(agent, "complete")
    tasks = known.queued + known.running
    if tasks or known.children:
        raise refuse(
            "wrong_state",
            f"Agent {agent} cannot be completed: {tasks} of its tasks and {known.children} of its"
            " children have not ended.",
            details={"agent": agent, "tasks": tasks, "children": known.children},
        )
    completed = AgentCompleted(operation.result, known.account.spent)
    decision.record_for(agent, completed, known.cause)


def terminate_agent(decision: Decision, operation: TerminateAgent) -> None:
    """End an agent and all below it."""
    agent = operation.agent
    decision.allow(f"agent:control:{agent}")
    known = decision.agent(agent, "terminate")
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    spent = _end_below(decision, agent, operation.reason)
    decision.record_for(agent, AgentTerminated(operation.reason, agent, spent), known.cause)


def _end_below(decision: Decision, agent: AgentId, reason: str) -> Amounts:
    """Cancel the agent's tasks and end all below it, deepest first; return what all have spent."""
    family = decision.family(agent)
    tasks = _unfinished_tasks(family)
    spent = {path: triple(state.account.spent) for path, state in _living(family, agent)}
    for path, state in sorted(_living(family, agent), key=_deepest_first):
        for identifier, task in sorted(tasks.get(path, ()), key=_by_number):
            number = int(identifier.rpartition("#")[2])
            cancelled = TaskCancelled(number, reason, with_agent=True)
            decision.record_for(path, cancelled, task.last)
        if path != agent:
            total = spent.pop(path)
            parent = parent_of(path) or agent
            spent[parent] = add(spent[parent], total)
            ended = AgentTerminated(reason, agent, Amounts(*total))
            decision.record_for(path, ended, state.cause)
    return Amounts(*spent[agent])


def _living(family: Family, agent: AgentId) -> list[tuple[AgentId, AgentState]]:
    below = f"{agent}/"
    return [
        (path, state)
        for path, state in family.agents.items()
        if not state.ended and (path == agent or path.startswith(below))
    ]


def _deepest_first(pair: tuple[AgentId, AgentState]) -> tuple[int, str]:
    return -pair[0].count("/"), pair[0]


def _by_number(pair: tuple[TaskId, TaskState]) -> int:
    return int(pair[0].rpartition("#")[2])


def _unfinished_tasks(family: Family) -> dict[AgentId, list[tuple[TaskId, TaskState]]]:
    found: dict[AgentId, list[tuple[TaskId, TaskState]]] = {}
    for identifier, task in family.tasks.items():
        if task.phase in ("queued", "running"):
            found.setdefault(agent_of(identifier), []).append((identifier, task))
    return found
