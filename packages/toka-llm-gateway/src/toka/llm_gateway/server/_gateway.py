"""The HTTP server: existing programs change one address and use everything that stands behind it.

An answer begins when the first piece of it is here: whatever fails before that is answered with a
status of its own, after the routes behind have tried what they can. What fails later ends the
stream with an error that SDKs raise; a half answer never looks like a whole one.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec
from aiohttp import web

from toka.llm_gateway._errors import (
    InvalidRequest,
    LlmFailure,
    ModelNotFound,
    StreamInterrupted,
)
from toka.llm_gateway._events import StreamRestart
from toka.llm_gateway._prices import PriceTable
from toka.llm_gateway._response import ModelResponse
from toka.llm_gateway.formats._face import needed, read_object
from toka.llm_gateway.formats._json import integer
from toka.llm_gateway.server._access import OpenAccess, check_allowed
from toka.llm_gateway.server._audit import NoAudit
from toka.llm_gateway.server._exchange import Exchange, credential_of
from toka.llm_gateway.server._faces import FACES, OTHER
from toka.llm_gateway.server._failures import failure_of
from toka.llm_gateway.server._ledger import MemoryLedger
from toka.llm_gateway.server._spending import Reservation, Spending
from toka.types import NOTHING, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from toka.llm_gateway._embedding import EmbeddingModel
    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._limits import ModelLimits
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway.formats._face import Asked, Face
    from toka.llm_gateway.server._access import Access, Tenant
    from toka.llm_gateway.server._audit import Audit
    from toka.llm_gateway.server._catalog import ModelCatalog
    from toka.llm_gateway.server._ledger import Ledger
    from toka.types import Json, JsonObject

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
_JSON: Final = "application/json"


@attrs.frozen
class _Wanted:
    """A call that was let in."""

    asked: Asked
    model: Model
    request: ModelRequest
    tenant: Tenant


class Gateway:
    """Serves models in OpenAI's and Anthropic's formats."""

    def __init__(
        self,
        catalog: ModelCatalog,
        *,
        access: Access | None = None,
        ledger: Ledger | None = None,
        audit: Audit | None = None,
        embeddings: Mapping[str, EmbeddingModel] | None = None,
        prices: PriceTable | None = None,
        clock: Clock | None = None,
        max_request_bytes: int = MAX_REQUEST_BYTES,
    ) -> None:
        """Prepare to serve.

        Args:
            catalog: What is served, under which names.
            access: Who is let in; everybody if left out.
            ledger: Where budgets are kept; in memory if left out.
            audit: Where each request is written down; nowhere if left out.
            embeddings: Embedding models by the names that callers know them by.
            prices: Which limits models are listed with; the built-in ones if left out.
            clock: Where the time comes from.
            max_request_bytes: The largest request that is read.

        """
        self._catalog: Final = catalog
        self._access: Final = OpenAccess() if access is None else access
        self._ledger: Final = MemoryLedger() if ledger is None else ledger
        self._audit: Final = NoAudit() if audit is None else audit
        self._embeddings: Final = dict(embeddings or {})
        self._prices: Final = PriceTable.built_in() if prices is None else prices
        self._clock: Final[Clock] = clock or SystemClock()
        self._limit: Final = max_request_bytes

    def application(self) -> web.Application:
        """Return the aiohttp application. It closes the models when it is cleaned up."""
        application = web.Application(client_max_size=self._limit)
        for path, face in FACES.items():
            application.router.add_post(path, self._served(face, self._answer))
        add_get, add_post = application.router.add_get, application.router.add_post
        add_post("/v1/embeddings", self._served(OTHER, self._embed))
        add_post("/v1/messages/count_tokens", self._served(FACES["/v1/messages"], self._count))
        add_get("/v1/models", self._served(OTHER, self._list))
        add_get("/v1/models/{name:.+}", self._served(OTHER, self._describe))
        add_get("/healthz", _health)
        application.on_cleanup.append(self._close)
        return application

    def _served(
        self, face: Face, handle: Callable[[Exchange, Face], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(http: web.Request) -> web.StreamResponse:
            exchange = Exchange(http, self._clock)
            try:
                return await handle(exchange, face)
            except LlmFailure as error:
                return _refused(exchange, face, error)
            finally:
                exchange.close(self._audit)

        return serve

    async def _answer(self, exchange: Exchange, face: Face) -> web.StreamResponse:
        wanted = await self._let_in(exchange, face)
        spending = Spending(self._ledger, wanted.tenant, wanted.model, wanted.request)
        try:
            if wanted.asked.stream:
                return await _stream(exchange, face, wanted, spending)
            return await _whole(exchange, face, wanted, spending)
        finally:
            spending.settle()

    async def _let_in(self, exchange: Exchange, face: Face) -> _Wanted:
        tenant = await self._admit(exchange)
        asked = face.parse(await _read(exchange))
        exchange.learn(model=asked.model)
        model, name = self._catalog.find(asked.model)
        check_allowed(tenant, asked.model)
        request = attrs.evolve(
            asked.request,
            model=name,
            idempotency_key=exchange.idempotency_key,
            metadata={"tenant": tenant.name},
        )
        return _Wanted(asked, model, request, tenant)

    async def _admit(self, exchange: Exchange) -> Tenant:
        tenant = await self._access.admit(credential_of(exchange.http.headers))
        exchange.learn(tenant=tenant.name)
        return tenant

    async def _count(self, exchange: Exchange, face: Face) -> web.StreamResponse:
        tenant = await self._admit(exchange)
        body = read_object(await _read(exchange))
        asked = face.parse(msgspec.json.encode({"max_tokens": 1, **body}))
        exchange.learn(model=asked.model)
        model, name = self._catalog.find(asked.model)
        check_allowed(tenant, asked.model)
        estimate = model.estimate(attrs.evolve(asked.request, model=name))
        return _said(exchange, {"input_tokens": estimate.input_tokens})

    async def _embed(self, exchange: Exchange, face: Face) -> web.StreamResponse:
        del face
        tenant = await self._admit(exchange)
        body = read_object(await _read(exchange))
        name = needed(body, "model")
        exchange.learn(model=name)
        model = self._embeddings.get(name)
        if model is None:
            raise ModelNotFound(f"No embedding model is served under the name {name[:80]!r}.")
        check_allowed(tenant, name)
        texts = _texts(body.get("input"))
        reserved = Reservation(self._ledger, tenant, model.name, lambda: model.estimate(texts))
        used = NOTHING
        try:
            made = await model.embed(texts, dimensions=integer(body, "dimensions"))
            used = reserved.told(made.usage, made.cost)
        finally:
            reserved.settle(lambda: used)
        base64 = body.get("encoding_format") == "base64"
        data: list[Json] = [
            {"object": "embedding", "index": index, "embedding": _vector(vector, base64=base64)}
            for index, vector in enumerate(made.vectors)
        ]
        tokens = made.usage.input_tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _said(exchange, {"object": "list", "data": data, "model": name, "usage": usage})

    async def _list(self, exchange: Exchange, face: Face) -> web.StreamResponse:
        del face
        tenant = await self._admit(exchange)
        served = [*[name for name, _ in self._catalog], *self._embeddings]
        data = [self._description(name) for name in served if tenant.may_call(name)]
        return _said(exchange, {"object": "list", "data": data, "has_more": False})

    async def _describe(self, exchange: Exchange, face: Face) -> web.StreamResponse:
        del face
        tenant = await self._admit(exchange)
        name = exchange.http.match_info["name"]
        if name not in self._embeddings:
            self._catalog.find(name)
        check_allowed(tenant, name)
        return _said(exchange, self._description(name))

    def _description(self, name: str) -> JsonObject:
        # Fields of both formats: either kind of SDK finds its own.
        owner: EmbeddingModel | Model | None = self._embeddings.get(name)
        at_provider = None
        if owner is None:
            owner, at_provider = self._catalog.find(name)
        # A name that stands for many has no limits of its own.
        at_provider = name if name.endswith("*") else at_provider or owner.name
        limits = self._prices.limits_of(owner.provider, at_provider)
        return {
            "id": name,
            "object": "model",
            "type": "model",
            "display_name": name,
            "created": 0,
            "created_at": "1970-01-01T00:00:00Z",
            "owned_by": owner.provider,
            **_shown(limits),
        }

    async def _close(self, _: web.Application) -> None:
        await self._catalog.aclose()
        for model in self._embeddings.values():
            await model.aclose()


def _shown(limits: ModelLimits) -> dict[str, Json]:
    """Return what is known of a model's limits; the first two as Anthropic's SDK reads them."""
    shown: dict[str, Json] = {
        "max_input_tokens": limits.context_window,
        "max_tokens": limits.max_output_tokens,
        "input_modalities": None if limits.modalities is None else sorted(limits.modalities),
        "tools": limits.tools,
    }
    return {name: value for name, value in shown.items() if value is not None}


async def _whole(
    exchange: Exchange, face: Face, wanted: _Wanted, spending: Spending
) -> web.StreamResponse:
    response = await wanted.model.complete(wanted.request)
    spending.saw(response)
    exchange.answered(response, streamed=False)
    body = face.whole(response, wanted.asked, exchange.stamp)
    return web.Response(body=body, content_type=_JSON, headers=exchange.headers)


async def _stream(
    exchange: Exchange, face: Face, wanted: _Wanted, spending: Spending
) -> web.StreamResponse:
    renderer = face.renderer(wanted.asked, exchange.stamp)
    # A `Model` promises an iterator only; all of ours are generators.
    stream = cast("AsyncGenerator[StreamEvent, None]", wanted.model.stream(wanted.request))
    async with aclosing(stream) as events:
        event = await anext(events)
        answer = web.StreamResponse(headers={**exchange.headers, "Cache-Control": "no-store"})
        answer.content_type = "text/event-stream"
        await answer.prepare(exchange.http)
        try:
            while True:
                _check_restart(event)
                spending.saw(event)
                await answer.write(renderer.feed(event))
                if isinstance(event, ModelResponse):
                    exchange.answered(event, streamed=True)
                    break
                event = await anext(events)
        except LlmFailure as error:
            failure = failure_of(error)
            exchange.failed(failure)
            await answer.write(renderer.failed("server_error", failure.code, failure.message))
    await answer.write_eof()
    return answer


def _check_restart(event: StreamEvent) -> None:
    if isinstance(event, StreamRestart):
        # The formats have no word for taking back what was said.
        raise StreamInterrupted(
            "The answer broke off half way; what came is not the answer.",
            hint="Ask again: another route has taken over.",
        )


def _refused(exchange: Exchange, face: Face, error: LlmFailure) -> web.Response:
    failure = failure_of(error)
    exchange.failed(failure)
    return web.Response(
        body=face.error(failure.status, failure.code, failure.message),
        status=failure.status,
        content_type=_JSON,
        headers={**exchange.headers, **failure.headers},
    )


def _said(exchange: Exchange, body: JsonObject) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), content_type=_JSON, headers=exchange.headers
    )


async def _read(exchange: Exchange) -> bytes:
    try:
        return await exchange.http.read()
    except web.HTTPRequestEntityTooLarge:
        failure = InvalidRequest("The request is larger than this gateway reads.")
    raise failure


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _texts(value: Json) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
    if not texts or len(texts) < len(cast("list[Json]", value)):
        raise InvalidRequest("input: a text or a list of texts is required; tokens are not taken.")
    return texts


def _vector(vector: tuple[float, ...], *, base64: bool) -> Json:
    if not base64:
        return vector
    import struct  # noqa: PLC0415 - only for this encoding
    from base64 import b64encode  # noqa: PLC0415

    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
