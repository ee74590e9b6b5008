"""Anthropic's Messages format, version 2023-06-01, as a client speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.llm_gateway._messages import ModelMessage
from toka.llm_gateway.formats._dialect import (
    Answer,
    Assembler,
    Counting,
    Refusal,
    counter,
    decode_body,
    encode_body,
    kind_of_status,
)
from toka.llm_gateway.formats._translation import Translation
from toka.llm_gateway.formats.anthropic._encode import request_body
from toka.llm_gateway.formats.anthropic._stream import AnthropicAssembler
from toka.llm_gateway.formats.anthropic._wire import (
    WireUsage,
    part_of,
    refusal_of,
    stop_reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._request import ModelRequest
    from toka.types import JsonObject

API_VERSION: Final = "2023-06-01"


class _WireMessage(msgspec.Struct):
    model: str
    content: list[msgspec.Raw]
    stop_reason: str | None
    usage: WireUsage | None = None


_UNCOUNTED: Final = frozenset(
    {"max_tokens", "metadata", "service_tier", "stop_sequences", "temperature", "top_k", "top_p"}
)
"""Fields that bear on the answer only."""
_DECODER: Final = msgspec.json.Decoder(_WireMessage)


@attrs.frozen
class AnthropicDialect:
    """Speaks to `/v1/messages`."""

    extra: JsonObject
    """Further fields of every request, such as `thinking` or `cache_control`."""
    strict: bool = False
    beta: str = ""
    """The `anthropic-beta` header, for features that are not in the dated version."""

    def path(self, model: str, *, stream: bool) -> str:
        del model, stream
        return "/v1/messages"

    def headers(self, key: str | None) -> Mapping[str, str]:
        headers = {"anthropic-version": API_VERSION}
        if self.beta:
            headers["anthropic-beta"] = self.beta
        return headers if key is None else {"x-api-key": key, **headers}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        body = request_body(request, model, Translation("anthropic", self.strict))
        if stream:
            body["stream"] = True
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        wire = decode_body(_DECODER, body)
        return Answer(
            ModelMessage("assistant", tuple([part_of(block) for block in wire.content])),
            stop_reason_of(wire.stop_reason),
            (wire.usage or WireUsage()).usage(),
            wire.model,
        )

    def counting(self, request: ModelRequest, model: str) -> Counting | None:
        asked = request_body(request, model, Translation("anthropic", self.strict))
        kept = {name: value for name, value in asked.items() if name not in _UNCOUNTED}
        return Counting("/v1/messages/count_tokens", encode_body(kept), counter("input_tokens"))

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, kind_of_status(status))

    def assembler(self) -> Assembler:
        return AnthropicAssembler()
