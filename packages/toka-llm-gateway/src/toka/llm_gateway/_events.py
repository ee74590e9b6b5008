"""The events of a streamed answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from toka.llm_gateway._response import ModelResponse

if TYPE_CHECKING:
    from toka.llm_gateway._messages import Part


@attrs.frozen
class TextDelta:
    """More of the answer's text."""

    text: str


@attrs.frozen
class ReasoningDelta:
    """More of what the model discloses of its reasoning. For showing, not for replaying."""

    text: str


@attrs.frozen
class ToolUseStart:
    """The model begins to ask for a tool."""

    id: str
    name: str


@attrs.frozen
class ArgumentsDelta:
    """More of a tool use's arguments: a fragment of JSON text, complete only at the end."""

    id: str
    fragment: str


@attrs.frozen
class PartEnd:
    """A part is whole, with what only its end brings: a seal, citations.

    Formats that do not say when a part ends do without; the response at the end has all parts.
    """

    part: Part


@attrs.frozen
class StreamRestart:
    """What was yielded so far is void: another model answers, from the start.

    Only a `FallbackModel` yields it, and only with `rescue="restart"`.
    """

    provider: str
    model: str


StreamEvent: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolUseStart
    | ArgumentsDelta
    | PartEnd
    | StreamRestart
    | ModelResponse
)
"""What `Model.stream` yields; the last event, and only the last, is a `ModelResponse`."""
