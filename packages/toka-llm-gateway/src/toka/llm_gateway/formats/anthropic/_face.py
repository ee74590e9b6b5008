"""Anthropic's Messages format, as a server speaks it."""

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
from toka.llm_gateway._messages import Native, Reasoning, Text, ToolUse
from toka.llm_gateway._response import ModelResponse
from toka.llm_gateway.formats._face import seal
from toka.llm_gateway.formats.anthropic._parse import parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._messages import Part
    from toka.llm_gateway._response import Usage
    from toka.llm_gateway.formats._face import Asked, Renderer, Stamp
    from toka.types import Json, JsonObject

_ERRORS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicFace:
    """Serves `/v1/messages`."""

    def parse(self, body: bytes) -> Asked:
        return parse_request(body)

    def whole(self, response: ModelResponse, asked: Asked, stamp: Stamp) -> bytes:
        del asked
        blocks = [block for part in response.message.parts if (block := _block(part)) is not None]
        return msgspec.json.encode(
            {
                **_shell(stamp, response.model),
                "content": blocks,
                "stop_reason": str(response.stop_reason),
                "stop_sequence": None,
                "usage": _usage(response.usage),
            }
        )

    def renderer(self, asked: Asked, stamp: Stamp) -> Renderer:
        return AnthropicRenderer(asked.model, stamp)

    def error(self, status: int, code: str, message: str) -> bytes:
        kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - server errors
        return msgspec.json.encode(_complaint(kind, code, message))


class AnthropicRenderer:
    """Writes one stream: blocks that open, grow and close, one after another."""

    def __init__(self, model: str, stamp: Stamp) -> None:
        self._model: Final = model
        self._stamp: Final = stamp
        self._started = False
        self._index = -1
        self._open = ""
        """The type of the block that is open; empty if none is."""

    def feed(self, event: StreamEvent) -> bytes:
        return b"".join([_event(said) for said in self._say(event)])

    def failed(self, kind: str, code: str, message: str) -> bytes:
        del kind
        return _event(_complaint("api_error", code, message))

    def _say(self, event: StreamEvent) -> Iterator[JsonObject]:
        if not self._started:
            self._started = True
            yield self._start()
        match event:
            case TextDelta(text):
                yield from self._grow("text", {"type": "text_delta", "text": text})
            case ReasoningDelta(text):
                yield from self._grow("thinking", {"type": "thinking_delta", "thinking": text})
            case ToolUseStart(identifier, name):
                no_input: JsonObject = {}
                use: JsonObject = {"type": "tool_use", "id": identifier, "name": name}
                yield from self._begin({**use, "input": no_input})
            case ArgumentsDelta(_, fragment):
                yield self._delta({"type": "input_json_delta", "partial_json": fragment})
            case PartEnd(part):
                yield from self._conclude(part)
            case ModelResponse():
                yield from self._close()
                yield from _end(event)
            case StreamRestart():
                return

    def _start(self) -> JsonObject:
        message: JsonObject = {
            **_shell(self._stamp, self._model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return {"type": "message_start", "message": message}

    def _grow(self, kind: str, delta: JsonObject) -> Iterator[JsonObject]:
        if self._open != kind:
            empty: JsonObject = {"type": "text", "text": ""}
            if kind == "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
            yield from self._begin(empty)
        yield self._delta(delta)

    def _delta(self, delta: JsonObject) -> JsonObject:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _begin(self, block: JsonObject) -> Iterator[JsonObject]:
        yield from self._close()
        self._index += 1
        self._open = str(block["type"])
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def _conclude(self, part: Part) -> Iterator[JsonObject]:
        match part:
            case Reasoning(_, _, False) if self._open == "thinking":
                yield self._delta({"type": "signature_delta", "signature": seal(part)})
            case Text() if self._open == "text":
                for citation in part.citations:
                    if citation.format == "anthropic":
                        cited = dict(citation.data)
                        yield self._delta({"type": "citations_delta", "citation": cited})
            case Reasoning() | Native():
                # What no delta announced comes in one piece.
                block = _block(part)
                if block is not None:
                    yield from self._begin(block)
            case _:
                pass
        yield from self._close()

    def _close(self) -> Iterator[JsonObject]:
        if self._open:
            self._open = ""
            yield {"type": "content_block_stop", "index": self._index}


def _end(response: ModelResponse) -> Iterator[JsonObject]:
    stop: JsonObject = {"stop_reason": str(response.stop_reason), "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": _usage(response.usage)}
    yield {"type": "message_stop"}


def _event(event: JsonObject) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))


def _complaint(kind: str, code: str, message: str) -> JsonObject:
    return {"type": "error", "error": {"type": kind, "message": message, "code": code}}


def _shell(stamp: Stamp, model: str) -> JsonObject:
    return {"id": f"msg_{stamp.id}", "type": "message", "role": "assistant", "model": model}


def _usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _block(part: Part) -> JsonObject | None:
    match part:
        case Text(text, citations):
            cited = [dict(each.data) for each in citations if each.format == "anthropic"]
            said: dict[str, Json] = {"type": "text", "text": text}
            return {**said, "citations": cited} if cited else said
        case ToolUse(identifier, name, arguments):
            return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}
        case Reasoning(_, _, True, "anthropic"):
            return {"type": "redacted_thinking", "data": part.signature}
        case Reasoning(text):
            return {"type": "thinking", "thinking": text, "signature": seal(part)}
        case Native("anthropic", data):
            return data
        case _:
            # Another provider's own content, which this format has no word for.
            return None
