"""Asking a person, and waiting for the answer across crashes.

A request is found again after a crash by what it is bound to: the task, the name and the digest of
the arguments. So nobody is asked twice for one effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from toka.kernel import ApprovalRequested
from toka.runtime import Rejected
from toka.types import MAX_SHOWN_BYTES, NULL, ExpireApproval, RequestApproval, digest

if TYPE_CHECKING:
    import msgspec

    from toka.agent_runtime._session import Session
    from toka.kernel import ApprovalState, KernelState
    from toka.types import EntityId


Verdict: TypeAlias = Literal["approve", "deny"]


@attrs.frozen
class ApprovalPolicy:
    """How long people have to answer, and what counts if they do not."""

    timeout: int = 86_400_000_000_000
    """Nanoseconds."""
    on_expiry: Verdict = "deny"


MAX_NAME: Final = 64
MAX_QUESTION: Final = 1_000
"""Characters, of up to four bytes each."""

DEFAULT_POLICY: Final = ApprovalPolicy()


@attrs.frozen
class Answer:
    """What a person, or the passing of time, decided."""

    approval: EntityId
    approved: bool


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
    ) -> Answer:
        """Return the answer to a question, as soon as there is one.

        Args:
            name: Of the step that the answer is for.
            arguments: Of that step; the answer is good for no others.
            question: For a person to read.
            policy: The run's own if None.

        Raises:
            Rejected: The kernel does not take the request.

        """
        text = bytes(arguments)
        bound, shown = digest(text), arguments if len(text) <= MAX_SHOWN_BYTES else NULL
        # Names and questions are made of what others wrote; what is asked fits the kernel's limits.
        name, question = name[:MAX_NAME], question[:MAX_QUESTION]
        approval = self._asked(name, bound)
        if approval is None:
            request = self._draft(name, bound, question, policy or self.policy, shown)
            approval = await self._request(request)
        self._taken.add(approval)
        return Answer(approval, await self._wait(approval) == "approve")

    def _asked(self, name: str, arguments: bytes) -> EntityId | None:
        state = self.session.runtime.state
        task = state.task(self.session.task)
        for approval in () if task is None else task.approvals:
            known = state.approvals.get(approval)
            if known and approval not in self._taken and _is_for(known, name, arguments):
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


def _is_for(known: ApprovalState, name: str, arguments: bytes) -> bool:
    return known.name == name and known.arguments == arguments
