"""What an agent has: messages that wait, permissions and where they came from, budgets."""

import attrs
import msgspec

from toka.orchestration_service._shapes import Agent, Task, Time


@attrs.frozen
class Mail:
    """A message that waits to be read."""

    message: str
    sender: str
    sent: Time
    event: str
    body: msgspec.Raw | None
    """Null if it is longer than 65,536 bytes."""
    body_bytes: int


@attrs.frozen
class Mailbox:
    """Messages that wait, in the order in which they came."""

    agent: str
    waiting: int
    """All that wait, not only those of this page."""
    mail: tuple[Mail, ...]
    next: str | None


@attrs.frozen
class Origin:
    """One hand that a permission went through."""

    subject: str
    """Who had it."""
    permission: str
    """The one that covers what was handed on."""
    token: str
    event: str | None
    """The spawning that gave the subject what it had; null for whoever came from outside."""


@attrs.frozen
class Capability:
    """A permission of an agent."""

    permission: str
    untainted: bool
    """Good only while nothing from outside has influenced the agent."""
    origins: tuple[Origin, ...]
    """Who handed it on, the nearest first; the last one holds a token from outside."""


@attrs.frozen
class TokenLink:
    """One hop of a token that was narrowed."""

    token: str
    subject: str


@attrs.frozen
class Token:
    """What a token said when it was first used; never the token itself."""

    token: str
    subject: str
    vault: str
    permissions: tuple[str, ...]
    untainted: tuple[str, ...]
    issued: Time
    expires: Time
    chain: tuple[TokenLink, ...]
    """Who narrowed it for whom, the root first."""
    bound_to_key: bool


@attrs.frozen
class CapabilityList:
    """All that an agent may do, and who allowed it."""

    agent: str
    tainted: bool
    capabilities: tuple[Capability, ...]
    tokens: tuple[Token, ...]
    """Those that the origins name."""


@attrs.frozen
class Figure:
    """One resource of a budget. `limit` and `available` are null where there is no limit."""

    limit: int | None
    available: int | None
    """Negative where more was spent than there was."""
    reserved: int
    spent: int
    granted: int
    """Drawn by agents below."""


@attrs.frozen
class Budget:
    """What an agent may use up, and has."""

    money_micro_usd: Figure
    tokens: Figure
    calls: Figure


@attrs.frozen
class AgentDetail:
    """An agent with its tasks and what it may do."""

    agent: Agent
    permissions: tuple[str, ...]
    tasks: tuple[Task, ...]
    """The newest 500; `/v1/runs/RUN/tasks` has them all."""
    mail: int
    """Messages that wait to be read."""
    tainted: bool
    """Something from outside has influenced it."""
    budget: Budget | None
    """Null once its run has ended."""
