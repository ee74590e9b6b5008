"""What a person wants to see of runs, folded from the log and nothing else.

The same views serve the tree in a terminal, the HTTP face and `status`: whoever has the events has
the picture. Folding is total: an event that says nothing about runs changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from toka.kernel import (
    AgentCompleted,
    AgentFailed,
    AgentRestarted,
    AgentResumed,
    AgentSpawned,
    AgentSuspended,
    AgentTerminated,
    ApprovalExpired,
    ApprovalRequested,
    ApprovalResolved,
    StepCompleted,
    StepFailed,
    StepStarted,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskReleased,
    TaskRetried,
    TaskRevived,
    TaskScheduled,
    TaskStarted,
)
from toka.types import NOTHING, AgentId, Amounts, EntityId, TaskId, root_of, task_id

if TYPE_CHECKING:
    import msgspec

    from toka.kernel import KernelEvent
    from toka.runtime import Logged

AgentPhaseView: TypeAlias = Literal[
    "configured", "running", "suspended", "completed", "failed", "terminated"
]
TaskPhaseView: TypeAlias = Literal[
    "queued", "running", "asking", "completed", "failed", "cancelled"
]


@attrs.define
class ApprovalView:
    """A question that waits for a person."""

    approval: EntityId
    agent: AgentId
    task: TaskId
    name: str
    question: str
    expires: int


@attrs.define
class TaskView:
    """A task as far as the log has it. Times are nanoseconds since the Unix epoch."""

    task: TaskId
    description: str
    priority: str
    phase: TaskPhaseView = "queued"
    attempt: int = 1
    started: int | None = None
    ended: int | None = None
    steps: int = 0
    step: str = ""
    """The step that happened last, or is happening."""
    spent: Amounts = NOTHING
    reason: str = ""
    result: msgspec.Raw | None = None


@attrs.define
class AgentView:
    """An agent as far as the log has it."""

    agent: AgentId
    name: str
    phase: AgentPhaseView = "configured"
    started: int | None = None
    ended: int | None = None
    reason: str = ""
    restarts: list[int] = attrs.Factory(list)
    permissions: tuple[str, ...] = ()
    tasks: dict[int, TaskView] = attrs.Factory(dict)
    result: msgspec.Raw | None = None

    @property
    def steps(self) -> int:
        """Steps that the agent's tasks have done."""
        return sum(task.steps for task in self.tasks.values())

    @property
    def spent(self) -> Amounts:
        """What the agent's tasks have used up."""
        return sum((task.spent for task in self.tasks.values()), NOTHING)


@attrs.define
class RunView:
    """A run: its root agent and all below it, the root first."""

    run: AgentId
    spec: msgspec.Raw
    """What the run was defined by; `RunDefinition.decode` reads it."""
    began: int
    position: int
    """Of the newest event of the run."""
    agents: dict[AgentId, AgentView] = attrs.Factory(dict)
    approvals: dict[EntityId, ApprovalView] = attrs.Factory(dict)

    @property
    def root(self) -> AgentView:
        """The run's own agent."""
        return self.agents[self.run]

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.root.name

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.root.ended is not None

    @property
    def steps(self) -> int:
        """Steps that all agents have done."""
        return sum(agent.steps for agent in self.agents.values())

    @property
    def spent(self) -> Amounts:
        """What all agents have used up."""
        return sum((agent.spent for agent in self.agents.values()), NOTHING)


class Runs:
    """Every run of a log, newest last. Feed it the log from the start, in order."""

    def __init__(self) -> None:
        self.by_id: dict[EntityId, RunView] = {}
        self.position = 0

    def apply(self, logged: Logged) -> RunView | None:
        """Take up an event; return the run that it changed, if any."""
        event, self.position = logged.event, logged.position
        if not event.intent:
            return None
        agent = AgentId(event.stream)
        if isinstance(event.body, AgentSpawned):
            return self._spawned(agent, event, event.body, logged.position)
        run = self.by_id.get(root_of(agent))
        view = run.agents.get(agent) if run else None
        if run is None or view is None:
            return None
        run.position = logged.position
        if not (_apply_agent(view, event) or _apply_task(view, event)):
            _apply_approval(run, view, event)
        return run

    def _spawned(
        self, agent: AgentId, event: KernelEvent, body: AgentSpawned, position: int
    ) -> RunView | None:
        if body.parent is None:
            run = RunView(agent, body.spec, event.time, position)
            self.by_id[root_of(agent)] = run
        else:
            found = self.by_id.get(root_of(agent))
            if found is None:
                return None
            run = found
        run.position = position
        run.agents[agent] = AgentView(agent, body.name, permissions=body.permissions)
        return run


def _apply_agent(view: AgentView, event: KernelEvent) -> bool:
    match event.body:
        case AgentCompleted(result=result):
            view.phase, view.ended, view.result = "completed", event.time, result
        case AgentFailed(failure=failure, result=result):
            view.phase, view.ended, view.result = "failed", event.time, result
            view.reason = failure.message
        case AgentTerminated(reason=reason):
            view.phase, view.ended, view.reason = "terminated", event.time, reason
        case AgentSuspended(reason=reason):
            view.phase, view.reason = "suspended", reason
        case AgentResumed():
            view.phase, view.reason = "running", ""
        case AgentRestarted(reason=reason):
            view.phase, view.ended, view.reason = "running", None, reason
            view.restarts.append(event.time)
        case _:
            return False
    return True


def _apply_task(view: AgentView, event: KernelEvent) -> bool:
    body = event.body
    if isinstance(body, TaskScheduled):
        identifier = task_id(view.agent, body.task)
        view.tasks[body.task] = TaskView(identifier, body.spec.description, body.spec.priority)
        return True
    if isinstance(body, StepStarted | StepCompleted | StepFailed):
        return _apply_step(view.tasks[body.task], body)
    match body:
        case TaskStarted(task=number, attempt=attempt):
            task = view.tasks[number]
            task.phase, task.attempt = "running", attempt
            task.started = task.started if task.started is not None else event.time
            view.phase = "running"
            view.started = view.started if view.started is not None else event.time
        case TaskReleased(task=number, reason=reason):
            view.tasks[number].phase, view.tasks[number].reason = "queued", reason
        case TaskRetried(task=number, failure=failure):
            view.tasks[number].phase, view.tasks[number].reason = "queued", failure.message
        case TaskRevived(task=number):
            view.tasks[number].phase, view.tasks[number].ended = "queued", None
        case TaskCompleted(task=number, result=result):
            _end(view.tasks[number], "completed", event.time, "")
            view.tasks[number].result = result
        case TaskFailed(task=number, failure=failure):
            _end(view.tasks[number], "failed", event.time, failure.message)
        case TaskCancelled(task=number, reason=reason):
            _end(view.tasks[number], "cancelled", event.time, reason)
        case _:
            return False
    return True


def _apply_step(task: TaskView, body: StepStarted | StepCompleted | StepFailed) -> bool:
    if body.intent is not None:
        task.step = body.intent.name
    if not isinstance(body, StepStarted):
        task.steps += 1
        if body.toll is not None:
            task.spent += body.toll.spent
    return True


def _end(task: TaskView, phase: TaskPhaseView, time: int, reason: str) -> None:
    task.phase, task.ended, task.reason = phase, time, reason


def _apply_approval(run: RunView, view: AgentView, event: KernelEvent) -> None:
    match event.body:
        case ApprovalRequested(task=number) as asked:
            task = view.tasks[number]
            task.phase = "asking"
            run.approvals[asked.approval] = ApprovalView(
                asked.approval, view.agent, task.task, asked.name, asked.question, asked.expires
            )
        case ApprovalResolved(approval=approval, task=number):
            run.approvals.pop(approval, None)
            view.tasks[number].phase = "running"
        case ApprovalExpired(approval=approval, task=number):
            run.approvals.pop(approval, None)
            view.tasks[number].phase = "running"
        case _:
            pass
