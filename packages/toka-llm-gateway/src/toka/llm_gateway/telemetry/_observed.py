"""A model that tells OpenTelemetry of each call."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final

import msgspec
from opentelemetry import metrics, trace

from toka.llm_gateway._errors import LlmFailure
from toka.llm_gateway._records import message_record
from toka.llm_gateway._response import ModelResponse
from toka.llm_gateway.routing._events import closable
from toka.llm_gateway.telemetry import _names as names
from toka.types import NANOSECONDS, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate

_SCOPE: Final = "toka.llm_gateway"


class ObservedModel:
    """Makes a span and measurements of each call, by the GenAI semantic conventions.

    Without an SDK in the process both cost next to nothing. What is said is never recorded unless
    `contents` is switched on.
    """

    def __init__(
        self,
        model: Model,
        *,
        contents: bool = False,
        tracers: TracerProvider | None = None,
        meters: MeterProvider | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Observe a model, which is closed with this one.

        Args:
            model: What is asked.
            contents: Whether prompts and answers are recorded with the spans.
            tracers: Where spans go; the process's provider if left out.
            meters: Where measurements go; the process's provider if left out.
            clock: Where the time comes from.

        """
        self.provider: Final = model.provider
        self.name: Final = model.name
        self._model: Final = model
        self._contents: Final = contents
        self._clock: Final[Clock] = SystemClock() if clock is None else clock
        self._tracer: Final = trace.get_tracer(_SCOPE, tracer_provider=tracers)
        meter = metrics.get_meter(_SCOPE, meter_provider=meters)
        self._durations: Final = meter.create_histogram(
            names.DURATION,
            unit="s",
            description="Duration of a call.",
            explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS,
        )
        self._tokens: Final = meter.create_histogram(
            names.TOKEN_USAGE,
            unit="{token}",
            description="Tokens read and written.",
            explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS,
        )
        self._first_chunks: Final = meter.create_histogram(
            names.FIRST_CHUNK,
            unit="s",
            description="Time to the first piece of a streamed answer.",
            explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS,
        )

    async def complete(self, request: ModelRequest) -> ModelResponse:
        with self._observed(request, stream=False) as call:
            response = await self._model.complete(request)
            call.answered(response)
            return response

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        with self._observed(request, stream=True) as call:
            async with aclosing(closable(self._model.stream(request))) as events:
                async for event in events:
                    call.flowed()
                    if isinstance(event, ModelResponse):
                        call.answered(event)
                    yield event

    def estimate(self, request: ModelRequest) -> Estimate:
        return self._model.estimate(request)

    async def aclose(self) -> None:
        await self._model.aclose()

    @contextmanager
    def _observed(self, request: ModelRequest, *, stream: bool) -> Generator[_Observation]:
        model = request.model or self.name
        common: dict[str, AttributeValue] = {
            names.OPERATION: "chat",
            names.PROVIDER: names.PROVIDERS.get(self.provider, self.provider),
            names.REQUEST_MODEL: model,
        }
        # Not made current: a stream is left and entered again from outside.
        span = self._tracer.start_span(
            f"chat {model}", kind=trace.SpanKind.CLIENT, attributes=common
        )
        if span.is_recording():
            span.set_attributes(_asked(request, stream=stream, contents=self._contents))
        call = _Observation(span, self._clock, contents=self._contents)
        try:
            yield call
        except LlmFailure as error:
            common[names.ERROR_TYPE] = error.code
            span.set_attribute(names.ERROR_TYPE, error.code)
            span.set_status(trace.StatusCode.ERROR, error.code)
            raise
        finally:
            self._measure(call, common)
            span.end()

    def _measure(self, call: _Observation, common: dict[str, AttributeValue]) -> None:
        response = call.response
        if response is not None:
            common = {**common, names.RESPONSE_MODEL: response.model}
            if response.usage.reported:
                read = _input_tokens(response)
                self._tokens.record(read, {**common, names.TOKEN_TYPE: "input"})
                written = response.usage.output_tokens
                self._tokens.record(written, {**common, names.TOKEN_TYPE: "output"})
        if call.first_ns is not None:
            self._first_chunks.record(call.first_ns / NANOSECONDS, common)
        self._durations.record(call.elapsed_ns() / NANOSECONDS, common)


class _Observation:
    """What is seen of one call."""

    def __init__(self, span: Span, clock: Clock, *, contents: bool) -> None:
        self.response: ModelResponse | None = None
        self.first_ns: int | None = None
        self._span: Final = span
        self._clock: Final = clock
        self._contents: Final = contents
        self._began: Final = clock.monotonic()

    def elapsed_ns(self) -> int:
        return self._clock.monotonic() - self._began

    def flowed(self) -> None:
        if self.first_ns is None:
            self.first_ns = self.elapsed_ns()
            self._span.set_attribute(names.RESPONSE_FIRST_CHUNK, self.first_ns / NANOSECONDS)

    def answered(self, response: ModelResponse) -> None:
        self.response = response
        if not self._span.is_recording():
            return
        usage = response.usage
        self._span.set_attributes(
            {
                names.RESPONSE_MODEL: response.model,
                names.RESPONSE_ID: response.request_id,
                names.RESPONSE_FINISH: [str(response.stop_reason)],
                names.INPUT_TOKENS: _input_tokens(response),
                names.OUTPUT_TOKENS: usage.output_tokens,
                names.CACHE_READ_TOKENS: usage.cache_read_tokens,
                names.CACHE_WRITE_TOKENS: usage.cache_write_tokens,
            }
        )
        if self._contents:
            said = msgspec.json.encode([message_record(response.message)]).decode()
            self._span.set_attribute(names.OUTPUT_MESSAGES, said)


def _asked(request: ModelRequest, *, stream: bool, contents: bool) -> dict[str, AttributeValue]:
    asked: dict[str, AttributeValue] = {
        names.REQUEST_MAX_TOKENS: request.max_output_tokens,
        names.REQUEST_STREAM: stream,
    }
    if request.temperature is not None:
        asked[names.REQUEST_TEMPERATURE] = request.temperature
    if request.top_p is not None:
        asked[names.REQUEST_TOP_P] = request.top_p
    if request.stop:
        asked[names.REQUEST_STOP] = request.stop
    if contents:
        said = [message_record(message) for message in request.messages]
        asked[names.INPUT_MESSAGES] = msgspec.json.encode(said).decode()
        asked[names.SYSTEM_INSTRUCTIONS] = request.system_text
    return asked


def _input_tokens(response: ModelResponse) -> int:
    # The conventions count cached tokens in.
    usage = response.usage
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
