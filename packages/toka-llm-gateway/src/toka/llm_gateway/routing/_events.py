"""Streams of models that stand before other models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    TextDelta,
    ToolUseStart,
)
from toka.llm_gateway._messages import Reasoning, Text, ToolUse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._response import ModelResponse


async def closable(events: AsyncIterator[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
    """Yield events from a stream that is closed with this one.

    A `Model` promises an iterator only; as a generator it can be closed whatever it is.
    """
    try:
        async for event in events:
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def events_of(response: ModelResponse) -> Iterator[StreamEvent]:
    """Yield the events of a stream that gives an answer which is here already."""
    for part in response.message.parts:
        match part:
            case Text(text):
                yield TextDelta(text)
            case Reasoning(text) if text:
                yield ReasoningDelta(text)
            case ToolUse(identifier, name, arguments):
                yield ToolUseStart(identifier, name)
                yield ArgumentsDelta(identifier, msgspec.json.encode(arguments).decode())
            case _:
                pass
        yield PartEnd(part)
    yield response
