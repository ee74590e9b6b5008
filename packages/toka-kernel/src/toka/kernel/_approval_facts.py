"""Facts about approvals, in the stream of the agent that asks.

What is unset is left out of the encoding, so that facts without a form or an answer have the bytes
that they had before there were any.
"""

from typing import ClassVar, Literal

import attrs
import msgspec

from toka.types import NULL, EntityId


@attrs.frozen
class ApprovalRequested:
    """A task waits for a person's answer to one effect."""

    kind: ClassVar[str] = "approval.requested.v1"
    approval: EntityId
    task: int
    fence: int
    name: str
    arguments: bytes
    """BLAKE3 digest of the step's arguments."""
    question: str
    expires: int
    on_expiry: Literal["approve", "deny"]
    shown: msgspec.Raw = NULL
    """The step's arguments, for whoever answers; `null` where nobody gave them."""
    form: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """JSON Schema of what is to be answered besides yes."""


@attrs.frozen
class ApprovalResolved:
    """Somebody has answered."""

    kind: ClassVar[str] = "approval.resolved.v1"
    approval: EntityId
    task: int
    decision: Literal["approve", "deny"]
    reason: str
    answer: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """What the form asked for."""


@attrs.frozen
class ApprovalExpired:
    """Nobody has answered in time, and the stated outcome applies."""

    kind: ClassVar[str] = "approval.expired.v1"
    approval: EntityId
    task: int
    decision: Literal["approve", "deny"]


@attrs.frozen
class ApprovalConsumed:
    """The effect that was approved begins; the approval is used up."""

    kind: ClassVar[str] = "approval.consumed.v1"
    approval: EntityId
    task: int
