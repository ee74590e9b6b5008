"""A kernel that asks a policy besides: what it says no to is refused, and nothing is decided.

The kernel is asked first, so a policy only ever narrows what tokens allow. It belongs to the
decision and not to the log: replaying needs no policy, because a refusal leaves no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from toka.kernel import Kernel, Rejection
from toka.types import OpenHost

if TYPE_CHECKING:
    from collections.abc import Collection

    from toka.capability.core import Claims
    from toka.kernel import ExtensionRegistry, Ids, KernelEvent, KernelState
    from toka.types import AnyOperation, JsonObject


class PolicyVerdict(Protocol):
    """What a policy says."""

    @property
    def allowed(self) -> bool:
        """Whether the operation may be done."""
        ...

    @property
    def reason(self) -> str:
        """Why not, for a person."""
        ...

    @property
    def code(self) -> str:
        """Why not, for programs."""
        ...


class Policy(Protocol):
    """Says whether operations may be done: `toka.cvm.GuestPolicy`, or anything of its shape."""

    def judge(self, question: JsonObject, /) -> PolicyVerdict:
        """Judge one operation. It runs on the event loop, so it must not wait.

        Args:
            question: `operation` (the name of its class), `fields`, `subject`, `vault`,
                `permissions` and `now`.
        """
        ...


class PolicedKernel(Kernel):
    """The kernel's rules and a policy's.

    Args:
        policy: Asked about each operation that the kernel allows.
        extensions: The kernel's extension families.
        about: The classes of operations that it is asked about; by default all but `OpenHost`,
            without which nothing is.
    """

    def __init__(
        self,
        policy: Policy,
        extensions: ExtensionRegistry | None = None,
        *,
        about: Collection[type] | None = None,
    ) -> None:
        super().__init__(extensions)
        self._policy, self._about = policy, about

    def decide(
        self, state: KernelState, operation: AnyOperation, claims: Claims, now: int, ids: Ids
    ) -> tuple[KernelEvent, ...] | Rejection:
        """Return the events that `operation` causes, or why the kernel or the policy refuses it."""
        decision = super().decide(state, operation, claims, now, ids)
        if isinstance(decision, Rejection):
            return decision
        return self._refusal(operation, claims, now) or decision

    def authorize(
        self, state: KernelState, operation: AnyOperation, claims: Claims, now: int
    ) -> Rejection | None:
        """Return why `decide` would refuse now, or None; nothing is decided."""
        rejection = super().authorize(state, operation, claims, now)
        return rejection or self._refusal(operation, claims, now)

    def _refusal(self, operation: AnyOperation, claims: Claims, now: int) -> Rejection | None:
        kind = type(operation)
        if kind is OpenHost if self._about is None else kind not in self._about:
            return None
        verdict = self._policy.judge(_question(operation, claims, now))
        if verdict.allowed:
            return None
        return Rejection(
            "runtime.policy_refused",
            f"The policy refuses this {kind.__name__}: {verdict.reason}",
            details={"operation": kind.__name__, "code": verdict.code},
        )


def _question(operation: AnyOperation, claims: Claims, now: int) -> JsonObject:
    fields = cast("JsonObject", msgspec.json.decode(msgspec.json.encode(operation)))
    return {
        "operation": type(operation).__name__,
        "fields": fields,
        "subject": claims.subject,
        "vault": claims.vault,
        "permissions": claims.permissions,
        "now": now,
    }
