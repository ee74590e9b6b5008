"""Answers in Google's Gemini format: whole ones, streams and errors. A stream is pieces of answers.

A seal (`thoughtSignature`) may be on any piece and belongs to it. One on a thought is that
reasoning's own. One on anything else becomes `Reasoning` without text in front of its piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    ResponseInvalid,
    StreamInterrupted,
    ToolArgumentsInvalid,
)
from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    TextDelta,
    ToolUseStart,
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
from toka.llm_gateway.formats._dialect import Answer, Delta, Refusal, StreamRefused
from toka.llm_gateway.formats._json import as_object, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway.formats._sse import ServerSentEvent
    from toka.types import Json, JsonObject


class _Content(msgspec.Struct):
    parts: list[dict[str, object]] = []


class _Grounding(msgspec.Struct, rename="camel"):
    grounding_chunks: list[dict[str, object]] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    grounding_metadata: _Grounding | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0
    cached_content_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0

    def usage(self) -> Usage:
        read = self.prompt_token_count + self.tool_use_prompt_token_count
        return Usage(
            max(0, read - self.cached_content_token_count),
            self.candidates_token_count + self.thoughts_token_count,
            self.cached_content_token_count,
            0,
            self.thoughts_token_count,
        )


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class WireError(msgspec.Struct):
    """An error's number, name and sentence."""

    code: int | None = None
    status: str = ""
    message: str = ""


class WireAnswer(msgspec.Struct, rename="camel"):
    """An answer, or a piece of one."""

    candidates: list[_Candidate] = []
    usage_metadata: _Usage | None = None
    prompt_feedback: _Feedback | None = None
    model_version: str = ""
    response_id: str = ""
    error: WireError | None = None


class _ErrorBody(msgspec.Struct):
    error: WireError


_PIECES: Final = msgspec.json.Decoder(WireAnswer)
_ERRORS: Final = msgspec.json.Decoder(_ErrorBody)

_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "STOP": StopReason.END_TURN,
    "MAX_TOKENS": StopReason.MAX_TOKENS,
    "SAFETY": StopReason.REFUSAL,
    "RECITATION": StopReason.REFUSAL,
    "LANGUAGE": StopReason.REFUSAL,
    "BLOCKLIST": StopReason.REFUSAL,
    "PROHIBITED_CONTENT": StopReason.REFUSAL,
    "SPII": StopReason.REFUSAL,
    "IMAGE_SAFETY": StopReason.REFUSAL,
}
_BROKEN_CALLS: Final = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"})
_KINDS: Final[Mapping[str, type[CallFailed]]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": ContextTooLong,
    "UNAUTHENTICATED": AuthenticationFailed,
    "PERMISSION_DENIED": AuthenticationFailed,
    "NOT_FOUND": ModelNotFound,
    "RESOURCE_EXHAUSTED": RateLimited,
    "INTERNAL": ProviderError,
    "DEADLINE_EXCEEDED": ProviderError,
    "UNAVAILABLE": Overloaded,
}
_TOO_LONG: Final = "input token count"
_BAD_KEY: Final = "api key not valid"


def refusal_of(body: bytes, otherwise: type[CallFailed]) -> Refusal:
    """Read an error document; `otherwise` is its kind where it does not say."""
    try:
        error = _ERRORS.decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Refusal(otherwise, "", "")
    return _refusal(error, otherwise)


def _refusal(error: WireError, otherwise: type[CallFailed]) -> Refusal:
    kind = _KINDS.get(error.status, otherwise)
    sentence = error.message.lower()
    if kind is InvalidRequest and _TOO_LONG in sentence:
        kind = ContextTooLong
    if kind is InvalidRequest and _BAD_KEY in sentence:
        kind = AuthenticationFailed
    return Refusal(kind, error.status[:64], error.message)


class GeminiAssembler:
    """Puts the pieces of one answer together; a whole answer is one piece."""

    def __init__(self) -> None:
        self._parts: Final[list[Part]] = []
        self._reason: str | None = None
        self._usage: _Usage | None = None
        self._model = ""
        self._id = ""
        self._citations: Final[list[Citation]] = []
        self._skipped = 0

    @property
    def complete(self) -> bool:
        return self._reason is not None

    @property
    def finished(self) -> bool:
        # There is no mark of the end: the usage comes with the reason.
        return self._reason is not None and self._usage is not None

    def feed(self, event: ServerSentEvent) -> Iterator[Delta]:
        try:
            wire = _PIECES.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._skipped += 1
            return
        yield from self.take(wire)

    def take(self, wire: WireAnswer) -> Iterator[Delta]:
        """Take a piece and yield what it brings."""
        if wire.error is not None:
            raise StreamRefused(_refusal(wire.error, ProviderError))
        blocked = wire.prompt_feedback and wire.prompt_feedback.block_reason
        if blocked:
            raise StreamRefused(Refusal(ContentFiltered, blocked[:64], "The prompt was blocked."))
        self._model = wire.model_version or self._model
        self._id = wire.response_id or self._id
        self._usage = wire.usage_metadata or self._usage
        for candidate in wire.candidates[:1]:
            self._reason = candidate.finish_reason or self._reason
            if candidate.grounding_metadata is not None:
                self._cite(candidate.grounding_metadata)
            for part in candidate.content.parts if candidate.content else ():
                yield from self._add(part)  # type: ignore[arg-type]  # JSON by origin

    def answer(self) -> Answer:
        if self._reason is None:
            raise StreamInterrupted("The stream ended before the answer did.")
        message = ModelMessage("assistant", self._cited())
        return Answer(
            message,
            self._stop_reason(message),
            Usage(reported=False) if self._usage is None else self._usage.usage(),
            self._model,
            self._skipped,
        )

    def _stop_reason(self, message: ModelMessage) -> StopReason:
        if self._reason in _BROKEN_CALLS:
            raise ToolArgumentsInvalid("The model called a tool in a way that makes no sense.")
        reason = _STOP_REASONS.get(self._reason or "")
        if reason is None:
            raise ResponseInvalid(
                f"The answer ends for an unknown reason: {str(self._reason)[:40]!r}."
            )
        return StopReason.TOOL_USE if message.tool_uses else reason

    def _add(self, wire: JsonObject) -> Iterator[Delta]:
        sealed = text(wire, "thoughtSignature")
        if "functionCall" in wire:
            yield from self._seal(sealed)
            yield from self._call(as_object(wire["functionCall"]))
        elif wire.get("thought") is True:
            self._think(text(wire, "text"), sealed)
            yield ReasoningDelta(text(wire, "text"))
        elif "text" in wire:
            yield from self._seal(sealed)
            self._write(text(wire, "text"), alone=bool(sealed))
            if text(wire, "text"):
                yield TextDelta(text(wire, "text"))
        else:
            yield from self._seal(sealed)
            bare = {name: value for name, value in wire.items() if name != "thoughtSignature"}
            self._parts.append(Native("gemini", bare))
            yield PartEnd(self._parts[-1])

    def _seal(self, sealed: str) -> Iterator[Delta]:
        if sealed:
            self._parts.append(Reasoning("", sealed, redacted=True, format="gemini"))
            yield PartEnd(self._parts[-1])

    def _call(self, call: JsonObject) -> Iterator[Delta]:
        name = text(call, "name")
        if not name:
            raise ResponseInvalid("The answer holds a tool call that names no function.")
        # Calls may have no names of their own; the answer's and the position are one.
        identifier = text(call, "id") or f"{self._id or 'call'}_{len(self._parts)}"
        arguments: Json = as_object(call.get("args"))
        self._parts.append(ToolUse(identifier, name, as_object(arguments)))
        yield ToolUseStart(identifier, name)
        yield ArgumentsDelta(identifier, msgspec.json.encode(arguments).decode())
        yield PartEnd(self._parts[-1])

    def _think(self, thought: str, sealed: str) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Reasoning) and not last.redacted and not last.signature:
            self._parts[-1] = Reasoning(last.text + thought, sealed, format="gemini")
        else:
            self._parts.append(Reasoning(thought, sealed, format="gemini"))

    def _write(self, said: str, *, alone: bool) -> None:
        last = self._parts[-1] if self._parts else None
        before = self._parts[-2] if len(self._parts) > 1 else None
        held = isinstance(before, Reasoning) and before.redacted
        if isinstance(last, Text) and not alone and not held:
            self._parts[-1] = Text(last.text + said)
        else:
            self._parts.append(Text(said))

    def _cite(self, grounding: _Grounding) -> None:
        for chunk in grounding.grounding_chunks:
            data: JsonObject = chunk  # type: ignore[assignment]  # JSON by origin
            web = as_object(data.get("web"))
            self._citations.append(
                Citation(title=text(web, "title"), url=text(web, "uri"), format="gemini", data=data)
            )

    def _cited(self) -> tuple[Part, ...]:
        places = [n for n, part in enumerate(self._parts) if isinstance(part, Text)]
        parts = list(self._parts)
        if places and self._citations:
            last = parts[places[-1]]
            if isinstance(last, Text):
                parts[places[-1]] = Text(last.text, tuple(self._citations))
        return tuple(parts)
