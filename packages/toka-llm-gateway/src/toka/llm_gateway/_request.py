"""What is asked of a model."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from toka.types import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._messages import CacheTtl, Format, ModelMessage, Text
    from toka.types import JsonObject

DEFAULT_MAX_OUTPUT_TOKENS: Final = 4096

_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})

Effort: TypeAlias = Literal["none", "low", "medium", "high"]
"""How much a model is to reason. Formats that count tokens instead get a number for each."""


@attrs.frozen
class ToolSchema:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: JsonObject
    """A JSON Schema of type `object`."""
    strict: bool | None = None
    """Whether the provider is to enforce the schema, where it can."""
    cache: CacheTtl | None = None


@attrs.frozen
class ToolChoice:
    """Which tools the model may or must ask for."""

    mode: Literal["auto", "any", "none", "named"] = "auto"
    """`any` must use one of them; `named` must use the one named."""
    name: str = ""
    parallel: bool | None = None
    """Whether it may ask for several at once; None leaves it to the provider."""


@attrs.frozen
class OutputSchema:
    """The answer is to be JSON of a certain form.

    Providers that can are asked to write nothing else. `StructuredModel` also checks the answer.
    """

    schema: JsonObject | None
    """A JSON Schema; None asks for any JSON object."""
    name: str = "answer"
    strict: bool | None = None


@attrs.frozen
class NativeFields:
    """Fields of a request that the neutral form has no word for, in the words of one format."""

    format: Format
    fields: JsonObject


@attrs.frozen
class ModelRequest:
    """One call: a conversation so far, and the bounds of the answer.

    Raises:
        InvalidValueError: There is no message, a bound is below one, or no header can carry the
            idempotency key.

    """

    messages: tuple[ModelMessage, ...]
    system: str | tuple[Text, ...] = ""
    tools: tuple[ToolSchema, ...] = ()
    model: str | None = None
    """A model's name at the provider; None takes the one that the `Model` was made for."""
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    idempotency_key: str = ""
    """The same key for the same call: providers that honour keys then bill a repetition once."""
    metadata: Mapping[str, str] = _NO_METADATA
    """The caller's own labels, for routing and telemetry. Never sent to a provider."""
    tool_choice: ToolChoice | None = None
    output: OutputSchema | None = None
    top_p: float | None = None
    effort: Effort | None = None
    native: NativeFields | None = None

    def __attrs_post_init__(self) -> None:
        if not self.messages:
            raise InvalidValueError("A model request needs at least one message.")
        if self.max_output_tokens < 1:
            raise InvalidValueError(
                f"max_output_tokens is {self.max_output_tokens}; it must be at least 1."
            )
        if not (self.idempotency_key.isascii() and self.idempotency_key.isprintable()):
            raise InvalidValueError(
                "An idempotency key travels in a header: printable ASCII only.",
                hint="Use a digest of what names the call.",
            )

    @property
    def system_text(self) -> str:
        """The system prompt as one text."""
        if isinstance(self.system, str):
            return self.system
        return "\n\n".join([part.text for part in self.system])
