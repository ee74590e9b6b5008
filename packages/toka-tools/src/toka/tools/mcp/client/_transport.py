"""What carries messages to a server and back. A session is built on one, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools.mcp._messages import Message, RequestId

OnMessage: TypeAlias = "Callable[[Message], None]"
"""Takes what is not the answer to a request: notifications, and what the server asks."""


@attrs.frozen
class Outgoing:
    """A request, encoded, with what HTTP says of it in headers too."""

    id: RequestId
    body: bytes = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    stateless: bool = False
    """Whether the era is one without notifications over HTTP: to hang up is to cancel."""


class Transport(Protocol):
    """A connection to one server. Messages may be under way in any number at once."""

    @property
    def alive(self) -> bool:
        """Whether it is worth trying a request."""
        ...

    async def request(self, outgoing: Outgoing) -> Message:
        """Send a request and return its answer: the one with its id, and no other.

        To be cancelled is to give the request up; the server is told, if it can be.

        Raises:
            ConnectionLostError: The answer will never come.
            ProtocolError: What came is none, or is longer than it may be.
        """
        ...

    async def send(self, body: bytes) -> None:
        """Send a notification, or the answer to something that the server asked.

        Raises:
            ConnectionLostError: It cannot be sent.
        """
        ...

    async def listen(self) -> None:
        """Take what the server says unasked, where that wants a connection of its own."""
        ...

    def set_revision(self, revision: str) -> None:
        """Take note of what the two ends agreed on."""
        ...

    async def close(self) -> None:
        """End it, and all that it started."""
        ...
