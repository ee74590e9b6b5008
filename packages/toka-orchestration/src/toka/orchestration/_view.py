"""What a person wants to see of runs, folded from the log and nothing else.

The same views serve the tree in a terminal, the HTTP face and `status`: whoever has the events has
the picture. Folding is total: an event that says nothing about runs changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
import msgspec

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
    StepCopied,
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
from toka.types import (
    NOTHING,
    NULL,
    AgentId,
    Amounts,
    EntityId,
    EventId,
    TaskId,
    root_of,
    task_id,
)

if TYPE_CHECKING:
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
    event: EventId
    """That asked it."""
    asked: int
    on_expiry: Literal["approve", "deny"]
    """What counts if nobody answers."""
    shown: msgspec.Raw
    """What the step would be given; `null` where that is too long to be shown."""
    form: msgspec.Raw = NULL
    """JSON Schema of what is to be answered; `null` where yes or no is all."""


@attrs.define
class AttemptView:
    """One attempt at a task: from its first start to its end, however often it was taken up."""

    number: int
    started: int
    ended: int | None = None
    state: TaskPhaseView = "running"
    reason: str = ""
    steps: int = 0


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
    result: msgspec.Raw = NULL
    """`null` while it has none."""
    copied: int = 0
    """Of the steps, those whose outcomes were taken over from an earlier run."""
    attempts: list[AttemptView] = attrs.Factory(list[AttemptView])
    first: int = 0
    """Position of the event that started it first; 0 while it has not started."""
    last: int = 0
    """Position of its newest event since then."""


@attrs.define
class AgentView:
    """An agent as far as the log has it."""

    agent: AgentId
    name: str
    phase: AgentPhaseView = "configured"
    started: int | None = None
    ended: int | None = None
    reason: str = ""
    code: str = ""
    """Of its failure, if it failed."""
    rounds: int = 0
    """How often it was begun again after it had completed: each time it got its tasks anew."""
    restarts: list[int] = attrs.Factory(list[int])
    permissions: tuple[str, ...] = ()
    tasks: dict[int, TaskView] = attrs.Factory(dict[int, TaskView])
    result: msgspec.Raw = NULL
    steps: int = 0
    """Steps that the agent's tasks have done."""
    spent: Amounts = NOTHING
    """What the agent's tasks have used up."""
    copied: int = 0
    """Of the steps, those whose outcomes were taken over from an earlier run."""


@attrs.define
class RunView:
    """A run: its root agent and all below it, the root first."""

    run: AgentId
    spec: msgspec.Raw
    """What the run was defined by; `RunDefinition.decode` reads it."""
    began: int
    first: int
    """Position of the event that began it."""
    position: int
    """Of the newest event of the run."""
    agents: dict[AgentId, AgentView] = attrs.Factory(dict[AgentId, AgentView])
    approvals: dict[EntityId, ApprovalView] = attrs.Factory(dict[EntityId, ApprovalView])
    steps: int = 0
    """Steps that all agents have done."""
    spent: Amounts = NOTHING
    """What all agents have used up."""
    copied: int = 0
    """Of the steps, those whose outcomes were taken over from an earlier run."""

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


class Runs:
    """Every run of a log, newest last. Feed it the log from the start, in order.

    Attributes:
        by_id: The runs; whoever has no use for one any more may remove it.
        position: Of the last event that was fed.
        ignored: Runs whose events say nothing new.
    """

    def __init__(self) -> None:
        self.by_id: dict[EntityId, RunView] = {}
        self.position = 0
        self.ignored: frozenset[str] = frozenset()

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
        if not _apply_agent(view, event):
            _apply_task(run, view, event)
        return run

    def _spawned(
        self, agent: AgentId, event: KernelEvent, body: AgentSpawned, position: int
    ) -> RunView | None:
        if body.parent is None:
            if agent in self.ignored:
                return None
            run = RunView(agent, body.spec, event.time, position, position)
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
            view.reason, view.code = failure.message, failure.code
        case AgentTerminated(reason=reason):
            view.phase, view.ended, view.reason = "terminated", event.time, reason
        case AgentSuspended(reason=reason):
            view.phase, view.reason = "suspended", reason
        case AgentResumed():
            view.phase, view.reason = "running", ""
        case AgentRestarted(reason=reason):
            view.rounds += view.phase == "completed"
            view.phase, view.started, view.ended = "running", None, None
            view.reason, view.code, view.result = reason, "", NULL
            view.restarts.append(event.time)
        case _:
            return False
    return True


def _apply_task(run: RunView, view: AgentView, event: KernelEvent) -> None:
    body = event.body
    if isinstance(body, TaskScheduled):
        identifier = task_id(view.agent, body.task)
        view.tasks[body.task] = TaskView(identifier, body.spec.description, body.spec.priority)
        return
    number = getattr(body, "task", None)
    task = view.tasks.get(number) if isinstance(number, int) else None
    if task is None:
        return
    if task.first:
        task.last = run.position
    match body:
        case StepStarted() | StepCompleted() | StepCopied() | StepFailed():
            _apply_step(run, view, task, body)
        case ApprovalRequested() | ApprovalResolved() | ApprovalExpired():
            _apply_approval(run, view, task, event)
        case TaskStarted(attempt=attempt):
            task.phase, task.attempt = "running", attempt
            task.started = event.time if task.started is None else task.started
            task.first, task.last = task.first or run.position, run.position
            if not task.attempts or task.attempts[-1].number != attempt:
                task.attempts.append(AttemptView(attempt, event.time))
            view.phase = "running"
            view.started = event.time if view.started is None else view.started
        case _:
            _apply_rest(run, task, event)


def _apply_rest(run: RunView, task: TaskView, event: KernelEvent) -> None:
    """Take up what ends a task's attempt, or its being held."""
    match event.body:
        case TaskReleased(reason=reason):
            task.phase, task.reason = "queued", reason
            return
        case TaskRetried(failure=failure):
            task.phase, task.reason = "queued", failure.message
        case TaskRevived(attempt=attempt):
            task.phase, task.ended, task.attempt, task.reason = "queued", None, attempt, ""
        case TaskCompleted(result=result):
            task.phase, task.ended, task.reason, task.result = "completed", event.time, "", result
        case TaskFailed(failure=failure):
            task.phase, task.ended, task.reason = "failed", event.time, failure.message
        case TaskCancelled(reason=reason):
            task.phase, task.ended, task.reason = "cancelled", event.time, reason
        case _:
            return
    _end_attempt(task, event)
    for asked in _questions(run, task):
        del run.approvals[asked]


def _end_attempt(task: TaskView, event: KernelEvent) -> None:
    if not task.attempts or task.attempts[-1].ended is not None:
        return
    attempt = task.attempts[-1]
    match event.body:
        case TaskRevived():
            return
        case TaskRetried(failure=failure):
            attempt.state, attempt.reason = "failed", failure.message
        case _:
            attempt.state, attempt.reason = task.phase, task.reason
    attempt.ended = event.time


def _apply_step(
    run: RunView,
    view: AgentView,
    task: TaskView,
    body: StepStarted | StepCompleted | StepCopied | StepFailed,
) -> None:
    if isinstance(body, StepCopied):
        task.step = body.name
        run.copied += 1
        view.copied += 1
        task.copied += 1
    elif body.intent is not None:
        task.step = body.intent.name
    if not isinstance(body, StepStarted):
        run.steps += 1
        view.steps += 1
        task.steps += 1
        if task.attempts:
            task.attempts[-1].steps += 1
        if not isinstance(body, StepCopied) and body.toll is not None:
            run.spent += body.toll.spent
            view.spent += body.toll.spent
            task.spent += body.toll.spent


def _apply_approval(run: RunView, view: AgentView, task: TaskView, event: KernelEvent) -> None:
    match event.body:
        case ApprovalRequested() as body:
            run.approvals[body.approval] = ApprovalView(
                body.approval,
                view.agent,
                task.task,
                body.name,
                body.question,
                body.expires,
                event.id,
                event.time,
                body.on_expiry,
                body.shown,
                NULL if body.form is msgspec.UNSET else body.form,
            )
        case ApprovalResolved(approval=approval) | ApprovalExpired(approval=approval):
            run.approvals.pop(approval, None)
        case _:
            return
    if task.phase in ("running", "asking"):
        task.phase = "asking" if _questions(run, task) else "running"


def _questions(run: RunView, task: TaskView) -> list[EntityId]:
    return [each.approval for each in run.approvals.values() if each.task == task.task]
