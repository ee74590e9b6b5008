"""What a model reads and writes: messages made of parts.

One neutral shape for all providers. What a provider signs or encrypts (reasoning) is kept exactly
as it came and is replayed in its place, because providers refuse a conversation in which it was
changed, moved or dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.types import JsonObject

Role: TypeAlias = Literal["user", "assistant"]
"""Who speaks. A system prompt is no message: it belongs to the request."""


@attrs.frozen
class Text:
    """Plain text."""

    text: str


@attrs.frozen
class ToolUse:
    """The model asks for a tool to be called."""

    id: str
    """The provider's identifier of this use; the output answers to it."""
    name: str
    arguments: JsonObject
    """What the model wrote, parsed; not yet checked against the tool's schema."""


@attrs.frozen
class ToolOutput:
    """What a tool returned, sent back to the model in a user message."""

    tool_use_id: str
    content: str
    is_error: bool = False


@attrs.frozen
class Reasoning:
    """What the model thought, as the provider discloses it.

    Keep it untouched and in place when the conversation goes on.
    """

    text: str
    signature: str = ""
    """The provider's seal over the text, or empty where it gives none."""
    redacted: bool = False
    """True where the provider disclosed nothing: `signature` then holds its opaque bytes."""


Part: TypeAlias = Text | ToolUse | ToolOutput | Reasoning
"""One piece of a message."""


@attrs.frozen
class ModelMessage:
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def user(cls, text: str) -> ModelMessage:
        """Return a user's message of plain text."""
        return cls("user", (Text(text),))

    @classmethod
    def outputs(cls, *outputs: ToolOutput) -> ModelMessage:
        """Return the user's message that answers the tool uses of the turn before."""
        return cls("user", outputs)

    @property
    def text(self) -> str:
        """The message's text parts, joined."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tool uses of this message, in the model's order."""
        return tuple(self._tool_uses())

    def _tool_uses(self) -> Iterator[ToolUse]:
        return (part for part in self.parts if isinstance(part, ToolUse))
