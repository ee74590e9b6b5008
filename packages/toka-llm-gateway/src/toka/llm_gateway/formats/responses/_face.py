"""OpenAI's Responses format, as a server speaks it. Nothing is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
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
from toka.llm_gateway._response import ModelResponse, StopReason
from toka.llm_gateway.formats._face import seal
from toka.llm_gateway.formats._json import as_object
from toka.llm_gateway.formats.responses._parse import parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._messages import ModelMessage, Part
    from toka.llm_gateway._response import Usage
    from toka.llm_gateway.formats._face import Asked, Renderer, Stamp
    from toka.types import Json, JsonObject

_SERVER_ERRORS: Final = 500
_INCOMPLETE: Final[Mapping[StopReason, str]] = {
    StopReason.MAX_TOKENS: "max_output_tokens",
    StopReason.REFUSAL: "content_filter",
}


class ResponsesFace:
    """Serves `/v1/responses`."""

    def parse(self, body: bytes) -> Asked:
        return parse_request(body)

    def whole(self, response: ModelResponse, asked: Asked, stamp: Stamp) -> bytes:
        return msgspec.json.encode(_whole(response, asked, stamp))

    def renderer(self, asked: Asked, stamp: Stamp) -> Renderer:
        return ResponsesRenderer(asked, stamp)

    def error(self, status: int, code: str, message: str) -> bytes:
        kind = "server_error" if status >= _SERVER_ERRORS else "invalid_request_error"
        error: JsonObject = {"message": message, "type": kind, "param": None, "code": code}
        return msgspec.json.encode({"error": error})


@attrs.define
class _Open:
    """The item that is open."""

    kind: str
    item: JsonObject
    pieces: list[str] = attrs.field(factory=list[str])


class ResponsesRenderer:
    """Writes one stream: items that open, grow and close, one after another."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self._asked: Final = asked
        self._stamp: Final = stamp
        self._number = -1
        self._index = -1
        self._open: _Open | None = None

    def feed(self, event: StreamEvent) -> bytes:
        opening: list[JsonObject] = []
        if self._number < 0:
            shell = _shell(self._asked, self._stamp, self._asked.model, "in_progress", [])
            opening = [
                {"type": "response.created", "response": shell},
                {"type": "response.in_progress", "response": shell},
            ]
        return b"".join([self._event(said) for said in [*opening, *self._say(event)]])

    def failed(self, kind: str, code: str, message: str) -> bytes:
        # The documented form, and beside it the one that SDKs look for.
        error: JsonObject = {"type": kind, "code": code, "message": message, "param": None}
        return self._event({**error, "type": "error", "error": error})

    def _event(self, event: JsonObject) -> bytes:
        self._number += 1
        numbered = {**event, "sequence_number": self._number}
        name = str(event["type"]).encode()
        return b"event: %s\ndata: %s\n\n" % (name, msgspec.json.encode(numbered))

    def _say(self, event: StreamEvent) -> Iterator[JsonObject]:
        match event:
            case TextDelta(text):
                yield from self._grow("message", text)
            case ReasoningDelta(text):
                yield from self._grow("reasoning", text)
            case ToolUseStart(identifier, name):
                yield from self._begin("function_call", call_id=identifier, name=name)
            case ArgumentsDelta(_, fragment):
                yield from self._grow("function_call", fragment)
            case PartEnd(part):
                yield from self._conclude(part)
            case ModelResponse():
                yield from self._close()
                whole = _whole(event, self._asked, self._stamp)
                yield {"type": f"response.{whole['status']}", "response": whole}
            case StreamRestart():
                return

    def _grow(self, kind: str, text: str) -> Iterator[JsonObject]:
        if self._open is None or self._open.kind != kind:
            yield from self._begin(kind)
        if self._open is not None:
            self._open.pieces.append(text)
        yield self._at(_DELTAS[kind], delta=text, **_INDEXES[kind])

    def _begin(self, kind: str, **fields: Json) -> Iterator[JsonObject]:
        yield from self._close()
        self._index += 1
        empty = _EMPTY[kind]
        item = {"id": _item_id(kind, self._stamp, self._index), "type": kind, **empty, **fields}
        self._open = _Open(kind, item)
        yield self._at("response.output_item.added", item=item)
        if kind in _PARTS:
            name, part = _PARTS[kind]
            yield self._at(f"{name}.added", part=part(""), **_INDEXES[kind])

    def _at(self, kind: str, **fields: Json) -> JsonObject:
        at: dict[str, Json] = {"type": kind, "output_index": self._index}
        if "item" not in fields and self._open is not None:
            at["item_id"] = self._open.item["id"]
        return {**at, **fields}

    def _conclude(self, part: Part) -> Iterator[JsonObject]:
        if self._open is None and isinstance(part, Reasoning | Native):
            # What no delta announced comes in one piece.
            item = _item(part, self._stamp, self._index + 1)
            if item is not None:
                self._index += 1
                yield self._at("response.output_item.added", item=item)
                yield self._at("response.output_item.done", item=item)
            return
        yield from self._close(part)

    def _close(self, part: Part | None = None) -> Iterator[JsonObject]:
        opened = self._open
        if opened is None:
            return
        grown = "".join(opened.pieces)
        item = None if part is None else _item(part, self._stamp, self._index)
        yield from self._endings(opened.kind, grown)
        done = item or _finished(opened, grown)
        self._open = None
        yield self._at("response.output_item.done", item=done)

    def _endings(self, kind: str, grown: str) -> Iterator[JsonObject]:
        indexes = _INDEXES[kind]
        if kind == "function_call":
            yield self._at("response.function_call_arguments.done", arguments=grown)
            return
        yield self._at(_DELTAS[kind].replace(".delta", ".done"), text=grown, **indexes)
        name, part = _PARTS[kind]
        yield self._at(f"{name}.done", part=part(grown), **indexes)


def _text_part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _summary_part(text: str) -> JsonObject:
    return {"type": "summary_text", "text": text}


_DELTAS: Final = {
    "message": "response.output_text.delta",
    "reasoning": "response.reasoning_summary_text.delta",
    "function_call": "response.function_call_arguments.delta",
}
_INDEXES: Final[Mapping[str, dict[str, Json]]] = {
    "message": {"content_index": 0, "logprobs": []},
    "reasoning": {"summary_index": 0},
    "function_call": {},
}
_PARTS: Final = {
    "message": ("response.content_part", _text_part),
    "reasoning": ("response.reasoning_summary_part", _summary_part),
}
_EMPTY: Final[Mapping[str, JsonObject]] = {
    "message": {"role": "assistant", "status": "in_progress", "content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": "", "status": "in_progress"},
}
_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


def _item_id(kind: str, stamp: Stamp, index: int) -> str:
    return f"{_PREFIXES[kind]}_{stamp.id}_{index}"


def _finished(opened: _Open, grown: str) -> JsonObject:
    match opened.kind:
        case "message":
            return {**opened.item, "status": "completed", "content": [_text_part(grown)]}
        case "reasoning":
            return {**opened.item, "summary": [_summary_part(grown)]}
        case _:
            return {**opened.item, "status": "completed", "arguments": grown}


def _whole(response: ModelResponse, asked: Asked, stamp: Stamp) -> JsonObject:
    reason = _INCOMPLETE.get(response.stop_reason)
    status = "completed" if reason is None else "incomplete"
    shell = _shell(asked, stamp, response.model, status, _output(response.message, stamp))
    incomplete: Json = None if reason is None else {"reason": reason}
    return {**shell, "incomplete_details": incomplete, "usage": _usage(response.usage)}


def _shell(asked: Asked, stamp: Stamp, model: str, status: str, output: list[Json]) -> JsonObject:
    request = asked.request
    no_labels: JsonObject = {}
    return {
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.seconds,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": request.system_text or None,
        "max_output_tokens": request.max_output_tokens,
        "metadata": no_labels,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": request.temperature,
        "tool_choice": "auto",
        "tools": [],
        "top_p": request.top_p,
        "usage": None,
    }


def _output(message: ModelMessage, stamp: Stamp) -> list[Json]:
    output: list[Json] = []
    for part in message.parts:
        item = _item(part, stamp, len(output))
        if item is not None:
            output.append(item)
    return output


def _item(part: Part, stamp: Stamp, index: int) -> JsonObject | None:
    match part:
        case Text(text, citations):
            cited = [dict(each.data) for each in citations if each.format == "responses"]
            return {
                "id": _item_id("message", stamp, index),
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{**_text_part(text), "annotations": cited}],
            }
        case ToolUse():
            return {
                "id": _item_id("function_call", stamp, index),
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": msgspec.json.encode(part.arguments).decode(),
                "status": "completed",
            }
        case Reasoning(_, signature, _, "responses") if signature:
            return as_object(msgspec.json.decode(signature))
        case Reasoning():
            return _reasoning(part, stamp, index)
        case Native("responses", data):
            return data
        case _:
            # Another provider's own content, which this format has no word for.
            return None


def _reasoning(part: Reasoning, stamp: Stamp, index: int) -> JsonObject:
    summary = [_summary_part(part.text)] if part.text else []
    item: dict[str, Json] = {
        "id": _item_id("reasoning", stamp, index),
        "type": "reasoning",
        "summary": summary,
    }
    if part.signature:
        own = seal(part)
        item["encrypted_content"] = own if own.startswith("toka.") else f"toka.anthropic.{own}"
    return item


def _usage(usage: Usage) -> JsonObject:
    read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": read + usage.output_tokens,
    }
