"""OpenAI's event stream: deltas of one message, a finish reason, usage, `[DONE]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import ProviderError, StreamInterrupted
from toka.llm_gateway._events import ArgumentsDelta, ReasoningDelta, TextDelta, ToolUseStart
from toka.llm_gateway.formats._dialect import Answer, Delta, StreamRefused
from toka.llm_gateway.formats.chat._wire import (
    WireError,
    WireFunction,
    WireMessage,
    WireToolCall,
    WireUsage,
    message_of,
    refusal_of,
    stop_reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.llm_gateway.formats._sse import ServerSentEvent

_DONE: Final = b"[DONE]"


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, object]] | None = None
    annotations: list[dict[str, object]] | None = None
    tool_calls: list[WireToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: WireUsage | None = None
    error: WireError | str | None = None


_DECODER: Final = msgspec.json.Decoder(_Chunk)


class _Call:
    """A tool call that is still growing."""

    __slots__ = ("fragments", "id", "name")

    def __init__(self, identifier: str) -> None:
        self.id = identifier
        self.name = ""
        self.fragments: Final[list[str]] = []

    def wire(self) -> WireToolCall:
        return WireToolCall(WireFunction(self.name, "".join(self.fragments)), self.id)


class OpenAIAssembler:
    """Puts one stream together."""

    def __init__(self) -> None:
        self.finished = False
        self._finish_reason: str | None = None
        self._model = ""
        self._usage: WireUsage | None = None
        self._text: Final[list[str]] = []
        self._refusal: Final[list[str]] = []
        self._reasoning: Final[list[str]] = []
        self._calls: Final[dict[int, _Call]] = {}
        self._details: Final[list[dict[str, object]]] = []
        self._annotations: Final[list[dict[str, object]]] = []
        self._skipped = 0

    @property
    def complete(self) -> bool:
        return self._finish_reason is not None

    def feed(self, event: ServerSentEvent) -> Iterator[Delta]:
        if event.data == _DONE:
            self.finished = True
            return
        try:
            chunk = _DECODER.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._skipped += 1
            return
        if chunk.error is not None:
            raise StreamRefused(refusal_of(event.data, ProviderError))
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        # One choice is asked for; the chunk that brings the usage has none.
        for choice in (chunk.choices or ())[:1]:
            self._finish_reason = choice.finish_reason or self._finish_reason
            if choice.delta is not None:
                yield from self._grow(choice.delta)

    def answer(self) -> Answer:
        if self._finish_reason is None:
            raise StreamInterrupted("The stream ended before the answer did.")
        calls = [call.wire() for _, call in sorted(self._calls.items())]
        message = message_of(
            WireMessage(
                "".join(self._text),
                "".join(self._refusal),
                "".join(self._reasoning),
                reasoning_details=self._details,
                annotations=self._annotations,
                tool_calls=calls,
            )
        )
        return Answer(
            message,
            stop_reason_of(self._finish_reason, message, refused=bool(self._refusal)),
            (self._usage or WireUsage()).usage(),
            self._model,
            self._skipped,
        )

    def _grow(self, delta: _Delta) -> Iterator[Delta]:
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            self._reasoning.append(thought)
            yield ReasoningDelta(thought)
        self._details.extend(delta.reasoning_details or ())
        self._annotations.extend(delta.annotations or ())
        if delta.content:
            self._text.append(delta.content)
            yield TextDelta(delta.content)
        if delta.refusal:
            self._refusal.append(delta.refusal)
            yield TextDelta(delta.refusal)
        for call in delta.tool_calls or ():
            yield from self._grow_call(call)

    def _grow_call(self, piece: WireToolCall) -> Iterator[Delta]:
        position = len(self._calls) if piece.index is None else piece.index
        call = self._calls.get(position)
        if call is None:
            call = self._calls[position] = _Call(piece.id or f"call_{position}")
            call.name = piece.function.name or ""
            yield ToolUseStart(call.id, call.name)
        if piece.function.arguments:
            call.fragments.append(piece.function.arguments)
            yield ArgumentsDelta(call.id, piece.function.arguments)
