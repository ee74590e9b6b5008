"""Decisions about steps, the effects of a task: almost everything that a log records.

A step is begun once: by `StartStep`, or by the `FinishStep` that records start and outcome
together. Whether it is allowed is decided then, and not again when the outcome of a started step
comes: that effect has happened, whatever has become of the permissions, and must be recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from toka.kernel._account import triple
from toka.kernel._agent_facts import MessageConsumed
from toka.kernel._approval_facts import ApprovalConsumed
from toka.kernel._decide_approvals import usable_approval
from toka.kernel._decision import (
    agent_in,
    check_fence,
    require_amounts,
    require_failure,
    require_size,
    task_in,
    task_number,
)
from toka.kernel._limits import (
    MAX_STEP_NAME_BYTES,
    MAX_STEP_PATH_BYTES,
    MAX_TAINT_LABEL_BYTES,
    MAX_TAINT_LABELS,
)
from toka.kernel._rejection import refuse
from toka.kernel._state import is_agent
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
    MAX_PERMISSIONS,
    MAX_STEP_RESULT_BYTES,
    NOTHING,
    EventId,
    SideEffect,
    agent_of,
    digest,
)

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.kernel._rejection import Refusal
    from toka.kernel._state import AgentState, Family, StartedStep, TaskState
    from toka.types import AgentId, CopyStep, EntityId, FinishStep, StartStep, StepIntent

DURABLE_START: Final[frozenset[SideEffect]] = frozenset({"external", "privileged"})
"""Effects whose start must be on record before they happen."""


def start_step(decision: Decision, operation: StartStep) -> None:
    """Record that an effect is about to happen, and set its estimate aside."""
    intent = operation.step
    agent, family, task = task_of_step(decision, intent)
    known = agent_in(family, agent, "start")
    number = task_number(intent.task)
    earlier = task.started.get(intent.path)
    if earlier is not None:
        _check_repetition(intent, earlier)
        repeated = StepRepeated(number, intent.fence, intent.path, intent.ordinal)
        decision.record_for(agent, repeated, earlier.event, task.cause)
        return
    causes = _begin(decision, intent, task, known)
    if intent.approval is not None:
        _check_no_answer(decision, intent, intent.approval)
    purpose = f"step {intent.name}"
    decision.check_affordable(family.agents, agent, triple(intent.estimate), purpose)
    causes += _consume_approval(decision, intent, number)[0]
    started = StepStarted(number, intent.fence, intent.path, intent.ordinal, _intent(intent))
    decision.record_for(agent, started, *causes)


def finish_step(decision: Decision, operation: FinishStep) -> None:
    """Record the outcome of an effect, and its start if that is not on record."""
    intent = operation.step
    agent, family, task = task_of_step(decision, intent)
    known = agent_in(family, agent, "work")
    _check_outcome(operation)
    number = task_number(intent.task)
    labels = operation.taint
    earlier = task.started.get(intent.path)
    if earlier is None:
        _check_one_commit(operation, known)
        failed = operation.failure is not None
        causes = _begin(decision, intent, task, known, failed=failed)
        consumed, label = _consume_approval(decision, intent, number, failed=failed)
        causes += consumed
        labels += label
        recorded = _intent(intent)
    else:
        _check_same(intent, earlier)
        causes, recorded = (earlier.event,), None
    if intent.message is not None:
        consumed, label = _consume_message(decision, intent, known, number)
        causes += consumed
        labels += label
    body = _outcome(operation, number, recorded, labels)
    decision.record_for(agent, body, *causes)


def task_of_step(
    decision: Decision, step: StepIntent | CopyStep
) -> tuple[AgentId, Family, TaskState]:
    """Return the running task of a step, with its agent's path and family, or refuse."""
    agent = agent_of(step.task)
    decision.allow("agent:act:" + agent)
    family = decision.family(agent)
    task = task_in(family, agent, step.task, "act")
    check_fence(task, step.task, step.fence, decision.state.host.epoch)
    return agent, family, task


def _outcome(
    operation: FinishStep, number: int, intent: Intent | None, labels: tuple[str, ...]
) -> StepCompleted | StepFailed:
    step, spent = operation.step, operation.spent
    toll = None
    if labels or operation.attempts != 1 or not (spent is NOTHING or spent == NOTHING):
        toll = Toll(spent, labels, operation.attempts)
    if operation.failure is None:
        return StepCompleted(
            number,
            step.fence,
            step.path,
            step.ordinal,
            intent,
            operation.started,
            operation.result,
            toll,
        )
    return StepFailed(
        number,
        step.fence,
        step.path,
        step.ordinal,
        intent,
        operation.started,
        operation.result,
        toll,
        operation.failure,
    )


def _intent(step: StepIntent) -> Intent:
    aside = step.estimate
    if step.requires or step.approval or step.message or not (aside is NOTHING or aside == NOTHING):
        terms = Terms(step.requires, step.approval, step.message, aside)
    else:
        terms = None
    return Intent(step.name, step.effect, step.arguments, terms)


def _begin(
    decision: Decision,
    step: StepIntent,
    task: TaskState,
    agent: AgentState,
    *,
    failed: bool = False,
) -> tuple[EventId, ...]:
    """Check everything that beginning a step takes; return the event that it follows."""
    _check_sizes(step)
    path = task.paths.get(step.path)
    expected = 0 if path is None else path.next
    if step.ordinal != expected:
        raise out_of_order(step, expected)
    approved = False
    if step.approval is not None:
        approved = usable_approval(decision, step, failed=failed).answer == "approve"
    for request in step.requires:
        decision.allow_step(request, task, approved=approved)
    if step.message is not None and step.message not in agent.mailbox:
        raise _no_such_message(step)
    return (enclosing_cause(task, step.path) if path is None else path.last,)


def _check_sizes(step: StepIntent) -> None:
    if len(step.path) > MAX_STEP_PATH_BYTES or len(step.name) > MAX_STEP_NAME_BYTES:
        raise refuse(
            "limit_exceeded",
            f"A step's path has at most {MAX_STEP_PATH_BYTES} characters, its name"
            f" {MAX_STEP_NAME_BYTES}.",
        )
    if len(step.requires) > MAX_PERMISSIONS:
        raise refuse(
            "limit_exceeded",
            f"Step {step.name} requires more than {MAX_PERMISSIONS} permissions.",
        )
    require_size(step.arguments, f"What step {step.name} is given", MAX_STEP_RESULT_BYTES)
    if step.estimate is not NOTHING:
        require_amounts(step.estimate)


def _check_outcome(operation: FinishStep) -> None:
    if operation.failure is not None:
        require_failure(operation.failure)
    if operation.spent is not NOTHING:
        require_amounts(operation.spent)
    check_labels(operation.taint)


def check_labels(labels: tuple[str, ...]) -> None:
    """Refuse more, or longer, labels than are kept."""
    if len(labels) > MAX_TAINT_LABELS or any(len(it) > MAX_TAINT_LABEL_BYTES for it in labels):
        raise refuse(
            "limit_exceeded",
            f"An outcome has at most {MAX_TAINT_LABELS} labels of {MAX_TAINT_LABEL_BYTES}"
            " characters for where it came from.",
        )


def enclosing_cause(task: TaskState, path: str) -> EventId:
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


def out_of_order(step: StepIntent | CopyStep, expected: int) -> Refusal:
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


def _check_no_answer(decision: Decision, step: StepIntent, approval: EntityId) -> None:
    known = decision.state.approvals.get(approval)
    if known is not None and known.inquiry is not UNSET:
        raise refuse(
            "approval_differs",
            f"Approval {approval} has an answer, which is taken with the outcome of step"
            f" {step.name} and not with its start.",
            details={"approval": approval, "task": step.task, "step": step.name},
        )


def _consume_approval(
    decision: Decision, step: StepIntent, number: int, *, failed: bool = False
) -> tuple[tuple[EventId, ...], tuple[str, ...]]:
    """Use an approval up; what another agent has answered marks the task that is told it."""
    if step.approval is None:
        return (), ()
    known = usable_approval(decision, step, failed=failed)
    consumed = ApprovalConsumed(step.approval, number)
    event = decision.record_for(agent_of(step.task), consumed, known.event)
    inquiry = known.inquiry
    if inquiry is UNSET or not is_agent(inquiry.by):
        return (event,), ()
    return (event,), (f"answer:{inquiry.by}",)


def _consume_message(
    decision: Decision, step: StepIntent, known: AgentState, number: int
) -> tuple[tuple[EventId, ...], tuple[str, ...]]:
    """Take a message out of the mailbox; another's words mark the task that reads them."""
    agent = agent_of(step.task)
    message = step.message or ""
    mail = known.mailbox.get(message)
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
