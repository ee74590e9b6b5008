"""Handlers of approvals: list, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.orchestration_service._errors import NotFound
from toka.orchestration_service._render import render_approvals
from toka.orchestration_service._shapes import AnswerApproval, ApprovalAnswer, ApprovalList
from toka.types import EntityId, Message, ResolveApproval

if TYPE_CHECKING:
    from toka.orchestration import ApprovalView
    from toka.orchestration_service._call import Call


async def list_approvals(call: Call) -> ApprovalList:
    """Return the open questions that the caller may answer."""
    runs = await call.service.projection.current()
    asked = render_approvals(runs.by_id.values())
    return ApprovalList(
        tuple(each for each in asked if call.covers(f"approval:resolve:{each.agent}"))
    )


async def answer_approval(call: Call) -> ApprovalAnswer:
    """Answer a question under the caller's token.

    Raises:
        NotFound: It is not open, or not for this token to answer.
        Rejected: The kernel refuses: the asker itself answers, or it is too late.
    """
    answer = await call.body(AnswerApproval)
    view = await _find(call)
    operation = ResolveApproval(view.approval, answer.decision, answer.reason)
    await call.service.runtime.submit(Message(call.token, operation), at_door=True)
    return ApprovalAnswer(view.approval, answer.decision)


async def _find(call: Call) -> ApprovalView:
    runs = await call.service.projection.current()
    approval = EntityId(call.parameters["approval"])
    for run in runs.by_id.values():
        view = run.approvals.get(approval)
        if view is not None and call.covers(f"approval:resolve:{view.agent}"):
            return view
    raise NotFound(
        f"There is no open approval {approval} that this token may answer.",
        hint="GET /v1/approvals lists those that it may.",
    )
