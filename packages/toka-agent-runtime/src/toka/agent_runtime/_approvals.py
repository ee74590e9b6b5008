"""Asking a person, and waiting for the answer across crashes.

A request is found again after a crash by what it is bound to: the task, the name and the digest of
the arguments. So nobody is asked twice for one effect.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs
from msgspec import UNSET

from toka.kernel import ApprovalRequested
from toka.runtime import Rejected
from toka.types import MAX_SHOWN_BYTES, NULL, ExpireApproval, RequestApproval, digest

if TYPE_CHECKING:
    import msgspec

    from toka.agent_runtime._session import Session
    from toka.kernel import ApprovalState, Inquiry, KernelState
    from toka.types import EntityId


Verdict: TypeAlias = Literal["approve", "deny"]


@attrs.frozen
class ApprovalPolicy:
    """How long people have to answer, and what counts if they do not."""

    timeout: int = 86_400_000_000_000
    """Nanoseconds."""
    on_expiry: Verdict = "deny"


MAX_NAME: Final = 64
MAX_QUESTION_BYTES: Final = 4_096

DEFAULT_POLICY: Final = ApprovalPolicy()


@attrs.frozen
class Answer:
    """What a person, or the passing of time, decided."""

    approval: EntityId
    approved: bool
    inquiry: Inquiry | None = None
    """What was answered besides yes or no, where that was asked."""


@attrs.define(eq=False)
class Approvals:
    """The approvals that one run asks for."""

    session: Session
    policy: ApprovalPolicy
    _taken: set[EntityId] = attrs.Factory(set["EntityId"])

    async def ask(
        self,
        name: str,
        arguments: msgspec.Raw,
        question: str,
        policy: ApprovalPolicy | None = None,
        form: msgspec.Raw = NULL,
    ) -> Answer:
        """Return the answer to a question, as soon as there is one.

        Args:
            name: Of the step that the answer is for.
            arguments: Of that step; the answer is good for no others.
            question: For a person to read.
            policy: The run's own if None.
            form: JSON Schema of what is to be answered; `null` where yes or no is all.

        Raises:
            Rejected: The kernel does not take the request.

        """
        text = bytes(arguments)
        bound, shown = digest(text), arguments if len(text) <= MAX_SHOWN_BYTES else NULL
        name, question = name[:MAX_NAME], _fitting(question)
        approval = self._asked(name, bound, form)
        if approval is None:
            request = self._draft(name, bound, question, policy or self.policy, shown)
            approval = await self._request(attrs.evolve(request, form=form))
        self._taken.add(approval)
        approved = await self._wait(approval) == "approve"
        known = self.session.runtime.state.approvals.get(approval)
        inquiry = None if known is None or known.inquiry is UNSET else known.inquiry
        return Answer(approval, approved, inquiry)

    def _asked(self, name: str, arguments: bytes, form: msgspec.Raw) -> EntityId | None:
        state = self.session.runtime.state
        task = state.task(self.session.task)
        for approval in () if task is None else task.approvals:
            known = state.approvals.get(approval)
            if known and approval not in self._taken and _is_for(known, name, arguments, form):
                return approval
        return None

    def _draft(
        self,
        name: str,
        arguments: bytes,
        question: str,
        policy: ApprovalPolicy,
        shown: msgspec.Raw,
    ) -> RequestApproval:
        session = self.session
        expires = session.clock.now() + policy.timeout
        return RequestApproval(
            session.task,
            session.fence,
            name,
            arguments,
            question,
            expires,
            policy.on_expiry,
            shown,
        )

    async def _request(self, request: RequestApproval) -> EntityId:
        receipt = await self.session.submit(request)
        for event in receipt.events:
            if isinstance(event.body, ApprovalRequested):
                return event.body.approval
        raise AssertionError("A request for an approval is always on record.")

    async def _wait(self, approval: EntityId) -> Verdict | None:
        def answer(state: KernelState) -> Verdict | None:
            known = state.approvals.get(approval)
            return None if known is None else known.answer

        known = self.session.runtime.state.approvals.get(approval)
        found: Verdict | None = await self.session.until(
            answer, None if known is None else known.expires
        )
        if found is not None:
            return found
        try:
            await self.session.submit(ExpireApproval(approval))
        except Rejected as rejected:
            # Somebody answered in the last moment.
            if rejected.code != "kernel.approval_answered":
                raise
        return answer(self.session.runtime.state)


def _is_for(known: ApprovalState, name: str, arguments: bytes, form: msgspec.Raw) -> bool:
    asked = NULL if known.inquiry is UNSET else known.inquiry.form
    return (known.name, known.arguments, asked) == (name, arguments, form)


def _fitting(question: str) -> str:
    """Return a question as the kernel takes it: it may be made of what anybody wrote."""
    text = unicodedata.normalize("NFC", question.encode(errors="backslashreplace").decode())
    return text.encode()[:MAX_QUESTION_BYTES].decode(errors="ignore")
