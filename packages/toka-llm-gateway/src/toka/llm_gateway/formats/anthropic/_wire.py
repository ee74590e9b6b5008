"""The pieces that Anthropic's whole answers, streams and errors have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResponseInvalid,
)
from toka.llm_gateway._messages import Citation, Native, Part, Reasoning, Text, ToolUse
from toka.llm_gateway._response import StopReason, Usage
from toka.llm_gateway.formats._dialect import Refusal, decode_body
from toka.llm_gateway.formats._json import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types import JsonObject


class WireBlock(msgspec.Struct):
    """A content block, of any type."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, object] = {}  # msgspec copies it for every block
    thinking: str = ""
    signature: str = ""
    data: str = ""
    citations: list[dict[str, object]] | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """Token counts; in a stream they come twice, and later ones replace earlier ones."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None

    def update(self, later: WireUsage) -> None:
        """Take over the counts that `later` holds."""
        for name in self.__struct_fields__:
            value = getattr(later, name)
            if value is not None:
                setattr(self, name, value)

    def usage(self) -> Usage:
        """Return the counts in the neutral form."""
        details = self.output_tokens_details or _OutputDetails()
        return Usage(
            self.input_tokens or 0,
            self.output_tokens or 0,
            self.cache_read_input_tokens or 0,
            self.cache_creation_input_tokens or 0,
            details.thinking_tokens or 0,
            reported=self.output_tokens is not None,
        )


class WireError(msgspec.Struct):
    """An error's type and sentence."""

    type: str = ""
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: WireError


_ERROR_DECODER: Final = msgspec.json.Decoder(_ErrorBody)

BLOCKS: Final = msgspec.json.Decoder(WireBlock)

_STOP_REASONS: Final[Mapping[str | None, StopReason]] = {
    "end_turn": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
}

_KINDS: Final[Mapping[str, type[CallFailed]]] = {
    "invalid_request_error": InvalidRequest,
    "authentication_error": AuthenticationFailed,
    "permission_error": AuthenticationFailed,
    "billing_error": QuotaExhausted,
    "not_found_error": ModelNotFound,
    "request_too_large": ContextTooLong,
    "rate_limit_error": RateLimited,
    "timeout_error": ProviderError,
    "api_error": ProviderError,
    "overloaded_error": Overloaded,
}

_TOO_LONG: Final = ("prompt is too long", "exceed context limit", "context window")
_NO_CREDIT: Final = "credit balance is too low"


def part_of(raw: msgspec.Raw) -> Part:
    """Return the part that a block of an answer holds.

    Raises:
        ResponseInvalid: It is not a block.

    """
    return decoded_part(decode_body(BLOCKS, bytes(raw)), raw)


def decoded_part(block: WireBlock, raw: bytes | msgspec.Raw) -> Part:
    """Return the part that a block holds; of unknown types, the block itself."""
    match block.type:
        case "text":
            return Text(block.text, tuple([citation_of(cited) for cited in block.citations or ()]))
        case "tool_use":
            arguments: JsonObject = block.input  # type: ignore[assignment]  # JSON by origin
            return ToolUse(block.id, block.name, arguments)
        case "thinking":
            return Reasoning(block.thinking, block.signature)
        case "redacted_thinking":
            return Reasoning("", block.data, redacted=True)
        case _:
            return Native("anthropic", msgspec.json.decode(raw))


def citation_of(wire: Mapping[str, object]) -> Citation:
    """Return a citation, of whatever kind of source."""
    data: JsonObject = wire  # type: ignore[assignment]  # JSON by origin
    return Citation(
        text(data, "cited_text"),
        text(data, "document_title", "title"),
        text(data, "url", "source"),
        data=data,
    )


def stop_reason_of(reason: str | None) -> StopReason:
    """Return the neutral stop reason.

    Raises:
        ResponseInvalid: There is none, or an unknown one.

    """
    if reason not in _STOP_REASONS:
        raise ResponseInvalid(f"The answer ends for an unknown reason: {str(reason)[:40]!r}.")
    return _STOP_REASONS[reason]


def refusal_of(body: bytes, otherwise: type[CallFailed]) -> Refusal:
    """Read an error document; `otherwise` is its kind where it does not say."""
    try:
        error = _ERROR_DECODER.decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Refusal(otherwise, "", "")
    return Refusal(_kind(error, otherwise), error.type[:64], error.message)


def _kind(error: WireError, otherwise: type[CallFailed]) -> type[CallFailed]:
    kind = _KINDS.get(error.type, otherwise)
    if kind is InvalidRequest:
        sentence = error.message.lower()
        if any(phrase in sentence for phrase in _TOO_LONG):
            return ContextTooLong
        if _NO_CREDIT in sentence:
            return QuotaExhausted
    return kind
