"""How the events of a stream are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.llm_gateway.formats._sse import SseParser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toka.llm_gateway.formats._sse import ServerSentEvent


class EventParser(Protocol):
    """Turns chunks of any size into events."""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `chunk` completes. Exhaust the iterator before the next chunk.

        Raises:
            ResponseInvalid: The chunk is not of this framing.
            ResponseTooLarge: An event exceeds the limit.

        """
        ...


@attrs.frozen
class Framing:
    """A media type, and what parses it."""

    content_type: str
    parser: Callable[[int], EventParser]
    """Returns a fresh parser, given the most bytes that an event may have."""


SSE: Final = Framing("text/event-stream", SseParser)
