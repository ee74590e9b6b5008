"""What is asked of a model."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from toka.types import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._messages import ModelMessage
    from toka.types import JsonObject

DEFAULT_MAX_OUTPUT_TOKENS: Final = 4096

_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen
class ToolSchema:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: JsonObject
    """A JSON Schema of type `object`."""


@attrs.frozen
class ModelRequest:
    """One call: a conversation so far, and the bounds of the answer.

    Raises:
        InvalidValueError: There is no message, a bound is below one, or no header can carry the
            idempotency key.

    """

    messages: tuple[ModelMessage, ...]
    system: str = ""
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
