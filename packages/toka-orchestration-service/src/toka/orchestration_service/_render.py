"""From the projection's views to the shapes that answers have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.kernel import encode_body
from toka.orchestration import RunDefinition
from toka.orchestration_service._shapes import (
    RESULT_BYTES,
    Agent,
    Approval,
    Attempt,
    Event,
    Retried,
    Run,
    RunDetail,
    Spent,
    Task,
    moment,
    moment_or_none,
)
from toka.types import NANOSECONDS, NULL, parent_of, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.kernel import KernelState
    from toka.orchestration import AgentView, ApprovalView, AttemptView, RunView, TaskView
    from toka.orchestration_service._shapes import RunStateName
    from toka.runtime import Logged
    from toka.types import Amounts

MAX_LISTED: Final = 500
"""Agents of a run, or tasks of an agent, that stand in its own description."""


def render_run(view: RunView, *, executing: bool) -> Run:
    """Return a run in short."""
    children = children_of(view)
    return Run(
        run=view.run,
        name=view.name,
        state=state_of(view, executing=executing),
        began=moment(view.began),
        ended=moment_or_none(view.root.ended),
        duration_seconds=_seconds(view.began, view.root.ended),
        reason=view.root.reason,
        agents=len(children),
        agents_ended=sum(agent.ended is not None for agent in children),
        steps=view.steps,
        copied=view.copied,
        spent=render_spent(view.spent),
        approvals=0 if view.ended else len(view.approvals),
    )


def render_run_detail(view: RunView, state: KernelState, *, executing: bool) -> RunDetail:
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
        retries=_render_retried(definition),
        agents=tuple(render_agent(agent) for agent in children_of(view)[:MAX_LISTED]),
        approvals=render_approvals([view], state),
    )


def _render_retried(definition: RunDefinition | None) -> Retried | None:
    retries = None if definition is None else definition.retries
    return None if retries is None else Retried(retries.run, retries.step)


def children_of(view: RunView) -> list[AgentView]:
    """Return a run's agents without its root, which only stands for the run."""
    return [agent for path, agent in view.agents.items() if path != view.run]


def state_of(view: RunView, *, executing: bool) -> RunStateName:
    match view.root.phase:
        case "completed" | "failed" as phase:
            return phase
        case "terminated":
            return "cancelled"
        case phase if executing:
            return "paused" if phase == "suspended" else "running"
        case _:
            return "interrupted"


def _seconds(began: int, ended: int | None) -> float | None:
    return None if ended is None else (ended - began) / NANOSECONDS


def render_agent(view: AgentView) -> Agent:
    """Return an agent in short."""
    return Agent(
        agent=view.agent,
        run=root_of(view.agent),
        parent=parent_of(view.agent),
        name=view.name,
        state=view.phase,
        started=moment_or_none(view.started),
        ended=moment_or_none(view.ended),
        reason=view.reason,
        restarts=len(view.restarts),
        tasks=len(view.tasks),
        tasks_ended=sum(task.ended is not None for task in view.tasks.values()),
        steps=view.steps,
        copied=view.copied,
        spent=render_spent(view.spent),
    )


def render_task(agent: str, view: TaskView) -> Task:
    """Return a task with its attempts."""
    size = len(bytes(view.result)) if view.phase == "completed" else None
    return Task(
        task=view.task,
        agent=agent,
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
        attempts=tuple(_render_attempt(attempt) for attempt in view.attempts),
    )


def _render_attempt(view: AttemptView) -> Attempt:
    return Attempt(
        view.number,
        view.state,
        moment(view.started),
        moment_or_none(view.ended),
        view.steps,
        view.reason,
    )


def render_approvals(runs: Iterable[RunView], state: KernelState) -> tuple[Approval, ...]:
    """Return the open questions of runs, in the order in which they were asked."""
    return tuple(
        _render_approval(run, asked, state)
        for run in runs
        if not run.ended
        for asked in run.approvals.values()
    )


def _render_approval(run: RunView, view: ApprovalView, state: KernelState) -> Approval:
    task = state.task(view.task)
    return Approval(
        approval=view.approval,
        run=run.run,
        run_name=run.name,
        agent=view.agent,
        task=view.task,
        name=view.name,
        question=view.question,
        asked=moment(view.asked),
        expires=moment(view.expires),
        on_expiry=view.on_expiry,
        data=None if view.shown == NULL else view.shown,
        form=None if view.form == NULL else view.form,
        taint=() if task is None else task.taint,
        event=view.event,
    )


def bounded(data: msgspec.Raw) -> msgspec.Raw | None:
    """Return data that are short enough to stand in an answer, or None."""
    return data if len(bytes(data)) <= RESULT_BYTES else None


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
