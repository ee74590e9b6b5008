"""Answers in Amazon Bedrock's Converse format: whole ones, streams and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
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
from toka.llm_gateway._messages import Citation, ModelMessage, Native, Reasoning, Text, ToolUse
from toka.llm_gateway._response import StopReason, Usage
from toka.llm_gateway.formats._dialect import Answer, Refusal, StreamRefused, parse_arguments
from toka.llm_gateway.formats._json import as_object, as_objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._messages import Part
    from toka.llm_gateway.formats._dialect import Delta
    from toka.llm_gateway.formats._sse import ServerSentEvent
    from toka.types import Json, JsonObject


class WireUsage(msgspec.Struct, rename="camel"):
    """Tokens; what the cache gave and took is not within the input."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0

    def usage(self) -> Usage:
        """Return them in the neutral form."""
        return Usage(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_write_input_tokens,
        )


class _Message(msgspec.Struct):
    content: list[dict[str, object]]


class _Output(msgspec.Struct):
    message: _Message


class WireAnswer(msgspec.Struct, rename="camel"):
    """A whole answer."""

    output: _Output
    stop_reason: str
    usage: WireUsage | None = None


class _Complaint(msgspec.Struct):
    message: str = ""


class _Event(msgspec.Struct, rename="camel"):
    """Any event of the stream; fields that its type does not have keep their defaults."""

    content_block_index: int = -1
    start: dict[str, object] = {}
    delta: dict[str, object] = {}
    stop_reason: str = ""
    usage: WireUsage | None = None


_EVENTS: Final = msgspec.json.Decoder(_Event)
_COMPLAINTS: Final = msgspec.json.Decoder(_Complaint)
_FAILED: Final = b"Exception"
_MODEL_FAILED: Final = 424
_TOO_LONG: Final = ("too long", "context length", "maximum number of tokens", "too many input")

_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "guardrail_intervened": StopReason.REFUSAL,
    "content_filtered": StopReason.REFUSAL,
}
_KINDS: Final[Mapping[str, type[CallFailed]]] = {
    "accessDeniedException": AuthenticationFailed,
    "internalServerException": ProviderError,
    "modelErrorException": ProviderError,
    "modelNotReadyException": Overloaded,
    "modelStreamErrorException": ProviderError,
    "modelTimeoutException": ProviderError,
    "resourceNotFoundException": ModelNotFound,
    "serviceUnavailableException": Overloaded,
    "throttlingException": RateLimited,
    "validationException": InvalidRequest,
}


def refusal_of(body: bytes, status: int, otherwise: type[CallFailed]) -> Refusal:
    """Read an error document; `otherwise` is its kind, for the document does not say."""
    # Dependency failed: the model did, and may not the next time.
    return _refusal(body, "", ProviderError if status == _MODEL_FAILED else otherwise)


def _refusal(body: bytes, reason: str, kind: type[CallFailed]) -> Refusal:
    try:
        sentence = _COMPLAINTS.decode(body).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        sentence = ""
    if kind is InvalidRequest and any(words in sentence.lower() for words in _TOO_LONG):
        kind = ContextTooLong
    return Refusal(kind, reason, sentence)


def answer_of(wire: WireAnswer) -> Answer:
    """Return a whole answer in the neutral form."""
    blocks: list[JsonObject] = wire.output.message.content  # type: ignore[assignment]  # JSON
    return _answer([_part(block) for block in blocks], wire.stop_reason, wire.usage, 0)


def _answer(parts: list[Part], reason: str, usage: WireUsage | None, skipped: int) -> Answer:
    return Answer(
        ModelMessage("assistant", tuple(parts)),
        _stop_reason(reason),
        Usage(reported=False) if usage is None else usage.usage(),
        # An answer does not name its model.
        "",
        skipped,
    )


def _stop_reason(reason: str) -> StopReason:
    if reason == "malformed_tool_use":
        raise ToolArgumentsInvalid("The model called a tool in a way that makes no sense.")
    known = _STOP_REASONS.get(reason)
    if known is None:
        raise ResponseInvalid(f"The answer ends for an unknown reason: {reason[:40]!r}.")
    return known


def _part(block: JsonObject) -> Part:
    if "text" in block:
        return Text(text(block, "text"))
    if "toolUse" in block and "type" not in as_object(block["toolUse"]):
        use = as_object(block["toolUse"])
        return ToolUse(text(use, "toolUseId"), text(use, "name"), as_object(use.get("input")))
    if "reasoningContent" in block:
        return _reasoning(as_object(block["reasoningContent"]))
    if "citationsContent" in block:
        cited = as_object(block["citationsContent"])
        said = "".join([text(piece, "text") for piece in as_objects(cited.get("content"))])
        return Text(said, tuple([_citation(each) for each in as_objects(cited.get("citations"))]))
    return Native("converse", block)


def _reasoning(content: JsonObject) -> Reasoning:
    if "redactedContent" in content:
        return Reasoning("", text(content, "redactedContent"), redacted=True, format="converse")
    thought = as_object(content.get("reasoningText"))
    return Reasoning(text(thought, "text"), text(thought, "signature"), format="converse")


def _citation(data: JsonObject) -> Citation:
    quoted = "".join([text(piece, "text") for piece in as_objects(data.get("sourceContent"))])
    address = text(as_object(as_object(data.get("location")).get("web")), "url")
    return Citation(quoted, text(data, "title"), address, format="converse", data=data)


class _Block:
    """A block that is still growing. Only tools have an opening event."""

    __slots__ = ("arguments", "citations", "items", "redacted", "seal", "start", "thought", "words")

    def __init__(self, start: JsonObject) -> None:
        self.start: Final = start
        self.words: Final[list[str]] = []
        self.thought: Final[list[str]] = []
        self.arguments: Final[list[str]] = []
        self.citations: Final[list[JsonObject]] = []
        self.items: Final[list[Json]] = []
        self.seal = ""
        self.redacted = False

    @property
    def use(self) -> JsonObject:
        """The tool use that this is; empty for anything else, and for the provider's own tools."""
        use = as_object(self.start.get("toolUse"))
        return {} if "type" in use else use

    def grow(self, delta: JsonObject) -> Iterator[Delta]:
        """Take a piece and yield what it brings."""
        if "text" in delta:
            self.words.append(text(delta, "text"))
            if self.words[-1]:
                yield TextDelta(self.words[-1])
        elif "toolUse" in delta:
            self.arguments.append(text(as_object(delta["toolUse"]), "input"))
            if self.use and self.arguments[-1]:
                yield ArgumentsDelta(text(self.use, "toolUseId"), self.arguments[-1])
        elif "reasoningContent" in delta:
            yield from self._think(as_object(delta["reasoningContent"]))
        elif "citation" in delta:
            self.citations.append(as_object(delta["citation"]))
        elif "toolResult" in delta:
            self.items.extend(as_objects(delta["toolResult"]))

    def _think(self, delta: JsonObject) -> Iterator[Delta]:
        sealed = text(delta, "redactedContent")
        self.redacted = self.redacted or bool(sealed)
        self.seal += sealed or text(delta, "signature")
        thought = text(delta, "text")
        self.thought.append(thought)
        if thought:
            yield ReasoningDelta(thought)

    def part(self) -> Part | None:
        """Return what has grown; None for what never had content."""
        if self.start:
            return self._tool()
        if self.thought:
            return Reasoning(
                "".join(self.thought), self.seal, redacted=self.redacted, format="converse"
            )
        if not self.words:
            return None
        return Text("".join(self.words), tuple([_citation(each) for each in self.citations]))

    def _tool(self) -> Part:
        written = "".join(self.arguments)
        if self.use:
            name = text(self.use, "name")
            return ToolUse(text(self.use, "toolUseId"), name, parse_arguments(written, name))
        if "toolUse" in self.start:
            use = as_object(self.start["toolUse"])
            called = {**use, "input": parse_arguments(written, text(use, "name"))}
            return Native("converse", {"toolUse": called})
        if "toolResult" in self.start:
            given = {**as_object(self.start["toolResult"]), "content": self.items}
            return Native("converse", {"toolResult": given})
        raise ResponseInvalid(f"The stream has a block of an unknown kind: {list(self.start)[:3]}.")


class ConverseAssembler:
    """Puts one stream together."""

    def __init__(self) -> None:
        self._blocks: Final[dict[int, _Block]] = {}
        self._reason = ""
        self._usage: WireUsage | None = None
        self._skipped = 0

    @property
    def complete(self) -> bool:
        return bool(self._reason)

    @property
    def finished(self) -> bool:
        # The usage comes last, and behind the reason.
        return bool(self._reason) and self._usage is not None

    def feed(self, event: ServerSentEvent) -> Iterator[Delta]:
        if event.name.endswith(_FAILED):
            name = event.name.decode(errors="replace")[:64]
            raise StreamRefused(_refusal(event.data, name, _KINDS.get(name, ProviderError)))
        try:
            wire = _EVENTS.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._skipped += 1
            return
        match event.name:
            case b"contentBlockDelta":
                block = self._blocks.setdefault(wire.content_block_index, _Block({}))
                yield from block.grow(wire.delta)  # type: ignore[arg-type]  # JSON by origin
            case b"contentBlockStart":
                yield from self._open(wire)
            case b"contentBlockStop":
                part = self._blocks.get(wire.content_block_index, _Block({})).part()
                if part is not None:
                    yield PartEnd(part)
            case b"messageStop":
                self._reason = wire.stop_reason
            case b"metadata":
                self._usage = wire.usage
            case _:
                # The start of the message, and the event types that the provider may add.
                return

    def answer(self) -> Answer:
        if not self._reason:
            raise StreamInterrupted("The stream ended before the answer did.")
        blocks = [block for _, block in sorted(self._blocks.items())]
        parts = [part for block in blocks if (part := block.part()) is not None]
        return _answer(parts, self._reason, self._usage, self._skipped)

    def _open(self, wire: _Event) -> Iterator[Delta]:
        if wire.content_block_index in self._blocks:
            raise ResponseInvalid(f"The stream opens block {wire.content_block_index} twice.")
        start: JsonObject = wire.start  # type: ignore[assignment]  # JSON by origin
        block = self._blocks[wire.content_block_index] = _Block(start)
        if block.use:
            yield ToolUseStart(text(block.use, "toolUseId"), text(block.use, "name"))
