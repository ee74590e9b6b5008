"""Decisions about approvals: capabilities that are good for one effect, once.

An approval whose request has a form carries an answer besides the yes. It is held against the form
before it is recorded, so whoever asked gets what they asked for or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from toka.kernel._approval_facts import ApprovalExpired, ApprovalRequested, ApprovalResolved
from toka.kernel._decision import require_short, require_size, require_text, task_number
from toka.kernel._forms import faults_of_form, reasons_against
from toka.kernel._limits import (
    MAX_ANSWER_BYTES,
    MAX_FORM_BYTES,
    MAX_OPEN_APPROVALS,
    MAX_REASON_BYTES,
    MAX_STEP_NAME_BYTES,
)
from toka.kernel._rejection import refuse
from toka.types import DIGEST_SIZE, MAX_SHOWN_BYTES, NULL, agent_of, digest

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.kernel._rejection import Refusal
    from toka.kernel._state import ApprovalState
    from toka.types import (
        EntityId,
        ExpireApproval,
        RequestApproval,
        ResolveApproval,
        StepIntent,
    )


def request_approval(decision: Decision, operation: RequestApproval) -> None:
    """Ask a person for one effect of a running task."""
    agent = agent_of(operation.task)
    decision.allow(f"agent:act:{agent}")
    task = decision.leased_task(operation.task, operation.fence)
    decision.agent(agent, "start")
    require_text(operation.name, "The step's name", MAX_STEP_NAME_BYTES)
    require_text(operation.question, "The question", MAX_REASON_BYTES)
    _check_request(decision, operation, len(task.approvals))
    asked = ApprovalRequested(
        decision.ids.entity(),
        task_number(operation.task),
        operation.fence,
        operation.name,
        operation.arguments,
        operation.question,
        operation.expires,
        operation.on_expiry,
        operation.shown,
        UNSET if operation.form == NULL else operation.form,
    )
    decision.record_for(agent, asked, task.last)


def _check_request(decision: Decision, operation: RequestApproval, waiting: int) -> None:
    if len(operation.arguments) != DIGEST_SIZE:
        raise refuse(
            "malformed_request",
            f"An approval is bound to a digest of {DIGEST_SIZE} bytes, not of"
            f" {len(operation.arguments)}.",
        )
    _check_shown(operation)
    if operation.form != NULL:
        _check_form(operation)
    if operation.expires <= decision.now:
        raise refuse("approval_expired", "The approval would have expired before it is asked for.")
    if waiting >= MAX_OPEN_APPROVALS:
        raise refuse(
            "limit_exceeded",
            f"Task {operation.task} has {MAX_OPEN_APPROVALS} approvals open, the most that are"
            " kept.",
            details={"task": operation.task, "limit": MAX_OPEN_APPROVALS},
        )


def _check_shown(operation: RequestApproval) -> None:
    """Refuse to show a person anything but what the answer is bound to."""
    require_size(operation.shown, "What an approval shows", MAX_SHOWN_BYTES)
    shown = bytes(operation.shown)
    if shown != b"null" and digest(shown) != operation.arguments:
        raise refuse(
            "malformed_request",
            "What an approval shows is not what its digest of the arguments was made of.",
        )


def _check_form(operation: RequestApproval) -> None:
    require_size(operation.form, "The form of an answer", MAX_FORM_BYTES)
    fault = next(faults_of_form(operation.form), None)
    if fault is not None:
        raise refuse("malformed_request", f"The form of the answer is no good: {fault}.")
    if operation.on_expiry != "deny":
        raise refuse(
            "malformed_request",
            "A request with a form is denied on expiry: silence is no answer.",
        )


def resolve_approval(decision: Decision, operation: ResolveApproval) -> None:
    """Take the answer of somebody who is not the one that asks, nor below it."""
    known = _known(decision, operation.approval)
    agent = agent_of(known.task)
    subject = decision.claims.subject
    decision.allow(f"approval:resolve:{agent}")
    if subject in (agent, known.asked_by) or subject.startswith(f"{agent}/"):
        raise refuse(
            "approval_self",
            f"{subject} asked for approval {operation.approval} and cannot answer it.",
            details={"approval": operation.approval, "agent": agent},
        )
    _check_unanswered(operation.approval, known)
    require_short(operation.reason, "The reason", MAX_REASON_BYTES)
    if known.expires is not None and known.expires <= decision.now:
        raise _expired(operation.approval, known)
    _check_answer(operation, known)
    answered = ApprovalResolved(
        operation.approval,
        task_number(known.task),
        operation.decision,
        operation.reason,
        UNSET if operation.answer == NULL else operation.answer,
    )
    decision.record_for(agent, answered, known.event)


def _check_answer(operation: ResolveApproval, known: ApprovalState) -> None:
    if known.inquiry is UNSET or operation.decision == "deny":
        if operation.answer != NULL:
            raise refuse(
                "answer_invalid",
                f"Approval {operation.approval} takes no answer"
                f"{' with a no' if known.inquiry else ' but yes or no'}.",
                details={"approval": operation.approval},
            )
        return
    require_size(operation.answer, "An answer", MAX_ANSWER_BYTES)
    reasons = reasons_against(known.inquiry.form, operation.answer)
    if reasons:
        raise refuse(
            "answer_invalid",
            f"That is no answer to approval {operation.approval}: {'; '.join(reasons)}.",
            details={"approval": operation.approval, "reasons": list(reasons)},
        )


def expire_approval(decision: Decision, operation: ExpireApproval) -> None:
    """Apply the stated outcome to a request that nobody has answered in time."""
    known = _known(decision, operation.approval)
    agent = agent_of(known.task)
    decision.allow(f"agent:act:{agent}")
    _check_unanswered(operation.approval, known)
    if known.expires is not None and decision.now < known.expires:
        raise refuse(
            "approval_pending",
            f"Approval {operation.approval} can be answered until {known.expires} ns.",
            details={"approval": operation.approval, "expires": known.expires},
        )
    expired = ApprovalExpired(operation.approval, task_number(known.task), known.on_expiry)
    decision.record_for(agent, expired, known.event)


def usable_approval(decision: Decision, step: StepIntent, *, failed: bool = False) -> ApprovalState:
    """Return the approval that a step names, if it is good for exactly this effect now.

    A step that failed may use up what was denied: nothing was done.
    """
    identifier = step.approval
    known = None if identifier is None else decision.state.approvals.get(identifier)
    if identifier is None or known is None:
        raise _unknown(identifier or "")
    if (known.task, known.name, known.arguments) != (
        step.task,
        step.name,
        digest(bytes(step.arguments)),
    ):
        raise refuse(
            "approval_differs",
            f"Approval {identifier} is for another call: for step {known.name} of task"
            f" {known.task}, with the arguments it was asked for.",
            details={"approval": identifier, "task": known.task, "step": known.name},
        )
    if known.answer is None:
        raise refuse(
            "approval_pending",
            f"Nobody has answered approval {identifier}.",
            details={"approval": identifier, "expires": known.expires},
        )
    if known.answer == "deny":
        if failed:
            return known
        raise refuse(
            "approval_denied",
            f"Approval {identifier} was denied.",
            details={"approval": identifier},
        )
    if known.expires is not None and known.expires <= decision.now:
        raise _expired(identifier, known)
    return known


def _known(decision: Decision, approval: EntityId) -> ApprovalState:
    known = decision.state.approvals.get(approval)
    if known is None:
        raise _unknown(approval)
    return known


def _unknown(approval: str) -> Refusal:
    return refuse(
        "approval_unknown",
        f"Approval {approval[:60]} is not open: it was never asked for, it has been used, or its"
        " task has ended.",
        details={"approval": approval[:60]},
    )


def _check_unanswered(approval: EntityId, known: ApprovalState) -> None:
    if known.answer is not None:
        raise refuse(
            "approval_answered",
            f"Approval {approval} has been answered: {known.answer}.",
            details={"approval": approval, "answer": known.answer},
        )


def _expired(approval: EntityId, known: ApprovalState) -> Refusal:
    return refuse(
        "approval_expired",
        f"Approval {approval} expired at {known.expires} ns.",
        details={"approval": approval, "expires": known.expires},
    )
