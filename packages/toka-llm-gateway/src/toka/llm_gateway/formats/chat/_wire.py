"""The pieces that OpenAI's whole answers, streams and errors have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    QuotaExhausted,
    RateLimited,
    ResponseInvalid,
)
from toka.llm_gateway._messages import Citation, ModelMessage, Part, Reasoning, Text, ToolUse
from toka.llm_gateway._response import StopReason, Usage
from toka.llm_gateway.formats._dialect import Refusal, kind_of_status, parse_arguments
from toka.llm_gateway.formats._json import as_object, integer, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toka.llm_gateway._messages import Format
    from toka.types import JsonObject


class WireFunction(msgspec.Struct):
    """A function's name and its arguments as JSON text."""

    name: str | None = None
    arguments: str | None = None


class WireToolCall(msgspec.Struct):
    """A tool call, or in a stream a piece of one."""

    function: WireFunction
    id: str | None = None
    index: int | None = None


class WireMessage(msgspec.Struct):
    """What the model said; reasoning is an addition of others, under two names."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, object]] | None = None
    annotations: list[dict[str, object]] | None = None
    tool_calls: list[WireToolCall] | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """Token counts: here cached tokens are a part of the prompt's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def usage(self) -> Usage:
        """Return the counts in the neutral form, where the kinds of input are disjoint."""
        prompt = self.prompt_tokens_details or _PromptDetails()
        completion = self.completion_tokens_details or _CompletionDetails()
        read, write = prompt.cached_tokens or 0, prompt.cache_write_tokens or 0
        return Usage(
            max(0, (self.prompt_tokens or 0) - read - write),
            self.completion_tokens or 0,
            read,
            write,
            completion.reasoning_tokens or 0,
            reported=self.completion_tokens is not None,
        )


class WireError(msgspec.Struct):
    """An error; compatible servers write a code as a number or leave fields out."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _ErrorBody(msgspec.Struct):
    error: WireError | str


_ERROR_DECODER: Final = msgspec.json.Decoder(_ErrorBody)

_STOP_REASONS: Final[Mapping[str | None, StopReason]] = {
    "stop": StopReason.END_TURN,
    "tool_calls": StopReason.TOOL_USE,
    "length": StopReason.MAX_TOKENS,
    "content_filter": StopReason.REFUSAL,
}

_KINDS: Final[Mapping[str, type[CallFailed]]] = {
    "context_length_exceeded": ContextTooLong,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "insufficient_quota": QuotaExhausted,
    "invalid_api_key": AuthenticationFailed,
    "model_not_found": ModelNotFound,
    "rate_limit_exceeded": RateLimited,
}


def message_of(said: WireMessage) -> ModelMessage:
    """Return the message that an answer holds.

    Raises:
        ToolArgumentsInvalid: A call's arguments are not a JSON object.
        ResponseInvalid: A call names no function.

    """
    parts: list[Part] = []
    thought = said.reasoning_content or said.reasoning or ""
    if thought or said.reasoning_details:
        details = said.reasoning_details
        seal = msgspec.json.encode(details).decode() if details else ""
        parts.append(Reasoning(thought, seal, format="chat"))
    if said.content:
        parts.append(Text(said.content, tuple(_citations(said.annotations or ()))))
    if said.refusal:
        parts.append(Text(said.refusal))
    parts.extend(_tool_uses(said.tool_calls or ()))
    return ModelMessage("assistant", tuple(parts))


def _citations(annotations: Sequence[dict[str, object]]) -> Iterator[Citation]:
    for annotation in annotations:
        data: JsonObject = annotation  # type: ignore[assignment]  # JSON by origin
        yield citation_of(data, as_object(data.get("url_citation")))


def citation_of(data: JsonObject, cited: JsonObject, written_in: Format = "chat") -> Citation:
    """Return a citation, whole in `data`, with its common fields in `cited`."""
    return Citation(
        title=text(cited, "title", "filename"),
        url=text(cited, "url"),
        start=integer(cited, "start_index"),
        end=integer(cited, "end_index"),
        format=written_in,
        data=data,
    )


def _tool_uses(calls: Sequence[WireToolCall]) -> Iterator[ToolUse]:
    for position, call in enumerate(calls):
        name = call.function.name
        if not name:
            raise ResponseInvalid("The answer holds a tool call that names no function.")
        # Some compatible servers name no call; within one turn its position does.
        identifier = call.id or f"call_{position}"
        yield ToolUse(identifier, name, parse_arguments(call.function.arguments or "", name))


def stop_reason_of(reason: str | None, message: ModelMessage, *, refused: bool) -> StopReason:
    """Return the neutral stop reason.

    Raises:
        ResponseInvalid: There is none, or an unknown one.

    """
    if reason not in _STOP_REASONS:
        raise ResponseInvalid(f"The answer ends for an unknown reason: {str(reason)[:40]!r}.")
    stop_reason = _STOP_REASONS[reason]
    if stop_reason is StopReason.END_TURN and refused:
        return StopReason.REFUSAL
    # Some compatible servers write "stop" after tool calls, too.
    if stop_reason is StopReason.END_TURN and message.tool_uses:
        return StopReason.TOOL_USE
    return stop_reason


def refusal_of(body: bytes, otherwise: type[CallFailed]) -> Refusal:
    """Read an error document; `otherwise` is its kind where it does not say."""
    try:
        error = _ERROR_DECODER.decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Refusal(otherwise, "", "")
    if isinstance(error, str):
        return Refusal(otherwise, "", error)
    if isinstance(error.code, int):
        # Some compatible servers repeat the status here; inside a stream it is the only one.
        otherwise = kind_of_status(error.code)
    code = str(error.code or "")
    kind = _KINDS.get(code) or _KINDS.get(error.type or "") or otherwise
    return Refusal(kind, (code or error.type or "")[:64], error.message or "")
