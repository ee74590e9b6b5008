"""Answers in OpenAI's Responses format: whole ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import (
    CallFailed,
    ContentFiltered,
    InvalidRequest,
    ProviderError,
    RateLimited,
    ResponseInvalid,
)
from toka.llm_gateway._messages import (
    Citation,
    ModelMessage,
    Native,
    Part,
    Reasoning,
    Text,
    ToolUse,
)
from toka.llm_gateway._response import StopReason, Usage
from toka.llm_gateway.formats._dialect import Answer, Refusal, StreamRefused, parse_arguments
from toka.llm_gateway.formats._json import as_object, as_objects, text
from toka.llm_gateway.formats.chat._wire import citation_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.types import JsonObject


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def usage(self) -> Usage:
        read = self.input_tokens_details or _InputDetails()
        wrote = self.output_tokens_details or _OutputDetails()
        cached, kept = read.cached_tokens or 0, read.cache_write_tokens or 0
        return Usage(
            max(0, self.input_tokens - cached - kept),
            self.output_tokens,
            cached,
            kept,
            wrote.reasoning_tokens or 0,
        )


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class WireFailure(msgspec.Struct):
    """Why the provider gave up."""

    code: str | None = None
    message: str | None = None


class WireResponse(msgspec.Struct):
    """A response object, whole or at the end of a stream."""

    output: list[msgspec.Raw]
    status: str = "completed"
    model: str = ""
    usage: _Usage | None = None
    incomplete_details: _Incomplete | None = None
    error: WireFailure | None = None


_KINDS: Final[Mapping[str, type[CallFailed]]] = {
    "rate_limit_exceeded": RateLimited,
    "invalid_prompt": InvalidRequest,
    "bio_policy": ContentFiltered,
    "misalignment_policy_violation": ContentFiltered,
    "image_content_policy_violation": ContentFiltered,
}


def refusal_of_failure(failure: WireFailure | None) -> Refusal:
    """Return what a failure inside an answer means."""
    failure = failure or WireFailure()
    code = failure.code or ""
    kind = _KINDS.get(code, InvalidRequest if "image" in code else ProviderError)
    return Refusal(kind, code[:64], failure.message or "")


def answer_of(wire: WireResponse, skipped: int = 0) -> Answer:
    """Return the answer that a response object holds.

    Raises:
        StreamRefused: The provider gave up.
        ResponseInvalid: It has another status than those of an answer.

    """
    if wire.status == "failed" or wire.error is not None:
        raise StreamRefused(refusal_of_failure(wire.error))
    items: list[JsonObject] = [msgspec.json.decode(raw) for raw in wire.output]
    parts = tuple([part for item in items for part in parts_of(item)])
    usage = Usage(reported=False) if wire.usage is None else wire.usage.usage()
    message = ModelMessage("assistant", parts)
    return Answer(message, _stop_reason(wire, message, items), usage, wire.model, skipped)


def parts_of(item: JsonObject) -> Iterator[Part]:
    """Yield the parts of one item of an answer."""
    match item.get("type"):
        case "message":
            for piece in as_objects(item.get("content")):
                yield _text(piece)
        case "function_call":
            name = text(item, "name")
            if not name:
                raise ResponseInvalid("The answer holds a tool call that names no function.")
            identifier = text(item, "call_id", "id")
            yield ToolUse(identifier, name, parse_arguments(text(item, "arguments"), name))
        case "reasoning":
            yield reasoning_of(item)
        case _:
            yield Native("responses", item)


def reasoning_of(item: JsonObject) -> Reasoning:
    """Return an item of reasoning; its seal is the item itself, which has to go back unchanged."""
    pieces = [*as_objects(item.get("summary")), *as_objects(item.get("content"))]
    # The status is the provider's own and refused when it comes back.
    kept = {name: value for name, value in item.items() if name != "status"}
    seal = msgspec.json.encode(kept).decode()
    return Reasoning(
        "\n\n".join([text(piece, "text") for piece in pieces]), seal, format="responses"
    )


def _text(piece: JsonObject) -> Text:
    citations = as_objects(piece.get("annotations"))
    return Text(text(piece, "text", "refusal"), tuple([_citation(each) for each in citations]))


def _citation(annotation: JsonObject) -> Citation:
    return citation_of(annotation, annotation, "responses")


def _stop_reason(wire: WireResponse, message: ModelMessage, items: list[JsonObject]) -> StopReason:
    if wire.status == "incomplete":
        reason = (wire.incomplete_details or _Incomplete()).reason
        if reason == "content_filter":
            return StopReason.REFUSAL
        if reason in {"max_output_tokens", "max_messages"}:
            return StopReason.MAX_TOKENS
        raise ResponseInvalid(f"The answer ends for an unknown reason: {str(reason)[:40]!r}.")
    if wire.status != "completed":
        raise ResponseInvalid(f"The answer has the unknown status {wire.status[:40]!r}.")
    if message.tool_uses:
        return StopReason.TOOL_USE
    refused = any(
        piece.get("type") == "refusal"
        for item in items
        for piece in as_objects(as_object(item).get("content"))
    )
    return StopReason.REFUSAL if refused else StopReason.END_TURN
