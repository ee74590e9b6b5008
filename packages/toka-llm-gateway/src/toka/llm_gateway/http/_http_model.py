"""A model behind HTTP: encode, post, retry, decode, price."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import (
    CallFailed,
    ModelTimeout,
    ResponseInvalid,
    StreamInterrupted,
)
from toka.llm_gateway._response import Estimate, ModelResponse, TokenCount
from toka.llm_gateway.formats._dialect import StreamRefused
from toka.llm_gateway.formats._framing import SSE
from toka.llm_gateway.http._caller import BYTES_PER_TOKEN, OK, Call, Caller, request_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway.formats._dialect import Answer, Assembler, Delta, Dialect
    from toka.llm_gateway.formats._framing import Framing
    from toka.llm_gateway.http._options import HttpOptions
    from toka.llm_gateway.http._secret import ApiKey
    from toka.llm_gateway.http._signature import Signer
    from toka.llm_gateway.http._transport import Deadline, HttpAnswer

_AFTERMATH_SECONDS: Final = 2.0
"""For what follows the stop reason: usage and the end mark. The answer is whole by then."""
_DRAIN_SECONDS: Final = 0.25


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
        framing: Framing = SSE,
        signer: Signer | None = None,
    ) -> None:
        self.provider: Final = provider
        self.name: Final = name
        self._dialect: Final = dialect
        self._options: Final = options
        self._framing: Final = framing
        self._caller: Final = Caller(provider, base_url, key, options, dialect.refusal, signer)
        self._transport: Final = self._caller.transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider!r}, {self.name!r})"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        call = self._begin(request, stream=False)
        answer, identifier = await self._caller.whole(call, self._dialect.decode)
        return self._response(call, answer, identifier)

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
                delay = self._caller.delay(call, error)
                if handed_out or delay is None:
                    raise
            else:
                return
            await self._caller.pause(call, delay)

    def estimate(self, request: ModelRequest) -> Estimate:
        """Reckon what the call takes at most.

        One token for every three bytes of the encoded request, rounded up. That is more than
        tokenizers make of prose and code in any script; text made to defeat a tokenizer can exceed
        it. The cost assumes the dearest kind of input and an answer that uses all its room.
        """
        request = self._bounded(request)
        model = request.model or self.name
        tokens = -(-len(self._dialect.encode(request, model, stream=False)) // BYTES_PER_TOKEN)
        price = self._caller.prices.find(self.provider, model)
        cost = None if price is None else price.ceiling(tokens, request.max_output_tokens)
        return Estimate(tokens, request.max_output_tokens, cost)

    async def count_tokens(self, request: ModelRequest) -> TokenCount:
        """Count the input's tokens: as the provider does where it offers that, else an estimate.

        Raises:
            LlmFailure: The provider was asked and did not answer.

        """
        model = request.model or self.name
        question = self._dialect.counting(request, model)
        if question is None:
            return TokenCount(self.estimate(request).input_tokens, exact=False)
        call = self._caller.begin(model, question.path, question.body, self._dialect.headers)
        tokens, _ = await self._caller.whole(call, question.decode)
        return TokenCount(tokens, exact=True)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _begin(self, request: ModelRequest, *, stream: bool) -> Call:
        request = self._bounded(request)
        model = request.model or self.name
        self._caller.prices.limits_of(self.provider, model).check(request, model)
        call = self._caller.begin(
            model,
            self._dialect.path(model, stream=stream),
            self._dialect.encode(request, model, stream=stream),
            self._dialect.headers,
        )
        if request.idempotency_key:
            call.headers["Idempotency-Key"] = request.idempotency_key
        return call

    async def _stream_once(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        timeouts = self._options.timeouts
        opening = call.deadline.sooner(timeouts.first_token, "first_token")
        async with self._transport.post(call.path, call.body, call.headers, opening) as http:
            if http.status != OK:
                raise await self._caller.refused(call, http)
            if http.content_type != self._framing.content_type:
                raise ResponseInvalid(
                    f"The provider answered with {http.content_type[:60]!r} instead of a stream."
                )
            assembler = self._dialect.assembler()
            try:
                async with aclosing(self._deltas(call, http, assembler, opening)) as deltas:
                    async for delta in deltas:
                        yield delta
                answer = assembler.answer()
            except StreamRefused as signal:
                refusal = signal.refusal
            else:
                yield self._response(call, answer, request_id(http))
                return
            raise self._caller.failure(call, refusal, self._caller.facts(http))

    async def _deltas(
        self, call: Call, http: HttpAnswer, assembler: Assembler, opening: Deadline
    ) -> AsyncGenerator[Delta, None]:
        """Yield the stream's content until its end, which must come after its stop reason."""
        parser = self._framing.parser(self._options.max_response_bytes)
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

    def _response(self, call: Call, answer: Answer, identifier: str) -> ModelResponse:
        model = answer.model or call.model
        return ModelResponse(
            answer.message,
            answer.stop_reason,
            answer.usage,
            model,
            self.provider,
            self._caller.prices.cost(self.provider, model, answer.usage),
            call.attempts,
            self._caller.clock.monotonic() - call.started,
            identifier,
            answer.skipped_events,
        )

    def _bounded(self, request: ModelRequest) -> ModelRequest:
        bound = self._options.max_output_tokens
        if bound is None or request.max_output_tokens <= bound:
            return request
        return attrs.evolve(request, max_output_tokens=bound)


async def _read_on(http: HttpAnswer, deadline: Deadline, assembler: Assembler) -> bytes:
    try:
        return await http.read_some(deadline)
    except (StreamInterrupted, ModelTimeout):
        # Once the stop reason is here no content is missing, however the stream ends.
        if not assembler.complete:
            raise
        return b""
