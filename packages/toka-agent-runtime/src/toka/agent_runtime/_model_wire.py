"""Messages and answers of models as they are recorded: plain JSON, decoded with checks."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from toka.llm_gateway import (
    Cost,
    ModelMessage,
    ModelResponse,
    Part,
    Reasoning,
    Role,
    StopReason,
    Text,
    ToolOutput,
    ToolUse,
    Usage,
)


class _Text(msgspec.Struct, tag="text", frozen=True):
    text: str


class _Use(msgspec.Struct, tag="use", frozen=True):
    id: str
    name: str
    arguments: msgspec.Raw


class _Output(msgspec.Struct, tag="output", frozen=True, omit_defaults=True):
    id: str
    content: str
    error: bool = False


class _Reasoning(msgspec.Struct, tag="reasoning", frozen=True, omit_defaults=True):
    text: str
    signature: str = ""
    redacted: bool = False


_Part: TypeAlias = _Text | _Use | _Output | _Reasoning


class MessageRecord(msgspec.Struct, frozen=True):
    """One message."""

    role: Role
    parts: list[_Part]


class _UsageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    reported: bool = True


class _ResponseRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    message: MessageRecord
    stop: str
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
    """Return a message as it is recorded."""
    return MessageRecord(message.role, [_part_record(part) for part in message.parts])


def _part_record(part: Part) -> _Part:
    match part:
        case Text(text):
            return _Text(text)
        case ToolUse(identifier, name, arguments):
            return _Use(identifier, name, msgspec.Raw(_ENCODER.encode(arguments)))
        case ToolOutput(identifier, content, is_error):
            return _Output(identifier, content, is_error)
        case Reasoning(text, signature, redacted):
            return _Reasoning(text, signature, redacted)


def _message(record: MessageRecord) -> ModelMessage:
    return ModelMessage(record.role, tuple([_part(part) for part in record.parts]))


def _part(record: _Part) -> Part:
    match record:
        case _Text():
            return Text(record.text)
        case _Use():
            return ToolUse(record.id, record.name, msgspec.json.decode(record.arguments))
        case _Output():
            return ToolOutput(record.id, record.content, record.error)
        case _Reasoning():
            return Reasoning(record.text, record.signature, record.redacted)


def encode_response(response: ModelResponse) -> msgspec.Raw:
    """Return an answer as it is recorded."""
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


def decode_response(data: msgspec.Raw) -> ModelResponse:
    """Return a recorded answer."""
    record = _RESPONSES.decode(data)
    usage = record.usage
    return ModelResponse(
        _message(record.message),
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
