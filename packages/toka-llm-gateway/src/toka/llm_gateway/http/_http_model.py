"""A model behind HTTP: encode, post, retry, decode, price."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ContextTooLong,
    ModelNotFound,
    ModelTimeout,
    QuotaExhausted,
    ResponseInvalid,
    StreamInterrupted,
)
from toka.llm_gateway._prices import PriceTable
from toka.llm_gateway._response import Estimate, ModelResponse
from toka.llm_gateway.formats._dialect import StreamRefused
from toka.llm_gateway.formats._sse import SseParser
from toka.llm_gateway.http._address import check_base_url
from toka.llm_gateway.http._quote import quote
from toka.llm_gateway.http._retry import RetryPolicy, retry_after_ns
from toka.llm_gateway.http._transport import Deadline, HttpAnswer, Timeouts, Transport
from toka.types import NANOSECONDS, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway.formats._dialect import Answer, Assembler, Delta, Dialect, Refusal
    from toka.llm_gateway.http._secret import ApiKey
    from toka.types import Json

MAX_RESPONSE_BYTES: Final = 32 * 1024 * 1024
_OK: Final = 200
_MAX_ERROR_BYTES: Final = 64 * 1024
_MAX_REQUEST_ID: Final = 200
_BYTES_PER_TOKEN: Final = 3
_AFTERMATH_SECONDS: Final = 2.0
"""For what follows the stop reason: usage and the end mark. The answer is whole by then."""
_DRAIN_SECONDS: Final = 0.25


def _random() -> float:
    import random  # noqa: PLC0415 - only a retry pays for it

    return random.random()  # noqa: S311 - jitter, no secret


@attrs.frozen
class HttpOptions:
    """How calls are made; what is asked is no part of it."""

    timeouts: Timeouts = attrs.field(factory=Timeouts)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    prices: PriceTable | None = None
    """None takes the built-in table."""
    max_output_tokens: int | None = None
    """A ceiling: no call asks for a longer answer, whatever its request says."""
    max_response_bytes: int = MAX_RESPONSE_BYTES
    allow_insecure: bool = False
    """Whether a key may travel over plain HTTP to another machine."""
    clock: Clock = attrs.field(factory=SystemClock)
    random: Callable[[], float] = _random
    """Draws from [0, 1), for jitter only."""


@attrs.define
class _Call:
    """One call and its tries so far."""

    model: str
    body: bytes = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(repr=False)
    started: int
    deadline: Deadline
    attempts: int = 1


class HttpModel:
    """Speaks a dialect over HTTP.

    A call is repeated while nothing of its answer was handed out and the failure is one that
    passes; never after. It belongs to one event loop until it is closed.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        provider: str,
        name: str,
        base_url: str,
        key: ApiKey | None,
        options: HttpOptions,
    ) -> None:
        self.provider: Final = provider
        self.name: Final = name
        self._dialect: Final = dialect
        self._key: Final = key
        self._options: Final = options
        self._clock: Final = options.clock
        self._transport: Final = Transport(
            check_base_url(base_url, key, allow_insecure=options.allow_insecure),
            options.timeouts,
            options.max_response_bytes,
        )
        self._prices = options.prices

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider!r}, {self.name!r})"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        call = self._begin(request, stream=False)
        while True:
            try:
                return await self._complete_once(call)
            except CallFailed as error:
                delay = self._delay(call, error)
                if delay is None:
                    raise
            await self._pause(call, delay)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        call = self._begin(request, stream=True)
        while True:
            handed_out = False
            try:
                async with aclosing(self._stream_once(call)) as events:
                    async for event in events:
                        handed_out = True
                        yield event
            except CallFailed as error:
                delay = self._delay(call, error)
                if handed_out or delay is None:
                    raise
            else:
                return
            await self._pause(call, delay)

    def estimate(self, request: ModelRequest) -> Estimate:
        """Reckon what the call takes at most.

        One token for every three bytes of the encoded request, rounded up. That is more than
        tokenizers make of prose and code in any script; text made to defeat a tokenizer can exceed
        it. The cost assumes the dearest kind of input and an answer that uses all its room.
        """
        request = self._bounded(request)
        model = request.model or self.name
        tokens = -(-len(self._dialect.encode(request, model, stream=False)) // _BYTES_PER_TOKEN)
        price = self._price_table().find(self.provider, model)
        cost = None if price is None else price.ceiling(tokens, request.max_output_tokens)
        return Estimate(tokens, request.max_output_tokens, cost)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _begin(self, request: ModelRequest, *, stream: bool) -> _Call:
        request = self._bounded(request)
        model = request.model or self.name
        key = None if self._key is None else self._key.reveal()
        headers = dict(self._dialect.headers(key))
        if request.idempotency_key:
            headers["Idempotency-Key"] = request.idempotency_key
        return _Call(
            model,
            self._dialect.encode(request, model, stream=stream),
            headers,
            self._clock.monotonic(),
            Deadline.after(self._options.timeouts.total, "total"),
        )

    async def _complete_once(self, call: _Call) -> ModelResponse:
        async with self._transport.post(
            self._dialect.path, call.body, call.headers, call.deadline
        ) as http:
            if http.status != _OK:
                raise await self._refused(call, http)
            body = await http.read(call.deadline)
            return self._response(call, self._dialect.decode(body), _request_id(http))

    async def _stream_once(self, call: _Call) -> AsyncGenerator[StreamEvent, None]:
        timeouts = self._options.timeouts
        opening = call.deadline.sooner(timeouts.first_token, "first_token")
        async with self._transport.post(
            self._dialect.path, call.body, call.headers, opening
        ) as http:
            if http.status != _OK:
                raise await self._refused(call, http)
            if http.content_type != "text/event-stream":
                raise ResponseInvalid(
                    f"The provider answered with {http.content_type[:60]!r} instead of a stream."
                )
            assembler = self._dialect.assembler()
            try:
                async with aclosing(self._deltas(call, http, assembler, opening)) as deltas:
                    async for delta in deltas:
                        yield delta
            except StreamRefused as signal:
                refusal = signal.refusal
            else:
                yield self._response(call, assembler.answer(), _request_id(http))
                return
            raise self._failure(call, refusal, _facts(http, self._clock.now()))

    async def _deltas(
        self, call: _Call, http: HttpAnswer, assembler: Assembler, opening: Deadline
    ) -> AsyncGenerator[Delta, None]:
        """Yield the stream's content until its end, which must come after its stop reason."""
        parser = SseParser(self._options.max_response_bytes)
        idle = self._options.timeouts.idle
        deadline = opening
        flowing = False
        while chunk := await _read_on(http, deadline, assembler):
            for event in parser.feed(chunk):
                for delta in assembler.feed(event):
                    flowing = True
                    yield delta
            if assembler.finished:
                # The body's end is due; a connection left before it cannot be used again.
                await _read_on(http, call.deadline.sooner(_DRAIN_SECONDS, "idle"), assembler)
                return
            if flowing or assembler.complete:
                wait = min(idle, _AFTERMATH_SECONDS) if assembler.complete else idle
                deadline = call.deadline.sooner(wait, "idle")

    def _response(self, call: _Call, answer: Answer, request_id: str) -> ModelResponse:
        model = answer.model or call.model
        cost = self._price_table().cost(self.provider, model, answer.usage)
        return ModelResponse(
            answer.message,
            answer.stop_reason,
            answer.usage,
            model,
            self.provider,
            cost,
            call.attempts,
            self._clock.monotonic() - call.started,
            request_id,
            answer.skipped_events,
        )

    async def _refused(self, call: _Call, http: HttpAnswer) -> CallFailed:
        facts = _facts(http, self._clock.now())
        body = b""
        try:
            body = await http.read(call.deadline)
        except CallFailed as error:
            # The status says enough; the body would only have explained it.
            facts["body"] = error.code
        refusal = self._dialect.refusal(http.status, body[:_MAX_ERROR_BYTES])
        return self._failure(call, refusal, facts)

    def _failure(self, call: _Call, refusal: Refusal, facts: dict[str, Json]) -> CallFailed:
        said = ", ".join([str(fact) for fact in (refusal.reason, facts.get("status")) if fact])
        message = f"{self.provider} did not answer the call to {call.model!r} ({said})"
        # Complaints about a key quote a part of it.
        if refusal.complaint and not issubclass(refusal.kind, AuthenticationFailed):
            message = f"{message}: {quote(refusal.complaint, call.body, self._key)}"
        return refusal.kind(
            message if message.endswith(".") else f"{message}.",
            hint=_hint(refusal.kind),
            details={**facts, "reason": refusal.reason},
        )

    def _delay(self, call: _Call, error: CallFailed) -> int | None:
        error.add_details(
            {"provider": self.provider, "model": call.model, "attempts": call.attempts}
        )
        delay = self._options.retry.delay_ns(call.attempts, error, self._options.random)
        end = call.started + int(self._options.timeouts.total * NANOSECONDS)
        if delay is None or self._clock.monotonic() + delay >= end:
            return None
        return delay

    async def _pause(self, call: _Call, delay: int) -> None:
        await self._clock.sleep(delay)
        call.attempts += 1

    def _bounded(self, request: ModelRequest) -> ModelRequest:
        bound = self._options.max_output_tokens
        if bound is None or request.max_output_tokens <= bound:
            return request
        return attrs.evolve(request, max_output_tokens=bound)

    def _price_table(self) -> PriceTable:
        if self._prices is None:
            self._prices = PriceTable.built_in()
        return self._prices


async def _read_on(http: HttpAnswer, deadline: Deadline, assembler: Assembler) -> bytes:
    try:
        return await http.read_some(deadline)
    except (StreamInterrupted, ModelTimeout):
        # Once the stop reason is here no content is missing, however the stream ends.
        if not assembler.complete:
            raise
        return b""


def _facts(http: HttpAnswer, now: int) -> dict[str, Json]:
    facts: dict[str, Json] = {"status": http.status, "request_id": _request_id(http)}
    wait = retry_after_ns(http.headers, now)
    if wait is not None:
        facts["retry_after_ns"] = wait
    told = http.headers.get("x-should-retry", "").lower()
    if told in {"true", "false"}:
        facts["should_retry"] = told == "true"
    return facts


def _request_id(http: HttpAnswer) -> str:
    headers = http.headers
    return (headers.get("request-id") or headers.get("x-request-id") or "")[:_MAX_REQUEST_ID]


_HINTS: Final[tuple[tuple[type[CallFailed], str], ...]] = (
    (AuthenticationFailed, "Check the key, and what it is allowed to do."),
    (ContextTooLong, "Shorten the conversation, or take a model with a larger window."),
    (ModelNotFound, "Check the model's name and the base address."),
    (QuotaExhausted, "Add credit at the provider, or use another key."),
)


def _hint(kind: type[CallFailed]) -> str:
    return next((hint for failed, hint in _HINTS if issubclass(kind, failed)), "")
