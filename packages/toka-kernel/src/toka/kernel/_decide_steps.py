"""Decisions about steps, the effects of a task: almost everything that a log records.

A step is begun once: by `StartStep`, or by the `FinishStep` that records start and outcome
together. Whether it is allowed is decided then, and not again when the outcome of a started step
comes: that effect has happened, whatever has become of the permissions, and must be recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.kernel._account import triple
from toka.kernel._agent_facts import MessageConsumed
from toka.kernel._approval_facts import ApprovalConsumed
from toka.kernel._decide_approvals import usable_approval
from toka.kernel._decision import task_number
from toka.kernel._ledger import check_affordable
from toka.kernel._limits import MAX_STEP_NAME_BYTES, MAX_STEP_PATH_BYTES
from toka.kernel._rejection import refuse
from toka.kernel._step_facts import (
    Intent,
    StepCompleted,
    StepFailed,
    StepRepeated,
    StepStarted,
    Terms,
    Toll,
)
from toka.types import (
    NOTHING,
    EventId,
    SideEffect,
    agent_of,
    digest,
)

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.kernel._rejection import Refusal
    from toka.kernel._state import AgentState, StartedStep, TaskState
    from toka.types import FinishStep, StartStep, StepIntent

DURABLE_START: Final[frozenset[SideEffect]] = frozenset({"external", "privileged"})
"""Effects whose start must be on record before they happen."""


def start_step(decision: Decision, operation: StartStep) -> None:
    """Record that an effect is about to happen, and set its estimate aside."""
    intent = operation.step
    agent = agent_of(intent.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(intent.task, intent.fence)
    known = decision.agent(agent, "start")
    number = task_number(intent.task)
    earlier = task.started.get(intent.path)
    if earlier is not None:
        _check_repetition(intent, earlier)
        repeated = StepRepeated(number, intent.fence, intent.path, intent.ordinal)
        decision.record_for(agent, repeated, earlier.event, task.cause)
        return
    causes = _begin(decision, intent, task, known)
    check_affordable(
        decision.family(agent).agents, agent, triple(intent.estimate), f"step {intent.name}"
    )
    consumed = _consume_approval(decision, intent, number)
    started = StepStarted(number, intent.fence, intent.path, intent.ordinal, _intent(intent))
    decision.record_for(agent, started, *causes, *consumed)


def finish_step(decision: Decision, operation: FinishStep) -> None:
    """Record the outcome of an effect, and its start if that is not on record."""
    intent = operation.step
    agent = agent_of(intent.task)
    decision.allow("agent:act:" + agent)
    task = decision.leased_task(intent.task, intent.fence)
    number = task_number(intent.task)
    earlier = task.started.get(intent.path)
    if earlier is None:
        known = decision.agent(agent, "work")
        _check_one_commit(operation, known)
        causes = _begin(decision, intent, task, known)
        if intent.approval is not None:
            causes += _consume_approval(decision, intent, number)
        recorded = _intent(intent)
    else:
        _check_same(intent, earlier)
        causes, recorded = (earlier.event,), None
    labels = operation.taint
    if intent.message is not None:
        consumed, label = _consume_message(decision, intent, number)
        causes += consumed
        labels += label
    _record_outcome(decision, operation, number, recorded, labels, causes)


def _record_outcome(
    decision: Decision,
    operation: FinishStep,
    number: int,
    intent: Intent | None,
    labels: tuple[str, ...],
    causes: tuple[EventId, ...],
) -> None:
    step = operation.step
    toll = None
    if labels or operation.attempts != 1 or operation.spent != NOTHING:
        toll = Toll(operation.spent, labels, operation.attempts)
    parts = (number, step.fence, step.path, step.ordinal, intent, operation.started)
    body: StepCompleted | StepFailed
    if operation.failure is None:
        body = StepCompleted(*parts, operation.result, toll)
    else:
        body = StepFailed(*parts, operation.result, toll, operation.failure)
    agent = agent_of(step.task)
    decision.record_for(agent, body, *causes)


def _intent(step: StepIntent) -> Intent:
    if step.requires or step.approval or step.message or step.estimate != NOTHING:
        terms = Terms(step.requires, step.approval, step.message, step.estimate)
    else:
        terms = None
    return Intent(step.name, step.effect, step.arguments, terms)


def _begin(
    decision: Decision, step: StepIntent, task: TaskState, agent: AgentState
) -> tuple[EventId, ...]:
    """Check everything that beginning a step takes; return the event that it follows."""
    if len(step.path) > MAX_STEP_PATH_BYTES or len(step.name) > MAX_STEP_NAME_BYTES:
        raise refuse(
            "limit_exceeded",
            f"A step's path has at most {MAX_STEP_PATH_BYTES} characters, its name"
            f" {MAX_STEP_NAME_BYTES}.",
        )
    path = task.paths.get(step.path)
    expected = 0 if path is None else path.next
    if step.ordinal != expected:
        raise _out_of_order(step, expected)
    approved = step.approval is not None
    if approved:
        usable_approval(decision, step)
    for request in step.requires:
        decision.allow_step(request, task, approved=approved)
    if step.message is not None and step.message not in agent.mailbox:
        raise _no_such_message(step)
    return (_enclosing_cause(task, step.path) if path is None else path.last,)


def _enclosing_cause(task: TaskState, path: str) -> EventId:
    """Return what the first step of a branch follows: the newest step of the nearest trunk."""
    trunk, slash, _ = path.rpartition("/")
    while slash:
        known = task.paths.get(trunk)
        if known is not None:
            return known.last
        trunk, slash, _ = trunk.rpartition("/")
    return task.cause


def _check_one_commit(operation: FinishStep, agent: AgentState) -> None:
    step = operation.step
    if step.effect in DURABLE_START:
        raise refuse(
            "step_not_started",
            f"Step {step.name} is {step.effect}: its start must be on record before its outcome.",
            details={"task": step.task, "path": step.path, "ordinal": step.ordinal},
        )
    # What had begun before the suspension may still be recorded, or it would be done twice.
    if agent.phase == "suspended" and operation.started >= agent.since:
        raise refuse(
            "wrong_state",
            f"Agent {agent_of(step.task)} was suspended before step {step.name} began.",
            details={"agent": agent_of(step.task), "state": "suspended"},
        )


def _out_of_order(step: StepIntent, expected: int) -> Refusal:
    done = "has been done" if step.ordinal < expected else "is not due"
    return refuse(
        "step_out_of_order",
        f"Step {step.name} is number {step.ordinal} on path {step.path} of task {step.task}, which"
        f" {done}; number {expected} is next.",
        details={
            "task": step.task,
            "path": step.path,
            "ordinal": step.ordinal,
            "expected": expected,
        },
    )


def _check_repetition(step: StepIntent, earlier: StartedStep) -> None:
    _check_same(step, earlier)
    if step.fence == earlier.fence:
        raise refuse(
            "wrong_state",
            f"Step {step.name} (path {step.path}, number {step.ordinal}) has been started under"
            " this lease already. Record its outcome.",
            details={"task": step.task, "path": step.path, "ordinal": step.ordinal},
        )


def _check_same(step: StepIntent, earlier: StartedStep) -> None:
    """Refuse unless the step is the one that was started, in all that was recorded of it."""
    now = (
        step.ordinal,
        step.name,
        step.effect,
        digest(bytes(step.arguments)),
        step.requires,
        step.approval,
        step.message,
        step.estimate,
    )
    then = (
        earlier.ordinal,
        earlier.name,
        earlier.effect,
        earlier.arguments,
        earlier.requires,
        earlier.approval,
        earlier.message,
        earlier.estimate,
    )
    if now != then:
        differing = [name for name, a, b in zip(_PARTS, now, then, strict=True) if a != b]
        raise refuse(
            "step_differs",
            f"On path {step.path} of task {step.task} step {earlier.name} (number"
            f" {earlier.ordinal}) was started, and step {step.name} (number {step.ordinal}) is"
            f" given; they differ in: {', '.join(differing)}.",
            details={
                "task": step.task,
                "path": step.path,
                "recorded": earlier.name,
                "given": step.name,
                "differing": differing,
            },
        )


_PARTS: Final = (
    "ordinal",
    "name",
    "effect",
    "arguments",
    "requires",
    "approval",
    "message",
    "estimate",
)


def _consume_approval(decision: Decision, step: StepIntent, number: int) -> tuple[EventId, ...]:
    if step.approval is None:
        return ()
    known = usable_approval(decision, step)
    consumed = ApprovalConsumed(step.approval, number)
    return (decision.record_for(agent_of(step.task), consumed, known.event),)


def _consume_message(
    decision: Decision, step: StepIntent, number: int
) -> tuple[tuple[EventId, ...], tuple[str, ...]]:
    """Take a message out of the mailbox; another's words mark the task that reads them."""
    agent = agent_of(step.task)
    message = step.message or ""
    mail = decision.agent(agent, "work").mailbox.get(message)
    if mail is None:
        raise _no_such_message(step)
    event = decision.record_for(agent, MessageConsumed(message, number, mail.event), mail.event)
    return (event,), (() if mail.sender == agent else (f"message:{mail.sender}",))


def _no_such_message(step: StepIntent) -> Refusal:
    return refuse(
        "unknown_message",
        f"Message {step.message} does not wait in the mailbox of {agent_of(step.task)}: it never"
        " came, or a step has read it.",
        details={"message": step.message, "task": step.task},
    )
