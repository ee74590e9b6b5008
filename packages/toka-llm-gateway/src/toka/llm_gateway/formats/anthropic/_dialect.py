"""Anthropic's Messages format, version 2023-06-01: requests and whole answers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.llm_gateway._messages import (
    ModelMessage,
    Part,
    Reasoning,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway.formats._dialect import (
    Answer,
    Assembler,
    Refusal,
    decode_body,
    encode_body,
    kind_of_status,
)
from toka.llm_gateway.formats.anthropic._stream import AnthropicAssembler
from toka.llm_gateway.formats.anthropic._wire import (
    WireBlock,
    WireUsage,
    part_of,
    refusal_of,
    stop_reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.llm_gateway._request import ModelRequest, ToolSchema
    from toka.types import Json, JsonObject

API_VERSION: Final = "2023-06-01"


class _WireMessage(msgspec.Struct):
    model: str
    content: list[WireBlock]
    stop_reason: str | None
    usage: WireUsage | None = None


_DECODER: Final = msgspec.json.Decoder(_WireMessage)


@attrs.frozen
class AnthropicDialect:
    """Speaks to `/v1/messages`."""

    extra: JsonObject
    """Further fields of every request, such as `thinking` or `cache_control`."""
    path: str = "/v1/messages"

    def headers(self, key: str | None) -> Mapping[str, str]:
        headers = {"anthropic-version": API_VERSION}
        return headers if key is None else {"x-api-key": key, **headers}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        body: dict[str, Json] = {
            "model": model,
            "max_tokens": request.max_output_tokens,
            "messages": _messages(request.messages),
        }
        if request.system:
            body["system"] = request.system
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.stop:
            body["stop_sequences"] = request.stop
        if stream:
            body["stream"] = True
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        wire = decode_body(_DECODER, body)
        return Answer(
            ModelMessage("assistant", tuple([part_of(block) for block in wire.content])),
            stop_reason_of(wire.stop_reason),
            (wire.usage or WireUsage()).usage(),
            wire.model,
        )

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, kind_of_status(status))

    def assembler(self) -> Assembler:
        return AnthropicAssembler()


def _tool(tool: ToolSchema) -> JsonObject:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.parameters,
    }


def _messages(messages: Iterable[ModelMessage]) -> list[Json]:
    # The roles must alternate, and a model may have answered with nothing at all: what has no
    # blocks is left out, and neighbours of one role become one message.
    spoken = [(message.role, blocks) for message in messages if (blocks := _blocks(message))]
    return [
        {"role": role, "content": [block for _, blocks in group for block in blocks]}
        for role, group in itertools.groupby(spoken, key=lambda pair: pair[0])
    ]


def _blocks(message: ModelMessage) -> list[Json]:
    # Tool results come first in their message, or the provider does not see that they answer.
    parts: Iterable[Part] = message.parts
    if message.role == "user":
        parts = sorted(parts, key=lambda part: not isinstance(part, ToolOutput))
    return [block for part in parts if (block := _block(part)) is not None]


def _block(part: Part) -> JsonObject | None:
    match part:
        case Text(text):
            # An empty text block is refused.
            return {"type": "text", "text": text} if text else None
        case ToolUse(identifier, name, arguments):
            return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}
        case ToolOutput(identifier, content, is_error):
            block = {"type": "tool_result", "tool_use_id": identifier, "content": content}
            return {**block, "is_error": True} if is_error else block
        case Reasoning(text, signature, redacted):
            return _thinking(text, signature, redacted=redacted)


def _thinking(text: str, signature: str, *, redacted: bool) -> JsonObject | None:
    if not signature:
        # Another provider's reasoning: without a seal it would be refused.
        return None
    if redacted:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": text, "signature": signature}
