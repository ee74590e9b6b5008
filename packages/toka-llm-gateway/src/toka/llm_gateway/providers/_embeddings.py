"""Embeddings in OpenAI's format, which every compatible server speaks."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._embedding import Embeddings
from toka.llm_gateway._errors import InvalidRequest, ResponseInvalid
from toka.llm_gateway._response import Estimate, Usage
from toka.llm_gateway.formats._dialect import decode_body, encode_body, kind_of_status
from toka.llm_gateway.http._caller import BYTES_PER_TOKEN, Caller
from toka.llm_gateway.http._options import HttpOptions
from toka.llm_gateway.http._secret import ApiKey
from toka.llm_gateway.providers._models import OPENAI_URL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toka.llm_gateway.formats._dialect import Refusal
    from toka.types import Json, JsonObject


class _Vector(msgspec.Struct):
    embedding: tuple[float, ...]
    index: int


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Embedded(msgspec.Struct):
    data: list[_Vector]
    model: str = ""
    usage: _Usage | None = None


_DECODER: Final = msgspec.json.Decoder(_Embedded)
_NOTHING: Final[JsonObject] = MappingProxyType({})
_DEFAULTS: Final = HttpOptions()


class OpenAIEmbeddingModel:
    """An embedding model behind OpenAI's format: OpenAI's own or any compatible one."""

    def __init__(
        self,
        name: str,
        key: ApiKey | str | None,
        *,
        base_url: str = OPENAI_URL,
        provider: str = "openai",
        options: HttpOptions = _DEFAULTS,
        extra: JsonObject = _NOTHING,
    ) -> None:
        """Prepare to call a model; nothing is sent before the first call.

        Args:
            name: The model.
            key: Sent as a bearer token; None sends no key.
            base_url: The address before `/embeddings`.
            provider: The name in results and errors, and the section of the price table.
            options: Limits, retries, prices.
            extra: Further fields of every request.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used.

        """
        self.provider: Final = provider
        self.name: Final = name
        self._extra: Final = dict(extra)
        own = ApiKey(key) if isinstance(key, str) else key
        self._caller: Final = Caller(provider, base_url, own, options, _refusal)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider!r}, {self.name!r})"

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embeddings:
        if not texts or not all(texts):
            raise InvalidRequest("There is nothing to embed, or one of the texts is empty.")
        body: dict[str, Json] = {
            "model": self.name,
            "input": list(texts),
            "encoding_format": "float",
        }
        if dimensions is not None:
            body["dimensions"] = dimensions
        encoded = encode_body({**body, **self._extra})
        call = self._caller.begin(self.name, "/embeddings", encoded, _headers)
        embedded, _ = await self._caller.whole(call, _read)
        vectors = _ordered(embedded, len(texts))
        told = embedded.usage is not None
        usage = Usage(embedded.usage.prompt_tokens if embedded.usage else 0, reported=told)
        model = embedded.model or self.name
        cost = self._caller.prices.cost(self.provider, model, usage)
        return Embeddings(vectors, usage, model, self.provider, cost, call.attempts)

    def estimate(self, texts: Sequence[str]) -> Estimate:
        """Reckon what a call takes at most: one token for every three bytes of each text."""
        tokens = sum(-(-len(text.encode()) // BYTES_PER_TOKEN) for text in texts)
        price = self._caller.prices.find(self.provider, self.name)
        return Estimate(tokens, 0, None if price is None else price.ceiling(tokens, 0))

    async def aclose(self) -> None:
        await self._caller.transport.aclose()


def _headers(key: str | None) -> Mapping[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _refusal(status: int, body: bytes) -> Refusal:
    from toka.llm_gateway.formats.chat._wire import refusal_of  # noqa: PLC0415 - loaded for errors

    return refusal_of(body, kind_of_status(status))


def _read(body: bytes) -> _Embedded:
    return decode_body(_DECODER, body)


def _ordered(embedded: _Embedded, count: int) -> tuple[tuple[float, ...], ...]:
    by_index = {vector.index: vector.embedding for vector in embedded.data}
    if by_index.keys() != set(range(count)):
        raise ResponseInvalid(f"{count} texts were sent, and other vectors came back.")
    return tuple([by_index[index] for index in range(count)])
