"""OpenAI's chat completions format: requests and whole answers.

The format has no place for reasoning and for the mark of a failed tool. Reasoning is left out, the
output's text has to say that the tool failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import attrs
import msgspec

from toka.llm_gateway._errors import ResponseInvalid
from toka.llm_gateway._messages import ModelMessage, Text, ToolOutput, ToolUse
from toka.llm_gateway.formats._dialect import (
    Answer,
    Assembler,
    Refusal,
    decode_body,
    encode_body,
    kind_of_status,
)
from toka.llm_gateway.formats.chat._stream import OpenAIAssembler
from toka.llm_gateway.formats.chat._wire import (
    WireToolCall,
    WireUsage,
    message_of,
    refusal_of,
    stop_reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._request import ModelRequest, ToolSchema
    from toka.types import Json, JsonObject


class _WireMessage(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[WireToolCall] | None = None


class _WireChoice(msgspec.Struct):
    message: _WireMessage
    finish_reason: str | None = None


class _WireCompletion(msgspec.Struct):
    choices: list[_WireChoice]
    model: str = ""
    usage: WireUsage | None = None


_DECODER: Final = msgspec.json.Decoder(_WireCompletion)


@attrs.frozen
class OpenAIDialect:
    """Speaks to `/chat/completions`."""

    limit_field: Literal["max_tokens", "max_completion_tokens"]
    """What the bound of the answer is called: OpenAI renamed it, others did not."""
    extra: JsonObject
    """Further fields of every request, such as `reasoning_effort`."""
    path: str = "/chat/completions"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        body: dict[str, Json] = {
            "model": model,
            "messages": list(_messages(request)),
            self.limit_field: request.max_output_tokens,
        }
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.stop:
            body["stop"] = request.stop
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        wire = decode_body(_DECODER, body)
        if not wire.choices:
            raise ResponseInvalid("The provider's answer holds no choice.")
        choice = wire.choices[0]
        said = choice.message
        message = message_of(
            said.reasoning_content, said.content, said.refusal, said.tool_calls or ()
        )
        return Answer(
            message,
            stop_reason_of(choice.finish_reason, message, refused=bool(said.refusal)),
            (wire.usage or WireUsage()).usage(),
            wire.model,
        )

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, kind_of_status(status))

    def assembler(self) -> Assembler:
        return OpenAIAssembler()


def _tool(tool: ToolSchema) -> JsonObject:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _messages(request: ModelRequest) -> Iterator[JsonObject]:
    if request.system:
        yield {"role": "system", "content": request.system}
    for message in request.messages:
        if message.role == "assistant":
            yield from _assistant(message)
        else:
            yield from _user(message)


def _user(message: ModelMessage) -> Iterator[JsonObject]:
    # The answers to tool calls follow the calls at once; what the user says besides comes after.
    for part in message.parts:
        if isinstance(part, ToolOutput):
            yield {"role": "tool", "tool_call_id": part.tool_use_id, "content": part.content}
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    if texts:
        yield {"role": "user", "content": _content(texts)}


def _assistant(message: ModelMessage) -> Iterator[JsonObject]:
    calls = [_tool_call(part) for part in message.parts if isinstance(part, ToolUse)]
    said: dict[str, Json] = {"role": "assistant", "content": message.text}
    if calls:
        said["content"] = message.text or None
        said["tool_calls"] = calls
    yield said


def _content(texts: list[str]) -> Json:
    if len(texts) == 1:
        return texts[0]
    return [{"type": "text", "text": text} for text in texts]


def _tool_call(use: ToolUse) -> JsonObject:
    arguments = encode_body(use.arguments).decode()
    function: JsonObject = {"name": use.name, "arguments": arguments}
    return {"id": use.id, "type": "function", "function": function}
