"""OpenAI's chat completions interface, as its documentation describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._messages import Reasoning, ToolUse
from toka.llm_gateway._response import StopReason
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
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    }
)
_MESSAGE_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "refusal", "tool_calls"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_STOPS: Final = 4
_FINISH: Final[Mapping[StopReason, str]] = {
    StopReason.END_TURN: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.MAX_TOKENS: "length",
    StopReason.REFUSAL: "content_filter",
}


class FakeOpenAI(FakeProvider):
    """Answers `/v1/chat/completions`. Its `url` is the base address of an `OpenAIChatModel`."""

    @property
    def url(self) -> str:
        """The address to give to a model as its base."""
        return f"{super().url}/v1"

    def _path(self) -> str:
        return "/v1/chat/completions"

    def _request_id_header(self) -> str:
        return "x-request-id"

    def _check(self, request: RecordedRequest) -> Refuse | None:
        headers = request.headers
        if headers.get("authorization") != f"Bearer {self.key}" or "x-api-key" in headers:
            return Refuse(401, "invalid_api_key", f"Incorrect API key provided: {self.key[:4]}***.")
        if headers.get("content-type") != "application/json":
            return _invalid("The content type must be application/json.")
        complaint = next(_complaints(request.body), None)
        return None if complaint is None else _invalid(complaint)

    def _error(self, refuse: Refuse) -> JsonObject:
        kind = "invalid_request_error" if refuse.status in range(400, 500) else "server_error"
        code = refuse.reason or None
        return {"error": {"message": refuse.message, "type": kind, "param": None, "code": code}}

    def _whole(self, response: ModelResponse) -> JsonObject:
        message: dict[str, Json] = {
            "role": "assistant",
            "content": response.text or None,
            "refusal": None,
        }
        reasoning = _reasoning(response)
        if reasoning:
            message["reasoning_content"] = reasoning
        if response.message.tool_uses:
            message["tool_calls"] = [_call(use) for use in response.message.tool_uses]
        choice: JsonObject = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _FINISH[response.stop_reason],
        }
        return {
            **_shell(response, "chat.completion"),
            "choices": [choice],
            "usage": _usage(response.usage),
        }

    def _events(self, response: ModelResponse, request: JsonObject) -> Iterator[bytes]:
        def chunk(delta: JsonObject, finish_reason: str | None = None) -> bytes:
            choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return _event({**_shell(response, "chat.completion.chunk"), "choices": [choice]})

        yield chunk({"role": "assistant", "content": "", "refusal": None})
        for word in words(_reasoning(response)):
            yield chunk({"reasoning_content": word})
        for word in words(response.text):
            yield chunk({"content": word})
        for index, use in enumerate(response.message.tool_uses):
            for piece in _call_pieces(use):
                yield chunk({"tool_calls": [{"index": index, **piece}]})
        yield chunk({}, _FINISH[response.stop_reason])
        if as_object(request.get("stream_options")).get("include_usage"):
            shell = _shell(response, "chat.completion.chunk")
            yield _event({**shell, "choices": [], "usage": _usage(response.usage)})
        yield b"data: [DONE]\n\n"


def _invalid(message: str) -> Refuse:
    return Refuse(400, "", message)


def _shell(response: ModelResponse, kind: str) -> JsonObject:
    return {"id": "chatcmpl-0001", "object": kind, "created": 0, "model": response.model}


def _event(event: JsonObject) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(event)


def _usage(usage: Usage) -> JsonObject:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _reasoning(response: ModelResponse) -> str:
    parts = response.message.parts
    return "".join([part.text for part in parts if isinstance(part, Reasoning)])


def _call(use: ToolUse) -> JsonObject:
    arguments = msgspec.json.encode(use.arguments).decode()
    function: JsonObject = {"name": use.name, "arguments": arguments}
    return {"id": use.id, "type": "function", "function": function}


def _call_pieces(use: ToolUse) -> Iterator[JsonObject]:
    arguments = msgspec.json.encode(use.arguments).decode()
    yield {"id": use.id, "type": "function", "function": {"name": use.name, "arguments": ""}}
    half = len(arguments) // 2
    for piece in (arguments[:half], arguments[half:]):
        yield {"function": {"arguments": piece}}


def _complaints(body: JsonObject) -> Iterator[str]:
    for name in body.keys() - _FIELDS:
        yield f"Unrecognized request argument supplied: {name}"
    for name in ("model", "messages"):
        if name not in body:
            yield f"Missing required parameter: '{name}'."
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    if "stream_options" in body and body.get("stream") is not True:
        yield "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    stop = body.get("stop", ())
    if isinstance(stop, Sequence) and not isinstance(stop, str) and len(stop) > _MAX_STOPS:
        yield "Invalid 'stop': array too long."
    yield from _tool_complaints(body.get("tools", ()))
    messages = as_objects(body.get("messages", ()))
    if not messages:
        yield "Invalid 'messages': empty array."
    for index, message in enumerate(messages):
        yield from _message_complaints(index, message)
    yield from _pair_complaints(messages)


def _tool_complaints(tools: Json) -> Iterator[str]:
    for index, tool in enumerate(as_objects(tools)):
        function = as_object(tool.get("function"))
        if tool.get("type") != "function" or not function:
            yield f"Missing required parameter: 'tools[{index}].function'."
        if not _TOOL_NAME.fullmatch(str(function.get("name", ""))):
            yield f"Invalid 'tools[{index}].function.name'."


def _message_complaints(index: int, message: JsonObject) -> Iterator[str]:
    role = str(message.get("role"))
    known = _MESSAGE_FIELDS.get(role)
    if known is None:
        yield f"Invalid value: '{role}' for 'messages[{index}].role'."
        return
    for name in message.keys() - known:
        yield f"Unknown parameter: 'messages[{index}].{name}'."
    if message.get("content") is None and not message.get("tool_calls"):
        yield f"Invalid value for 'content': expected a string, got null at messages[{index}]."
    for call in as_objects(message.get("tool_calls")):
        if not isinstance(as_object(call.get("function")).get("arguments"), str):
            yield f"Invalid type for 'messages[{index}].tool_calls': arguments must be a string."


def _pair_complaints(messages: Sequence[JsonObject]) -> Iterator[str]:
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            identifier = str(message.get("tool_call_id"))
            if identifier not in open_calls:
                yield (
                    "messages with role 'tool' must be a response to a preceeding message with"
                    " 'tool_calls'."
                )
            open_calls.discard(identifier)
            continue
        if open_calls:
            break
        open_calls = {str(call.get("id")) for call in as_objects(message.get("tool_calls"))}
    if open_calls:
        yield (
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            f" to each 'tool_call_id'. Missing: {', '.join(sorted(open_calls))}"
        )
