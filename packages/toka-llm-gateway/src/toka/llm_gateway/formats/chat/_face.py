"""OpenAI's chat completions format, as a server speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    StreamRestart,
    TextDelta,
    ToolUseStart,
)
from toka.llm_gateway._messages import Citation, Reasoning, Text, ToolUse
from toka.llm_gateway._response import ModelResponse, StopReason
from toka.llm_gateway.formats._face import seal
from toka.llm_gateway.formats.chat._parse import parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._messages import ModelMessage
    from toka.llm_gateway._response import Usage
    from toka.llm_gateway.formats._face import Asked, Renderer, Stamp
    from toka.types import Json, JsonObject

_FINISH: Final[Mapping[StopReason, str]] = {
    StopReason.END_TURN: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.MAX_TOKENS: "length",
    StopReason.REFUSAL: "content_filter",
}
_SERVER_ERRORS: Final = 500


class ChatFace:
    """Serves `/v1/chat/completions`."""

    def parse(self, body: bytes) -> Asked:
        return parse_request(body)

    def whole(self, response: ModelResponse, asked: Asked, stamp: Stamp) -> bytes:
        del asked
        choice: JsonObject = {
            "index": 0,
            "message": _message(response.message),
            "logprobs": None,
            "finish_reason": _FINISH[response.stop_reason],
        }
        return msgspec.json.encode(
            {
                "id": f"chatcmpl-{stamp.id}",
                "object": "chat.completion",
                "created": stamp.seconds,
                "model": response.model,
                "choices": [choice],
                "usage": _usage(response.usage),
            }
        )

    def renderer(self, asked: Asked, stamp: Stamp) -> Renderer:
        return ChatRenderer(asked, stamp)

    def error(self, status: int, code: str, message: str) -> bytes:
        kind = "server_error" if status >= _SERVER_ERRORS else "invalid_request_error"
        return msgspec.json.encode(_complaint(kind, code, message))


class ChatRenderer:
    """Writes one stream. All chunks begin alike: that beginning is encoded once."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self._usage_wanted: Final = asked.usage_wanted
        self._stamp: Final = stamp
        self._head: Final = self._begin(asked.model)
        self._calls: Final[dict[str, int]] = {}
        self._started = False

    def feed(self, event: StreamEvent) -> bytes:
        opening = b""
        if not self._started:
            self._started = True
            opening = self._chunk(b'{"role":"assistant","content":""}')
        return opening + self._say(event)

    def failed(self, kind: str, code: str, message: str) -> bytes:
        return b"data: %s\n\n" % msgspec.json.encode(_complaint(kind, code, message))

    def _say(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta(text):
                return self._chunk(b'{"content":%s}' % msgspec.json.encode(text))
            case ReasoningDelta(text):
                return self._chunk(b'{"reasoning_content":%s}' % msgspec.json.encode(text))
            case ToolUseStart(identifier, name):
                position = self._calls[identifier] = len(self._calls)
                return self._call(
                    {
                        "index": position,
                        "id": identifier,
                        "type": "function",
                        "function": {"name": name, "arguments": ""},
                    }
                )
            case ArgumentsDelta(identifier, fragment):
                position = self._calls[identifier]
                return self._call({"index": position, "function": {"arguments": fragment}})
            case PartEnd() | StreamRestart():
                return b""
            case ModelResponse():
                return b"".join(self._end(event))

    def _end(self, response: ModelResponse) -> Iterator[bytes]:
        details = _details(response.message)
        if details:
            yield self._chunk(msgspec.json.encode({"reasoning_details": details}))
        annotations = _annotations(response.message)
        if annotations:
            yield self._chunk(msgspec.json.encode({"annotations": annotations}))
        head = self._begin(response.model)
        finish = msgspec.json.encode(_FINISH[response.stop_reason])
        yield head + b'"choices":[{"index":0,"delta":{},"finish_reason":%s}]}\n\n' % finish
        if self._usage_wanted:
            usage = msgspec.json.encode(_usage(response.usage))
            yield head + b'"choices":[],"usage":%s}\n\n' % usage
        yield b"data: [DONE]\n\n"

    def _call(self, call: JsonObject) -> bytes:
        return self._chunk(msgspec.json.encode({"tool_calls": [call]}))

    def _chunk(self, delta: bytes) -> bytes:
        return self._head + b'"choices":[{"index":0,"delta":%s,"finish_reason":null}]}\n\n' % delta

    def _begin(self, model: str) -> bytes:
        head: JsonObject = {
            "id": f"chatcmpl-{self._stamp.id}",
            "object": "chat.completion.chunk",
            "created": self._stamp.seconds,
            "model": model,
        }
        return b"data: " + msgspec.json.encode(head)[:-1] + b","


def _message(message: ModelMessage) -> JsonObject:
    said: dict[str, Json] = {
        "role": "assistant",
        "content": message.text or None,
        "refusal": None,
    }
    thoughts = [part for part in message.parts if isinstance(part, Reasoning)]
    if thoughts:
        said["reasoning_content"] = "".join([part.text for part in thoughts])
    details = _details(message)
    if details:
        said["reasoning_details"] = details
    annotations = _annotations(message)
    if annotations:
        said["annotations"] = annotations
    if message.tool_uses:
        said["tool_calls"] = [_call(use) for use in message.tool_uses]
    return said


def _details(message: ModelMessage) -> list[Json]:
    """Return seals, for callers that send back what they do not know."""
    return [
        {"type": "toka", "text": part.text, "signature": seal(part)}
        for part in message.parts
        if isinstance(part, Reasoning) and part.signature
    ]


def _annotations(message: ModelMessage) -> list[Json]:
    return [
        _annotation(citation)
        for part in message.parts
        if isinstance(part, Text)
        for citation in part.citations
        if citation.format == "chat" or citation.url
    ]


def _annotation(citation: Citation) -> Json:
    if citation.format == "chat":
        return citation.data
    cited: JsonObject = {
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }
    return {"type": "url_citation", "url_citation": cited}


def _call(use: ToolUse) -> JsonObject:
    arguments = msgspec.json.encode(use.arguments).decode()
    function: JsonObject = {"name": use.name, "arguments": arguments}
    return {"id": use.id, "type": "function", "function": function}


def _complaint(kind: str, code: str, message: str) -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _usage(usage: Usage) -> JsonObject:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
