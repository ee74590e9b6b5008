"""Google's Gemini format, as a client speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.llm_gateway._errors import ResponseInvalid
from toka.llm_gateway.formats._dialect import (
    Answer,
    Assembler,
    Counting,
    Refusal,
    counter,
    decode_body,
    encode_body,
    kind_of_status,
    path_segment,
)
from toka.llm_gateway.formats._translation import Translation
from toka.llm_gateway.formats.gemini._decode import GeminiAssembler, WireAnswer, refusal_of
from toka.llm_gateway.formats.gemini._encode import request_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._request import ModelRequest
    from toka.types import JsonObject

_DECODER: Final = msgspec.json.Decoder(WireAnswer)


@attrs.frozen
class GeminiDialect:
    """Speaks to `/models/NAME:generateContent`."""

    extra: JsonObject
    """Further fields of every request, such as `safetySettings`."""
    strict: bool = False

    def path(self, model: str, *, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/models/{path_segment(model)}:{method}"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"x-goog-api-key": key}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        del model, stream
        body = request_body(request, Translation("gemini", self.strict))
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        assembler = GeminiAssembler()
        for _ in assembler.take(decode_body(_DECODER, body)):
            # The answer has it all.
            pass
        if not assembler.complete:
            raise ResponseInvalid("The provider's answer holds no candidate that ended.")
        return assembler.answer()

    def counting(self, request: ModelRequest, model: str) -> Counting | None:
        asked = request_body(request, Translation("gemini", self.strict))
        asked["model"] = f"models/{model}"
        return Counting(
            f"/models/{path_segment(model)}:countTokens",
            encode_body({"generateContentRequest": asked}),
            counter("totalTokens"),
        )

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, kind_of_status(status))

    def assembler(self) -> Assembler:
        return GeminiAssembler()
