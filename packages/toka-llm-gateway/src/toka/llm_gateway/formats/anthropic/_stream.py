"""Anthropic's event stream: blocks that open, grow and close, then a stop reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import ProviderError, ResponseInvalid, StreamInterrupted
from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    TextDelta,
    ToolUseStart,
)
from toka.llm_gateway._messages import ModelMessage, Native, Part, ToolUse
from toka.llm_gateway.formats._dialect import (
    Answer,
    Delta,
    StreamRefused,
    decode_body,
    parse_arguments,
)
from toka.llm_gateway.formats.anthropic._wire import (
    BLOCKS,
    WireUsage,
    decoded_part,
    refusal_of,
    stop_reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.llm_gateway.formats._sse import ServerSentEvent
    from toka.types import Json


class _Start(msgspec.Struct):
    model: str = ""
    usage: WireUsage | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    citation: dict[str, object] | None = None


class _Event(msgspec.Struct):
    """Any event of the stream; fields that its type does not have keep their defaults."""

    type: str
    index: int = -1
    message: _Start | None = None
    content_block: msgspec.Raw = msgspec.Raw(b"")
    delta: _Delta | None = None
    usage: WireUsage | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)
_GROWING: Final = frozenset({"text", "thinking", "redacted_thinking"})


class _Block:
    """A block that is still growing."""

    __slots__ = ("_part", "citations", "fragments", "raw", "signature", "wire")

    def __init__(self, raw: msgspec.Raw) -> None:
        self.raw: Final = bytes(raw)
        self.wire: Final = decode_body(BLOCKS, self.raw)
        self.fragments: Final[list[str]] = []
        self.signature = self.wire.signature
        self._part: Part | None = None
        self.citations: Final = list(self.wire.citations or ())

    def part(self) -> Part:
        if self._part is None:
            self._part = self._make()
        return self._part

    def _make(self) -> Part:
        grown = "".join(self.fragments)
        wire = self.wire
        if wire.type == "tool_use":
            # Arguments stream as text; those of the opening event are an empty placeholder.
            arguments = parse_arguments(grown, wire.name) if grown else wire.input
            return ToolUse(wire.id, wire.name, arguments)  # type: ignore[arg-type]  # JSON
        if wire.type in _GROWING:
            wire.text += grown
            wire.thinking += grown
            wire.signature, wire.citations = self.signature, self.citations
            return decoded_part(wire, self.raw)
        data: dict[str, Json] = msgspec.json.decode(self.raw)
        if grown:
            # The provider's own tools stream what they are called with, like ours.
            data["input"] = parse_arguments(grown, wire.name)
        return Native("anthropic", data)


class AnthropicAssembler:
    """Puts one stream together."""

    def __init__(self) -> None:
        self.finished = False
        self._stop_reason: str | None = None
        self._model = ""
        self._usage = WireUsage()
        self._blocks: dict[int, _Block] = {}
        self._skipped = 0

    @property
    def complete(self) -> bool:
        return self._stop_reason is not None

    def feed(self, event: ServerSentEvent) -> Iterator[Delta]:
        try:
            wire = _DECODER.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._skipped += 1
            return
        match wire.type:
            case "content_block_delta":
                yield from self._grow(wire.index, wire.delta or _Delta())
            case "content_block_start":
                yield from self._open(wire.index, wire.content_block)
            case "content_block_stop":
                if wire.index in self._blocks:
                    yield PartEnd(self._blocks[wire.index].part())
            case "message_start":
                self._begin(wire.message or _Start())
            case "message_delta":
                self._conclude(wire)
            case "message_stop":
                self.finished = True
            case "error":
                raise StreamRefused(refusal_of(event.data, ProviderError))
            case _:
                # Pings, and the event types that the provider may add.
                return

    def answer(self) -> Answer:
        if self._stop_reason is None:
            raise StreamInterrupted("The stream ended before the answer did.")
        parts = tuple([block.part() for _, block in sorted(self._blocks.items())])
        return Answer(
            ModelMessage("assistant", parts),
            stop_reason_of(self._stop_reason),
            self._usage.usage(),
            self._model,
            self._skipped,
        )

    def _begin(self, start: _Start) -> None:
        self._model = start.model
        self._usage.update(start.usage or WireUsage())

    def _conclude(self, wire: _Event) -> None:
        if wire.delta is not None:
            self._stop_reason = wire.delta.stop_reason or self._stop_reason
        self._usage.update(wire.usage or WireUsage())

    def _open(self, index: int, raw: msgspec.Raw) -> Iterator[Delta]:
        if not bytes(raw) or index in self._blocks:
            raise ResponseInvalid(f"The stream opens block {index} wrongly.")
        block = self._blocks[index] = _Block(raw)
        wire = block.wire
        if wire.type == "tool_use":
            yield ToolUseStart(wire.id, wire.name)
        elif wire.text:
            yield TextDelta(wire.text)

    def _grow(self, index: int, delta: _Delta) -> Iterator[Delta]:
        block = self._blocks.get(index)
        if block is None:
            raise ResponseInvalid(f"The stream continues block {index}, which was never opened.")
        match delta.type:
            case "text_delta":
                block.fragments.append(delta.text)
                if delta.text:
                    yield TextDelta(delta.text)
            case "input_json_delta":
                block.fragments.append(delta.partial_json)
                if delta.partial_json and block.wire.type == "tool_use":
                    yield ArgumentsDelta(block.wire.id, delta.partial_json)
            case "thinking_delta":
                block.fragments.append(delta.thinking)
                if delta.thinking:
                    yield ReasoningDelta(delta.thinking)
            case "signature_delta":
                block.signature += delta.signature
            case "citations_delta":
                block.citations.append(delta.citation or {})
            case _:
                # Kinds to come.
                return
