"""Amazon Bedrock's Converse interface, as its documentation describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from toka.llm_gateway._messages import Native, Reasoning, Text, ToolUse
from toka.llm_gateway._response import StopReason
from toka.llm_gateway.formats._event_stream import encode_event
from toka.llm_gateway.formats._json import as_object, as_objects, text
from toka.llm_gateway.testing._bodies import words
from toka.llm_gateway.testing._faults import Refuse
from toka.llm_gateway.testing._server import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toka.llm_gateway._messages import Part
    from toka.llm_gateway._response import ModelResponse, Usage
    from toka.llm_gateway.testing._server import RecordedRequest
    from toka.types import Json, JsonObject

_FIELDS: Final = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    }
)
_BLOCKS: Final = frozenset(
    {
        "audio",
        "cachePoint",
        "citationsContent",
        "document",
        "guardContent",
        "image",
        "reasoningContent",
        "searchResult",
        "text",
        "toolAddition",
        "toolRemoval",
        "toolResult",
        "toolUse",
        "video",
    }
)
_STOP_REASONS: Final[Mapping[StopReason, str]] = {
    StopReason.END_TURN: "end_turn",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.TOOL_USE: "tool_use",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.REFUSAL: "content_filtered",
}


class FakeBedrock(FakeProvider):
    """Answers `/model/NAME/converse` and `converse-stream`. Its `url` is a base address.

    It takes the key as a bearer token, and every signed request whatever its signature says.
    """

    _stream_type: ClassVar[str] = "application/vnd.amazon.eventstream"
    _broken: ClassVar[bytes] = encode_event(
        {":message-type": "event", ":event-type": "contentBlockDelta"}, b'{"contentBlockIndex": '
    )

    def _path(self) -> str:
        return "/model/{name}/{call:converse|converse-stream}"

    def _streamed(self, path: str, body: JsonObject) -> bool:
        del body
        return path.endswith("-stream")

    def _request_id_header(self) -> str:
        return "x-amzn-RequestId"

    def _check(self, request: RecordedRequest) -> Refuse | None:
        presented = request.headers.get("authorization", "")
        if presented != f"Bearer {self.key}" and not presented.startswith("AWS4-HMAC-SHA256 "):
            return Refuse(403, "AccessDeniedException", "Authentication failed.")
        complaint = next(_complaints(request.body), None)
        return None if complaint is None else Refuse(400, "ValidationException", complaint)

    def _error(self, refuse: Refuse) -> JsonObject:
        return {"message": refuse.message}

    def _whole(self, response: ModelResponse) -> JsonObject:
        content = [_block(part) for part in response.message.parts]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _STOP_REASONS[response.stop_reason],
            "usage": _usage(response.usage),
            "metrics": {"latencyMs": 1},
        }

    def _events(self, response: ModelResponse, request: JsonObject) -> Iterator[bytes]:
        del request
        yield _event("messageStart", {"role": "assistant"})
        for index, part in enumerate(response.message.parts):
            for name, body in _pieces(part):
                yield _event(name, {"contentBlockIndex": index, **body})
            yield _event("contentBlockStop", {"contentBlockIndex": index})
        yield _event("messageStop", {"stopReason": _STOP_REASONS[response.stop_reason]})
        told: JsonObject = {"usage": _usage(response.usage), "metrics": {"latencyMs": 1}}
        yield _event("metadata", told)


def _event(name: str, body: JsonObject) -> bytes:
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_event(headers, msgspec.json.encode(body))


def _usage(usage: Usage) -> JsonObject:
    read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": read + usage.output_tokens,
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }


def _block(part: Part) -> JsonObject:
    match part:
        case Text(text, ()):
            return {"text": text}
        case Text(text, citations):
            cited = [dict(citation.data) for citation in citations]
            return {"citationsContent": {"content": [{"text": text}], "citations": cited}}
        case ToolUse(identifier, name, arguments):
            return {"toolUse": {"toolUseId": identifier, "name": name, "input": arguments}}
        case Reasoning(_, signature, True):
            return {"reasoningContent": {"redactedContent": signature}}
        case Reasoning(text, signature):
            return {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}
        case Native("converse", data):
            return data
        case _:
            raise AssertionError(f"This model does not write {type(part).__name__} parts.")


def _pieces(part: Part) -> Iterator[tuple[str, JsonObject]]:
    match part:
        case Text(text, citations):
            yield from _deltas([{"text": piece} for piece in words(text)])
            yield from _deltas([{"citation": citation.data} for citation in citations])
        case ToolUse(identifier, name, arguments):
            yield (
                "contentBlockStart",
                {"start": {"toolUse": {"toolUseId": identifier, "name": name}}},
            )
            written = msgspec.json.encode(arguments).decode()
            halves = [written[: len(written) // 2], written[len(written) // 2 :]]
            yield from _deltas([{"toolUse": {"input": half}} for half in halves])
        case Reasoning(_, signature, True):
            yield from _deltas([{"reasoningContent": {"redactedContent": signature}}])
        case Reasoning(text, signature):
            yield from _deltas([{"reasoningContent": {"text": piece}} for piece in words(text)])
            yield from _deltas([{"reasoningContent": {"signature": signature}}])
        case Native("converse", data) if "toolResult" in data:
            result = as_object(data["toolResult"])
            head = {name: value for name, value in result.items() if name != "content"}
            yield "contentBlockStart", {"start": {"toolResult": head}}
            yield from _deltas([{"toolResult": result["content"]}])
        case _:
            raise AssertionError(f"This model does not stream {type(part).__name__} parts.")


def _deltas(deltas: Sequence[Mapping[str, Json]]) -> Iterator[tuple[str, JsonObject]]:
    for delta in deltas:
        yield "contentBlockDelta", {"delta": delta}


def _complaints(body: JsonObject) -> Iterator[str]:
    for name in body.keys() - _FIELDS:
        yield f"1 validation error detected: the field {name} is not known"
    messages = as_objects(body.get("messages"))
    roles = [message.get("role") for message in messages]
    if not messages or roles != ["user", "assistant"] * (len(roles) // 2) + ["user"] * (
        len(roles) % 2
    ):
        yield "A conversation must alternate between user and assistant roles, the user first."
    uses: set[str] = set()
    for message in messages:
        content = as_objects(message.get("content"))
        if not content:
            yield "The content field in the Message object is empty."
        for block in content:
            if len(block.keys() & _BLOCKS) != 1 or len(block) != 1:
                yield "The content block must have exactly one member."
            if block.get("text") == "":
                yield "The text field in the ContentBlock object is blank."
        given = _identifiers(content, "toolResult")
        if message.get("role") == "user" and given != uses:
            yield "The number of toolResult blocks must match the toolUse blocks of previous turn."
        uses = _identifiers(content, "toolUse")


def _identifiers(content: list[JsonObject], kind: str) -> set[str]:
    return {text(as_object(block[kind]), "toolUseId") for block in content if kind in block}
