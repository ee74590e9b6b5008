"""OpenAI's chat completions format, as a client speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import attrs
import msgspec

from toka.llm_gateway._errors import ResponseInvalid
from toka.llm_gateway.formats._dialect import (
    Answer,
    Assembler,
    Counting,
    Refusal,
    decode_body,
    encode_body,
    kind_of_status,
)
from toka.llm_gateway.formats._translation import Translation
from toka.llm_gateway.formats.chat._encode import request_body
from toka.llm_gateway.formats.chat._stream import OpenAIAssembler
from toka.llm_gateway.formats.chat._wire import (
    WireMessage,
    WireUsage,
    message_of,
    refusal_of,
    stop_reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._request import ModelRequest
    from toka.types import JsonObject


class _WireChoice(msgspec.Struct):
    message: WireMessage
    finish_reason: str | None = None


class _WireCompletion(msgspec.Struct):
    choices: list[_WireChoice]
    model: str = ""
    usage: WireUsage | None = None


_DECODER: Final = msgspec.json.Decoder(_WireCompletion)


@attrs.frozen
class OpenAIDialect:
    """Speaks to `/chat/completions`."""

    limit_field: Literal["max_tokens", "max_completion_tokens"]
    """What the bound of the answer is called: OpenAI renamed it, others did not."""
    extra: JsonObject
    """Further fields of every request, such as `reasoning_effort`."""
    strict: bool = False
    key_header: str = "Authorization"
    """Where the key goes: `Authorization` as a bearer token, any other as it is."""
    query: str = ""
    """What follows the path, for example Azure's `?api-version=...`."""

    def path(self, model: str, *, stream: bool) -> str:
        del model, stream
        return f"/chat/completions{self.query}"

    def headers(self, key: str | None) -> Mapping[str, str]:
        if key is None:
            return {}
        return {self.key_header: f"Bearer {key}" if self.key_header == "Authorization" else key}

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        translation = Translation("chat", self.strict)
        body = request_body(request, model, self.limit_field, translation)
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return encode_body({**body, **self.extra})

    def decode(self, body: bytes) -> Answer:
        wire = decode_body(_DECODER, body)
        if not wire.choices:
            raise ResponseInvalid("The provider's answer holds no choice.")
        choice = wire.choices[0]
        said = choice.message
        message = message_of(said)
        return Answer(
            message,
            stop_reason_of(choice.finish_reason, message, refused=bool(said.refusal)),
            (wire.usage or WireUsage()).usage(),
            wire.model,
        )

    def counting(self, request: ModelRequest, model: str) -> Counting | None:
        del request, model
        return None

    def refusal(self, status: int, body: bytes) -> Refusal:
        return refusal_of(body, kind_of_status(status))

    def assembler(self) -> Assembler:
        return OpenAIAssembler()
