"""Facts about agents, in the agent's stream."""

from typing import ClassVar

import attrs
import msgspec

from toka.types import AgentId, Amounts, Budget, EventId, Failure


@attrs.frozen
class AgentSpawned:
    """An agent exists."""

    kind: ClassVar[str] = "agent.spawned.v1"
    name: str
    parent: AgentId | None
    permissions: tuple[str, ...]
    untainted: tuple[str, ...]
    budget: Budget
    spec: msgspec.Raw
    tainted: bool = False
    """Whoever spawned it had read from outside."""
    copies_from: AgentId | None = None
    """The root whose steps' outcomes the agent, a root itself, and all below it may take over."""


@attrs.frozen
class AgentSuspended:
    """The agent starts nothing any more."""

    kind: ClassVar[str] = "agent.suspended.v1"
    reason: str


@attrs.frozen
class AgentResumed:
    """The agent goes on."""

    kind: ClassVar[str] = "agent.resumed.v1"
    reason: str


@attrs.frozen
class AgentRestarted:
    """The agent lives again, with what was left of its budget."""

    kind: ClassVar[str] = "agent.restarted.v1"
    reason: str
    budget: Budget


@attrs.frozen
class AgentCompleted:
    """The agent has done what it was for. What is left of its budget is its parent's again."""

    kind: ClassVar[str] = "agent.completed.v1"
    result: msgspec.Raw
    spent: Amounts
    """By the agent and all below it."""


@attrs.frozen
class AgentFailed:
    """The agent could not do what it was for."""

    kind: ClassVar[str] = "agent.failed.v1"
    failure: Failure
    result: msgspec.Raw
    spent: Amounts


@attrs.frozen
class AgentTerminated:
    """The agent was ended from outside."""

    kind: ClassVar[str] = "agent.terminated.v1"
    reason: str
    origin: AgentId
    """The agent whose end this one is part of; itself where it was ended on its own account."""
    spent: Amounts


@attrs.frozen
class ObservationEmitted:
    """Something that the agent wants remembered."""

    kind: ClassVar[str] = "observation.emitted.v1"
    topic: str
    data: msgspec.Raw


@attrs.frozen
class MessageSent:
    """A message lies in the agent's mailbox."""

    kind: ClassVar[str] = "message.sent.v1"
    message: str
    sender: str
    body: msgspec.Raw


@attrs.frozen
class MessageConsumed:
    """A step has read a message, which is gone from the mailbox."""

    kind: ClassVar[str] = "message.consumed.v1"
    message: str
    task: int
    sent: EventId
