"""OpenAI's Responses event stream: items that open, grow and close, then the whole response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import ProviderError, StreamInterrupted
from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    TextDelta,
    ToolUseStart,
)
from toka.llm_gateway.formats._dialect import Answer, Delta, StreamRefused
from toka.llm_gateway.formats._json import text
from toka.llm_gateway.formats.chat._wire import refusal_of
from toka.llm_gateway.formats.responses._decode import (
    WireFailure,
    WireResponse,
    answer_of,
    parts_of,
    refusal_of_failure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.llm_gateway.formats._sse import ServerSentEvent
    from toka.types import JsonObject


class _Event(msgspec.Struct):
    """Any event of the stream; fields that its type does not have keep their defaults."""

    type: str
    delta: str = ""
    output_index: int = -1
    item: dict[str, object] | None = None
    response: msgspec.Raw = msgspec.Raw(b"")
    code: str | None = None
    message: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)
_RESPONSES: Final = msgspec.json.Decoder(WireResponse)
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesAssembler:
    """Puts one stream together. The last event holds the whole answer once more."""

    def __init__(self) -> None:
        self._response: WireResponse | None = None
        self._calls: Final[dict[int, str]] = {}
        self._items: Final[list[msgspec.Raw]] = []
        self._skipped = 0

    @property
    def complete(self) -> bool:
        return self._response is not None

    @property
    def finished(self) -> bool:
        return self._response is not None

    def feed(self, event: ServerSentEvent) -> Iterator[Delta]:
        try:
            wire = _DECODER.decode(event.data)
            if wire.type in _ENDS:
                self._response = _RESPONSES.decode(wire.response)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._skipped += 1
            return
        match wire.type:
            case "response.output_text.delta" | "response.refusal.delta" if wire.delta:
                yield TextDelta(wire.delta)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield ReasoningDelta(wire.delta)
            case "response.output_item.added":
                yield from self._open(wire)
            case "response.function_call_arguments.delta" if wire.output_index in self._calls:
                yield ArgumentsDelta(self._calls[wire.output_index], wire.delta)
            case "response.output_item.done":
                yield from self._close(wire)
            case "error":
                failure = WireFailure(wire.code, wire.message)
                nested = refusal_of(event.data, ProviderError)
                raise StreamRefused(nested if nested.reason else refusal_of_failure(failure))
            case _:
                return

    def answer(self) -> Answer:
        if self._response is None:
            raise StreamInterrupted("The stream ended before the answer did.")
        if not self._response.output:
            # Some compatible servers do not say everything again at the end.
            self._response.output = self._items
        return answer_of(self._response, self._skipped)

    def _open(self, wire: _Event) -> Iterator[Delta]:
        item: JsonObject = wire.item or {}  # type: ignore[assignment]  # JSON by origin
        if item.get("type") == "function_call":
            identifier = text(item, "call_id", "id")
            self._calls[wire.output_index] = identifier
            yield ToolUseStart(identifier, text(item, "name"))

    def _close(self, wire: _Event) -> Iterator[Delta]:
        item: JsonObject = wire.item or {}  # type: ignore[assignment]  # JSON by origin
        self._items.append(msgspec.Raw(msgspec.json.encode(item)))
        for part in parts_of(item):
            yield PartEnd(part)
