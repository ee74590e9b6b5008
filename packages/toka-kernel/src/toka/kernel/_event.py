"""Events: the only thing that changes a state, and the only thing that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from toka.kernel._facts import Body
    from toka.types import EntityId, EventId


class Ids(Protocol):
    """Where fresh identifiers come from; each call returns another one."""

    def event(self) -> EventId:
        """Return an identifier for an event."""
        ...

    def entity(self) -> EntityId:
        """Return an identifier for an agent, a message, an approval or a reservation."""
        ...


@attrs.frozen
class KernelEvent:
    """A fact, with who caused it and why."""

    id: EventId
    stream: str
    """The agent's path; `tokens`, `hosts` or `extensions/FAMILY` for what concerns no agent."""
    body: Body
    time: int
    """Nanoseconds since the Unix epoch, as the decision was told."""
    parents: tuple[EventId, ...]
    """The events that caused this one."""
    intent: str
    """What the event is for: the root of the agent's family."""
    actor: str
    """The subject of the token."""
    token: str
    """The token's identifier; its admission is an event of the stream `tokens`."""

    @property
    def kind(self) -> str:
        """The dotted name of the body's class, with its version."""
        return self.body.kind
