"""Messages and answers as they are kept: plain JSON, decoded with checks.

The form is stable: what an earlier version wrote is read by a later one. Fields at their defaults
are left out, keys are sorted, so equal values have equal bytes.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from toka.llm_gateway._messages import (
    CacheTtl,
    Citation,
    Document,
    Format,
    Image,
    Media,
    ModelMessage,
    Native,
    Part,
    Reasoning,
    Role,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway._response import Cost, ModelResponse, StopReason, Usage


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of all that follow."""


class _Citation(_Record, frozen=True, omit_defaults=True):
    data: dict[str, object]
    format: Format
    text: str = ""
    title: str = ""
    url: str = ""
    start: int | None = None
    end: int | None = None


class _Text(_Record, tag="text", frozen=True, omit_defaults=True):
    text: str
    citations: list[_Citation] = []
    cache: CacheTtl | None = None


class _Media(_Record, frozen=True, omit_defaults=True):
    data: str = ""
    media_type: str = ""
    url: str = ""
    file_id: str = ""


class _Image(_Record, tag="image", frozen=True, omit_defaults=True):
    media: _Media
    cache: CacheTtl | None = None
    detail: str = ""


class _Document(_Record, tag="document", frozen=True, omit_defaults=True):
    media: _Media
    title: str = ""
    cite: bool = False
    cache: CacheTtl | None = None


class _Use(_Record, tag="use", frozen=True, omit_defaults=True):
    id: str
    name: str
    arguments: msgspec.Raw
    cache: CacheTtl | None = None


class _Output(_Record, tag="output", frozen=True, omit_defaults=True):
    id: str
    content: str | list[_Text | _Image | _Document]
    error: bool = False
    cache: CacheTtl | None = None


class _Reasoning(_Record, tag="reasoning", frozen=True, omit_defaults=True):
    text: str
    signature: str = ""
    redacted: bool = False
    format: Format = "anthropic"


class _Native(_Record, tag="native", frozen=True, omit_defaults=True):
    format: Format
    data: msgspec.Raw


_Part: TypeAlias = _Text | _Image | _Document | _Use | _Output | _Reasoning | _Native


class MessageRecord(msgspec.Struct, frozen=True):
    """One message."""

    role: Role
    parts: list[_Part]


class _UsageRecord(_Record, frozen=True, omit_defaults=True):
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    reported: bool = True


class _ResponseRecord(_Record, frozen=True, omit_defaults=True):
    message: MessageRecord
    stop: Literal["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal"]
    usage: _UsageRecord
    model: str
    provider: str
    cost: int | None = None
    attempts: int = 1
    duration: int = 0
    request: str = ""


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_RESPONSES: Final = msgspec.json.Decoder(_ResponseRecord)


def message_record(message: ModelMessage) -> MessageRecord:
    """Return a message as it is kept."""
    return MessageRecord(message.role, [_part_record(part) for part in message.parts])


def message_of_record(record: MessageRecord) -> ModelMessage:
    """Return a kept message."""
    return ModelMessage(record.role, tuple([_part(part) for part in record.parts]))


def encode_response(response: ModelResponse) -> msgspec.Raw:
    """Return an answer as it is kept."""
    usage = response.usage
    record = _ResponseRecord(
        message_record(response.message),
        response.stop_reason.value,
        _UsageRecord(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            usage.reported,
        ),
        response.model,
        response.provider,
        None if response.cost is None else response.cost.micro_usd,
        response.attempts,
        response.duration_ns,
        response.request_id,
    )
    return msgspec.Raw(_ENCODER.encode(record))


def decode_response(data: msgspec.Raw | bytes) -> ModelResponse:
    """Return a kept answer.

    Raises:
        msgspec.ValidationError: It is not of the form.

    """
    record = _RESPONSES.decode(data)
    usage = record.usage
    return ModelResponse(
        message_of_record(record.message),
        StopReason(record.stop),
        Usage(
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
            usage.reported,
        ),
        record.model,
        record.provider,
        None if record.cost is None else Cost(record.cost),
        record.attempts,
        record.duration,
        record.request,
    )


def _part_record(part: Part) -> _Part:
    match part:
        case Text() | Image() | Document():
            return _shown_record(part)
        case ToolUse(identifier, name, arguments, cache):
            return _Use(identifier, name, msgspec.Raw(_ENCODER.encode(arguments)), cache)
        case ToolOutput(identifier, str(content), is_error, cache):
            return _Output(identifier, content, is_error, cache)
        case ToolOutput(identifier, content, is_error, cache):
            shown = [_shown_record(piece) for piece in content]  # type: ignore[arg-type]  # not str
            return _Output(identifier, shown, is_error, cache)
        case Reasoning(text, signature, redacted, written_in):
            return _Reasoning(text, signature, redacted, written_in)
        case Native(written_in, data):
            return _Native(written_in, msgspec.Raw(_ENCODER.encode(data)))


def _shown_record(part: Text | Image | Document) -> _Text | _Image | _Document:
    match part:
        case Text(text, citations, cache):
            return _Text(text, [_citation_record(cited) for cited in citations], cache)
        case Image(media, cache, detail):
            return _Image(_media_record(media), cache, detail)
        case Document(media, title, cite, cache):
            return _Document(_media_record(media), title, cite, cache)


def _citation_record(cited: Citation) -> _Citation:
    return _Citation(
        dict(cited.data),
        cited.format,
        cited.text,
        cited.title,
        cited.url,
        cited.start,
        cited.end,
    )


def _media_record(media: Media) -> _Media:
    return _Media(media.data, media.media_type, media.url, media.file_id)


def _part(record: _Part) -> Part:
    match record:
        case _Text() | _Image() | _Document():
            return _shown(record)
        case _Use():
            arguments = msgspec.json.decode(record.arguments)
            return ToolUse(record.id, record.name, arguments, record.cache)
        case _Output():
            return ToolOutput(record.id, _shown_content(record), record.error, record.cache)
        case _Reasoning():
            return Reasoning(record.text, record.signature, record.redacted, record.format)
        case _Native():
            return Native(record.format, msgspec.json.decode(record.data))


def _shown_content(record: _Output) -> str | tuple[Text | Image | Document, ...]:
    if isinstance(record.content, str):
        return record.content
    return tuple([_shown(piece) for piece in record.content])


def _shown(record: _Text | _Image | _Document) -> Text | Image | Document:
    match record:
        case _Text():
            return Text(
                record.text, tuple([_citation(cited) for cited in record.citations]), record.cache
            )
        case _Image():
            return Image(_media(record.media), record.cache, record.detail)
        case _Document():
            return Document(_media(record.media), record.title, record.cite, record.cache)


def _citation(record: _Citation) -> Citation:
    return Citation(
        record.text,
        record.title,
        record.url,
        record.start,
        record.end,
        record.format,
        record.data,  # type: ignore[arg-type]  # JSON by origin
    )


def _media(record: _Media) -> Media:
    return Media(record.data, record.media_type, record.url, record.file_id)
