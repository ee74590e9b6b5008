"""OpenAI's Responses format, as a client speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

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
from toka.llm_gateway.formats.chat._wire import refusal_of
from toka.llm_gateway.formats.responses._decode import WireResponse, answer_of
from toka.llm_gateway.formats.responses._encode import request_body
from toka.llm_gateway.formats.responses._stream import ResponsesAssembler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._request import ModelRequest
    from toka.types import JsonObject

_UNCOUNTED: Final = frozenset({"include", "max_output_tokens", "store", "temperature", "top_p"})
"""Fields that bear on the answer only."""
_DECODER: Final = msgspec.json.Decoder(WireResponse)


@attrs.frozen
class ResponsesDialect:
    """Speaks to `/responses`. Nothing is stored there: each call holds the whole conversation."""

    extra: JsonObject
    """Further fields of every request."""
    strict: bool = False

    def path(self, model: str, *, stream: bool) -> str:
        del model, stream
        return "/responses"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        body = request_body(request, model, Translation("responses", self.strict))
        if stream:
            body["stream"] = True
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        return answer_of(decode_body(_DECODER, body))

    def counting(self, request: ModelRequest, model: str) -> Counting | None:
        asked = request_body(request, model, Translation("responses", self.strict))
        kept = {name: value for name, value in asked.items() if name not in _UNCOUNTED}
        return Counting("/responses/input_tokens", encode_body(kept), counter("input_tokens"))

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, kind_of_status(status))

    def assembler(self) -> Assembler:
        return ResponsesAssembler()
