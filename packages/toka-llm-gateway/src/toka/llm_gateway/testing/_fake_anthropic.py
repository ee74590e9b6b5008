"""Anthropic's Messages interface, as its documentation describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._messages import Part, Reasoning, Text, ToolUse
from toka.llm_gateway.formats._json import as_object, as_objects
from toka.llm_gateway.testing._bodies import words
from toka.llm_gateway.testing._faults import Refuse
from toka.llm_gateway.testing._server import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.llm_gateway._response import ModelResponse, Usage
    from toka.llm_gateway.testing._server import RecordedRequest
    from toka.types import Json, JsonObject

_FIELDS: Final = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_NEEDED: Final = ("model", "messages", "max_tokens")
_TOOL_FIELDS: Final = frozenset(
    {"name", "description", "input_schema", "cache_control", "strict", "type"}
)
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_BLOCKS: Final[Mapping[str, frozenset[str]]] = {
    "user": frozenset({"text", "tool_result", "image", "document"}),
    "assistant": frozenset(
        {"text", "tool_use", "thinking", "redacted_thinking", "server_tool_use"}
    ),
}


class FakeAnthropic(FakeProvider):
    """Answers `/v1/messages`. Its `url` is the base address of an `AnthropicModel`."""

    def _path(self) -> str:
        return "/v1/messages"

    def _request_id_header(self) -> str:
        return "request-id"

    def _check(self, request: RecordedRequest) -> Refuse | None:
        headers = request.headers
        if headers.get("x-api-key") != self.key or "authorization" in headers:
            return Refuse(401, "authentication_error", "invalid x-api-key")
        if headers.get("anthropic-version") != "2023-06-01":
            return _invalid("anthropic-version: header is required")
        if headers.get("content-type") != "application/json":
            return _invalid("content-type: must be application/json")
        complaint = next(_complaints(request.body), None)
        return None if complaint is None else _invalid(complaint)

    def _error(self, refuse: Refuse) -> JsonObject:
        return {"type": "error", "error": {"type": refuse.reason, "message": refuse.message}}

    def _whole(self, response: ModelResponse) -> JsonObject:
        return {
            **_shell(response),
            "content": [_block(part) for part in response.message.parts],
            "stop_reason": str(response.stop_reason),
            "usage": {**_input_usage(response.usage), "output_tokens": _output(response.usage)},
        }

    def _events(self, response: ModelResponse, request: JsonObject) -> Iterator[bytes]:
        del request
        start: JsonObject = {
            **_shell(response),
            "content": [],
            "stop_reason": None,
            "usage": {**_input_usage(response.usage), "output_tokens": 1},
        }
        yield _event({"type": "message_start", "message": start})
        yield _event({"type": "ping"})
        for index, part in enumerate(response.message.parts):
            yield from _block_events(index, part)
        yield _event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": str(response.stop_reason), "stop_sequence": None},
                "usage": {"output_tokens": _output(response.usage)},
            }
        )
        yield _event({"type": "message_stop"})


def _invalid(message: str) -> Refuse:
    return Refuse(400, "invalid_request_error", message)


def _shell(response: ModelResponse) -> JsonObject:
    return {
        "id": "msg_0001",
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "stop_sequence": None,
    }


def _input_usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }


def _output(usage: Usage) -> int:
    return usage.output_tokens


def _event(event: Mapping[str, Json]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))


def _block(part: Part) -> JsonObject:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case ToolUse(identifier, name, arguments):
            return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}
        case Reasoning(_, signature, True):
            return {"type": "redacted_thinking", "data": signature}
        case Reasoning(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case _:
            raise AssertionError(f"A model does not write {type(part).__name__} parts.")


def _block_events(index: int, part: Part) -> Iterator[bytes]:
    block = _block(part)
    no_input: JsonObject = {}
    deltas: list[JsonObject] = []
    match part:
        case Text(text):
            block = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in words(text)]
        case ToolUse():
            block = {"type": "tool_use", "id": part.id, "name": part.name, "input": no_input}
            written = msgspec.json.encode(part.arguments).decode()
            halves = (written[: len(written) // 2], written[len(written) // 2 :])
            deltas = [{"type": "input_json_delta", "partial_json": half} for half in ("", *halves)]
        case Reasoning(text, signature, False):
            block = {**block, "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": word} for word in words(text)]
            deltas.append({"type": "signature_delta", "signature": signature})
        case _:
            pass
    yield _event({"type": "content_block_start", "index": index, "content_block": block})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _complaints(body: JsonObject) -> Iterator[str]:
    for name in body.keys() - _FIELDS:
        yield f"{name}: Extra inputs are not permitted"
    for name in _NEEDED:
        if name not in body:
            yield f"{name}: Field required"
    yield from _tool_complaints(body.get("tools", ()))
    messages = body["messages"]
    if not isinstance(messages, Sequence) or not messages:
        yield "messages: at least one message is required"
        return
    yield from _role_complaints([as_object(message) for message in messages])
    yield from _pair_complaints([as_object(message) for message in messages])


def _tool_complaints(tools: Json) -> Iterator[str]:
    for index, tool in enumerate(as_objects(tools)):
        if not _TOOL_NAME.fullmatch(str(tool.get("name", ""))):
            yield f"tools.{index}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if as_object(tool.get("input_schema")).get("type") != "object":
            yield f"tools.{index}.input_schema.type: Input should be 'object'"
        for name in tool.keys() - _TOOL_FIELDS:
            yield f"tools.{index}.{name}: Extra inputs are not permitted"


def _role_complaints(messages: Sequence[JsonObject]) -> Iterator[str]:
    for index, message in enumerate(messages):
        if message.get("role") != ("user", "assistant")[index % 2]:
            yield 'messages: roles must alternate between "user" and "assistant", "user" first'
        if not message.get("content"):
            yield f"messages.{index}: all messages must have non-empty content"
        for position, block in enumerate(_blocks(message)):
            yield from _block_complaints(f"messages.{index}.content.{position}", message, block)


def _block_complaints(where: str, message: JsonObject, block: JsonObject) -> Iterator[str]:
    kind = str(block.get("type"))
    if kind not in _BLOCKS.get(str(message.get("role")), ()):
        yield f"{where}: unexpected block of type {kind}"
    if kind == "text" and not block.get("text"):
        yield "messages: text content blocks must be non-empty"
    if kind == "thinking" and not block.get("signature"):
        yield f"{where}.thinking.signature: Field required"


def _pair_complaints(messages: Sequence[JsonObject]) -> Iterator[str]:
    asked: set[str] = set()
    for index, message in enumerate(messages):
        kinds = [block.get("type") for block in _blocks(message)]
        answered = {str(b["tool_use_id"]) for b in _blocks(message) if b["type"] == "tool_result"}
        if answered - asked:
            yield (
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks:"
                f" {', '.join(sorted(answered - asked))}. Each `tool_result` block must have a"
                " corresponding `tool_use` block in the previous message."
            )
        if asked - answered:
            yield (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks"
                f" immediately after: {', '.join(sorted(asked - answered))}."
            )
        if "tool_result" in kinds and "tool_result" in kinds[len(answered) :]:
            yield f"messages.{index}: `tool_result` blocks must come first"
        asked = {str(b["id"]) for b in _blocks(message) if b["type"] == "tool_use"}


def _blocks(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return [] if isinstance(content, str) else list(as_objects(content))
