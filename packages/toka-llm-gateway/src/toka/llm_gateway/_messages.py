"""What a model reads and writes: messages made of parts.

One neutral shape for all providers. What a provider signs or encrypts (reasoning) is kept exactly
as it came and is replayed in its place, because providers refuse a conversation in which it was
changed, moved or dropped. What the neutral shape has no word for is kept as `Native`, in the words
of the format that it came in.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from toka.types import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.types import JsonObject

Role: TypeAlias = Literal["user", "assistant"]
"""Who speaks. A system prompt is no message: it belongs to the request."""

CacheTtl: TypeAlias = Literal["5m", "1h"]
"""How long a provider is asked to remember the prompt up to here."""

Format: TypeAlias = Literal["anthropic", "chat", "responses", "gemini", "converse"]
"""A wire format, where something belongs to one and means nothing to the others."""

_NOTHING: Final[JsonObject] = MappingProxyType({})


@attrs.frozen
class Citation:
    """Where a piece of text comes from."""

    text: str = ""
    """What is cited, where the provider quotes it."""
    title: str = ""
    url: str = ""
    start: int | None = None
    """Where in the part's text the citation begins, in characters, where the provider says so."""
    end: int | None = None
    format: Format = "anthropic"
    data: JsonObject = attrs.field(default=_NOTHING, repr=False)
    """The citation as it came, for going back to a provider of the same format."""


@attrs.frozen
class Text:
    """Plain text."""

    text: str
    citations: tuple[Citation, ...] = ()
    cache: CacheTtl | None = None
    """Marks the end of a prefix worth remembering; see `CacheTtl`."""


@attrs.frozen
class Media:
    """Where an image or a document is: its bytes in base64, an address, or a provider's file."""

    data: str = attrs.field(default="", repr=False)
    """Base64, as it travels; empty where one of the others is given."""
    media_type: str = ""
    """For example `image/png`."""
    url: str = attrs.field(default="", repr=False)
    file_id: str = ""
    """The provider's name for a file that was uploaded before."""

    @classmethod
    def of(cls, content: bytes, media_type: str) -> Media:
        """Return the media that these bytes are."""
        from base64 import b64encode  # noqa: PLC0415 - only who sends pictures pays

        return cls(b64encode(content).decode(), media_type)

    @classmethod
    def at(cls, address: str) -> Media:
        """Return the media at an address; one that holds the bytes itself is taken apart."""
        head, comma, data = address.partition(";base64,")
        if address.startswith("data:") and comma:
            return cls(data, head.removeprefix("data:"))
        return cls(url=address)

    def decoded_text(self) -> str:
        """Return the bytes as text.

        Raises:
            InvalidValueError: They are not base64 of UTF-8.

        """
        from base64 import b64decode  # noqa: PLC0415 - only who sends documents pays

        try:
            return b64decode(self.data, validate=True).decode()
        except ValueError:
            failure = InvalidValueError("A document of type text/plain is not base64 of UTF-8.")
        raise failure

    @property
    def data_url(self) -> str:
        """The address, or the bytes as an address (RFC 2397)."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


@attrs.frozen
class Image:
    """A picture."""

    media: Media
    cache: CacheTtl | None = None
    detail: str = ""
    """How closely to look, in the provider's words; only OpenAI's formats have it."""


@attrs.frozen
class Document:
    """A document, for example a PDF, or a plain text that can be cited."""

    media: Media
    title: str = ""
    cite: bool = False
    """Whether the answer is to cite it; only Anthropic's format has it."""
    cache: CacheTtl | None = None


@attrs.frozen
class ToolUse:
    """The model asks for a tool to be called."""

    id: str
    """The provider's identifier of this use; the output answers to it."""
    name: str
    arguments: JsonObject
    """What the model wrote, parsed; not yet checked against the tool's schema."""
    cache: CacheTtl | None = None


@attrs.frozen
class ToolOutput:
    """What a tool returned, sent back to the model in a user message."""

    tool_use_id: str
    content: str | tuple[Text | Image | Document, ...]
    is_error: bool = False
    cache: CacheTtl | None = None

    @property
    def text(self) -> str:
        """The text of the content."""
        if isinstance(self.content, str):
            return self.content
        return "".join([part.text for part in self.content if isinstance(part, Text)])


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
    format: Format = "anthropic"
    """Whose seal it is: only a provider of that format accepts it."""


@attrs.frozen
class Native:
    """Content that the neutral shape has no word for, as it came.

    It goes back to providers of its format as it is; to others the conversation cannot go on.
    """

    format: Format
    data: JsonObject

    @property
    def kind(self) -> str:
        """What the format calls it."""
        return str(self.data.get("type", "unknown"))


Part: TypeAlias = Text | Image | Document | ToolUse | ToolOutput | Reasoning | Native
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
