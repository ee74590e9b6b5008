"""Handlers of approvals: list, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from toka.kernel import ApprovalResolved
from toka.orchestration_service._errors import KeyReused, NotFound
from toka.orchestration_service._render import render_approvals
from toka.orchestration_service._shapes import AnswerApproval, ApprovalAnswer, ApprovalList
from toka.runtime import Rejected
from toka.types import NULL, EntityId, Message, ResolveApproval

if TYPE_CHECKING:
    from toka.orchestration_service._call import Call


async def list_approvals(call: Call) -> ApprovalList:
    """Return the open questions that the caller may answer."""
    runs = await call.service.projection.current()
    asked = render_approvals(runs.by_id.values(), call.service.runtime.state)
    return ApprovalList(
        tuple(each for each in asked if call.covers(f"approval:resolve:{each.agent}"))
    )


async def answer_approval(call: Call) -> ApprovalAnswer:
    """Answer a question under the caller's token.

    Raises:
        NotFound: It is not open, or not for this token to answer.
        KeyReused: The Idempotency-Key was used for something else.
        Rejected: The kernel refuses: the asker itself answers, it is too late, or the answer does
            not satisfy the question's form.
    """
    answer, key = await call.body(AnswerApproval), call.idempotency_key()
    approval = EntityId(call.parameters["approval"])
    # What was answered under this key is not open any more, and is answered all the same.
    if not key:
        await _require_open(call, approval)
    said = NULL if answer.answer is UNSET else answer.answer
    operation = ResolveApproval(approval, answer.decision, answer.reason, said)
    try:
        receipt = await call.service.runtime.submit(
            Message(call.token, operation, key), at_door=True
        )
    except Rejected as rejected:
        # Whose approval it is must not be told to who may not answer it.
        if key and rejected.code == "kernel.capability_denied":
            raise _not_open(approval) from rejected
        raise
    body = receipt.events[-1].body
    if not isinstance(body, ApprovalResolved) or body.approval != approval:
        raise KeyReused("The Idempotency-Key was used before, for something else.")
    return ApprovalAnswer(approval, body.decision)


async def _require_open(call: Call, approval: EntityId) -> None:
    runs = await call.service.projection.current()
    for run in runs.by_id.values():
        view = run.approvals.get(approval)
        if view is not None and call.covers(f"approval:resolve:{view.agent}"):
            return
    raise _not_open(approval)


def _not_open(approval: EntityId) -> NotFound:
    return NotFound(
        f"There is no open approval {approval} that this token may answer.",
        hint="GET /v1/approvals lists those that it may.",
    )
