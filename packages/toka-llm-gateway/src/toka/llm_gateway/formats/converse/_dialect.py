"""Amazon Bedrock's Converse format."""

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
    path_segment,
)
from toka.llm_gateway.formats._translation import Translation
from toka.llm_gateway.formats.converse._decode import (
    ConverseAssembler,
    WireAnswer,
    answer_of,
    refusal_of,
)
from toka.llm_gateway.formats.converse._encode import request_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._request import ModelRequest
    from toka.types import Json, JsonObject

_DECODER: Final = msgspec.json.Decoder(WireAnswer)
_COUNTED: Final = ("messages", "system", "toolConfig", "additionalModelRequestFields")


@attrs.frozen
class ConverseDialect:
    """Speaks to `/model/NAME/converse`."""

    extra: JsonObject
    """Further fields of every request, such as `additionalModelRequestFields`."""
    strict: bool = False

    def path(self, model: str, *, stream: bool) -> str:
        return f"/model/{path_segment(model)}/{'converse-stream' if stream else 'converse'}"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        del model, stream
        body = request_body(request, Translation("converse", self.strict))
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        return answer_of(decode_body(_DECODER, body))

    def counting(self, request: ModelRequest, model: str) -> Counting | None:
        body = {**request_body(request, Translation("converse", self.strict)), **self.extra}
        asked: dict[str, Json] = {name: body[name] for name in _COUNTED if name in body}
        return Counting(
            f"/model/{path_segment(model)}/count-tokens",
            encode_body({"input": {"converse": asked}}),
            counter("inputTokens"),
        )

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, status, kind_of_status(status))

    def assembler(self) -> Assembler:
        return ConverseAssembler()
