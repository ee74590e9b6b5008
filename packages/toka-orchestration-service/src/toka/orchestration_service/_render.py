"""From the projection's views to the shapes that answers have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from toka.kernel import encode_body
from toka.orchestration import RunDefinition
from toka.orchestration_service._shapes import (
    RESULT_BYTES,
    Agent,
    AgentDetail,
    Approval,
    Event,
    Run,
    RunDetail,
    Spent,
    Task,
    moment,
    moment_or_none,
)
from toka.types import NULL, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.orchestration import AgentView, ApprovalView, RunView, TaskView
    from toka.orchestration_service._shapes import RunStateName
    from toka.runtime import Logged
    from toka.types import Amounts


def render_run(view: RunView, *, executing: bool) -> Run:
    """Return a run in short."""
    children = children_of(view)
    return Run(
        run=view.run,
        name=view.name,
        state=_state_of(view, executing=executing),
        began=moment(view.began),
        ended=moment_or_none(view.root.ended),
        reason=view.root.reason,
        agents=len(children),
        agents_ended=sum(agent.ended is not None for agent in children),
        steps=view.steps,
        spent=render_spent(view.spent),
        approvals=0 if view.ended else len(view.approvals),
    )


def render_run_detail(view: RunView, *, executing: bool) -> RunDetail:
    """Return a run with its agents.

    Raises:
        OrchestrationError: It was begun by a version that defined runs differently.
    """
    definition = None if view.spec == NULL else RunDefinition.decode(view.spec)
    return RunDetail(
        run=render_run(view, executing=executing),
        source=definition.source if definition else "",
        artifacts=definition.artifacts if definition else "",
        inputs=definition.inputs if definition else msgspec.Raw(b"{}"),
        agents=tuple(render_agent(agent) for agent in children_of(view)),
        approvals=render_approvals([view]),
    )


def children_of(view: RunView) -> list[AgentView]:
    """Return a run's agents without its root, which only stands for the run."""
    return [agent for path, agent in view.agents.items() if path != view.run]


def _state_of(view: RunView, *, executing: bool) -> RunStateName:
    match view.root.phase:
        case "completed" | "failed" as phase:
            return phase
        case "terminated":
            return "cancelled"
        case _:
            return "running" if executing else "interrupted"


def render_agent(view: AgentView) -> Agent:
    """Return an agent in short."""
    return Agent(
        agent=view.agent,
        run=root_of(view.agent),
        name=view.name,
        state=view.phase,
        started=moment_or_none(view.started),
        ended=moment_or_none(view.ended),
        reason=view.reason,
        restarts=len(view.restarts),
        tasks=len(view.tasks),
        tasks_ended=sum(task.ended is not None for task in view.tasks.values()),
        steps=view.steps,
        spent=render_spent(view.spent),
    )


def render_agent_detail(view: AgentView) -> AgentDetail:
    """Return an agent with its tasks."""
    tasks = tuple(_render_task(task) for task in view.tasks.values())
    return AgentDetail(render_agent(view), view.permissions, tasks)


def _render_task(view: TaskView) -> Task:
    size = None if view.result is None else len(bytes(view.result))
    return Task(
        task=view.task,
        description=view.description,
        priority=view.priority,
        state=view.phase,
        attempt=view.attempt,
        started=moment_or_none(view.started),
        ended=moment_or_none(view.ended),
        steps=view.steps,
        step=view.step,
        spent=render_spent(view.spent),
        reason=view.reason,
        result=view.result if size is not None and size <= RESULT_BYTES else None,
        result_bytes=size,
    )


def render_approvals(runs: Iterable[RunView]) -> tuple[Approval, ...]:
    """Return the open questions of runs, in the order in which they were asked."""
    return tuple(
        _render_approval(asked) for run in runs if not run.ended for asked in run.approvals.values()
    )


def _render_approval(view: ApprovalView) -> Approval:
    return Approval(
        approval=view.approval,
        agent=view.agent,
        task=view.task,
        name=view.name,
        question=view.question,
        expires=moment(view.expires),
    )


def render_spent(amounts: Amounts) -> Spent:
    """Return what was used up."""
    return Spent(amounts.money, amounts.tokens, amounts.calls)


def render_event(logged: Logged) -> Event:
    """Return an event with everything that the log has of it."""
    event = logged.event
    return Event(
        position=logged.position,
        id=event.id,
        kind=event.kind,
        stream=event.stream,
        time=moment(event.time),
        actor=event.actor,
        token=event.token,
        intent=event.intent,
        parents=event.parents,
        body=msgspec.Raw(encode_body(event.body)),
    )
