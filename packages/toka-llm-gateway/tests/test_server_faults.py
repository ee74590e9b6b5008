"""The sixteen provider faults of FailoverBench, through the gateway's server.

Judged from all three sides: what a program got that speaks to the gateway with the official SDK,
and what each of two providers saw. The SDK does not retry by itself here.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import openai
import pytest

from toka.llm_gateway import (
    FallbackModel,
    FallbackPolicy,
    HttpOptions,
    ModelResponse,
    OpenAIChatModel,
    Timeouts,
)
from toka.llm_gateway.server import AuditRecord, Gateway, ModelCatalog, serve
from toka.llm_gateway.testing import Damaged, FakeOpenAI, Refuse, Reset, Silence, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

WHOLE = " ".join(f"word{number}" for number in range(60))
GOOD = reply(WHOLE)
OTHER = reply("From the other one.")
DOWN = Refuse(503, "overloaded_error")
HEAD = 12


class House:
    """Two providers, a gateway in front, and a program that calls it."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.records: list[AuditRecord] = []
        self.servers: list[FakeOpenAI] = []
        self.client: Any = None
        self.stack = AsyncExitStack()

    def note(self, record: AuditRecord) -> None:
        self.records.append(record)

    async def open(self, *scripts, timeouts=None, policy=None) -> None:
        options = HttpOptions(clock=self.clock, random=lambda: 0.5, timeouts=timeouts or Timeouts())
        models = []
        for script in scripts:
            server = await self.stack.enter_async_context(FakeOpenAI(script))
            self.servers.append(server)
            models.append(OpenAIChatModel("m", server.key, base_url=server.url, options=options))
        model = FallbackModel(models, policy=policy or FallbackPolicy(), clock=self.clock)
        gateway = Gateway(ModelCatalog({"toka": model}), audit=self, clock=self.clock)
        url = await self.stack.enter_async_context(serve(gateway))
        self.client = await self.stack.enter_async_context(
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        )

    @property
    def seen(self) -> list[int]:
        return [len(server.requests) for server in self.servers]

    async def ask(self, *, stream: bool) -> Any:
        ask: Any = {"model": "toka", "messages": [{"role": "user", "content": "Go."}]}
        if not stream:
            return await self.client.chat.completions.create(**ask)
        ask["stream_options"] = {"include_usage": True}
        async with self.client.chat.completions.stream(**ask) as events:
            return await events.get_final_completion()

    async def text(self, *, stream: bool) -> str:
        answer = await self.ask(stream=stream)
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.content


@pytest.fixture
async def house(anyio_backend, clock) -> AsyncIterator[House]:
    del anyio_backend
    made = House(clock)
    async with made.stack:
        yield made


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request):
    return request.param


async def test_s01_retry_after_is_honoured(house, stream, clock):
    limit = Refuse(429, "rate_limit_exceeded", headers={"Retry-After": "2"})
    await house.open([limit, GOOD], [])
    assert await house.text(stream=stream) == WHOLE
    assert 2 <= clock.slept[0] <= 2.2
    assert house.seen == [2, 0]


async def test_s02_persistent_429_is_bounded_and_told(house, stream):
    limit = Refuse(429, "rate_limit_exceeded", headers={"Retry-After": "7"})
    await house.open(lambda _: limit)
    with pytest.raises(openai.RateLimitError) as caught:
        await house.ask(stream=stream)
    assert house.seen == [3]
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-should-retry"] == "true"


async def test_s03_one_500_is_repeated_on_the_same_provider(house, stream):
    await house.open([Refuse(500, ""), GOOD], [])
    assert await house.text(stream=stream) == WHOLE
    assert house.seen == [2, 0]


async def test_s04_a_persistent_503_is_answered_by_the_other_route(house, stream):
    await house.open(lambda _: DOWN, [OTHER])
    assert await house.text(stream=stream) == OTHER.text
    assert house.seen == [3, 1]


async def test_s05_a_reset_before_the_headers_is_repeated(house, stream):
    await house.open([Reset(), GOOD], [])
    assert await house.text(stream=stream) == WHOLE


async def test_s06_a_silent_route_is_left_after_one_timeout(house, stream):
    limits = Timeouts(first_token=0.2, total=0.25)
    await house.open(lambda _: Silence(), lambda _: OTHER, timeouts=limits)
    assert await house.text(stream=stream) == OTHER.text
    assert await house.text(stream=stream) == OTHER.text
    assert house.seen == [1, 2]


async def test_s07_a_slow_first_token_makes_it_switch(house):
    slow = Damaged(GOOD, "stall", 1)
    await house.open([slow], [OTHER], timeouts=Timeouts(first_token=0.2))
    assert await house.text(stream=True) == OTHER.text


@pytest.mark.parametrize("damage", ["end", "reset"])
async def test_s08_a_stream_cut_before_content_is_rescued(house, damage):
    await house.open([Damaged(GOOD, damage, 1)] * 3, [OTHER])
    assert await house.text(stream=True) == OTHER.text


@pytest.mark.parametrize("damage", ["end", "reset", "stall"])
async def test_s08_s09_a_stream_that_breaks_after_content_is_an_error(house, damage):
    broken = [Damaged(GOOD, damage, HEAD), GOOD]
    await house.open(broken, lambda _: OTHER, timeouts=Timeouts(idle=0.2))
    with pytest.raises(openai.APIError, match="broke off"):
        await house.text(stream=True)
    # Whoever asks again is answered.
    assert await house.text(stream=False) in {WHOLE, OTHER.text}
    assert house.records[0].code == "llm.stream_interrupted"


async def test_s10_a_malformed_event_is_skipped(house):
    await house.open([Damaged(GOOD, "malformed", HEAD)])
    assert await house.text(stream=True) == WHOLE


async def test_s11_a_missing_end_mark_costs_nothing(house):
    await house.open([Damaged(GOOD, "unterminated")])
    answer = await house.ask(stream=True)
    assert answer.choices[0].message.content == WHOLE
    assert answer.usage.completion_tokens == GOOD.usage.output_tokens


async def test_s12_too_long_a_context_is_not_repeated(house, stream):
    await house.open([Refuse(400, "context_length_exceeded", "too long")])
    with pytest.raises(openai.BadRequestError) as caught:
        await house.ask(stream=stream)
    assert caught.value.code == "context_length_exceeded"
    assert house.seen == [1]


async def test_s13_a_content_filter_is_a_clean_error(house, stream):
    await house.open([Refuse(400, "content_filter", "rejected")], [OTHER])
    with pytest.raises(openai.BadRequestError) as caught:
        await house.ask(stream=stream)
    assert caught.value.code == "content_filter"
    assert house.seen == [1, 0]


async def test_s14_the_other_route_is_asked_afresh(house):
    await house.open([Damaged(GOOD, "end", 1)] * 3, [OTHER])
    assert await house.text(stream=True) == OTHER.text
    first, second = (server.requests[0].body for server in house.servers)
    assert first == second
    assert [message["role"] for message in second["messages"]] == ["user"]


async def test_s15_it_serves_through_an_outage_and_returns(house, stream, clock):
    start = clock.monotonic()

    def flapping(_):
        return DOWN if clock.monotonic() - start < 60 * 10**9 else GOOD

    policy = FallbackPolicy(failures=1, cooldown=10)
    await house.open(flapping, lambda _: OTHER, policy=policy)
    answers = []
    for _ in range(12):
        began = (clock.monotonic() - start) / 10**9
        answers.append((began, await house.text(stream=stream)))
        clock.time += 8 * 10**9
    assert all(text == OTHER.text for began, text in answers if began < 58)
    assert min(began for began, text in answers if text == WHOLE) <= 90


async def test_s16_the_answering_model_is_named_and_failures_are_not_billed(house, stream):
    answer = ModelResponse(OTHER.message, OTHER.stop_reason, OTHER.usage, "gpt-4o-mini", "", None)
    await house.open(lambda _: DOWN, [answer])
    answered = await house.ask(stream=stream)
    assert answered.usage.completion_tokens == OTHER.usage.output_tokens
    assert answered.usage.prompt_tokens == OTHER.usage.input_tokens
    if not stream:
        assert answered.model == "gpt-4o-mini"
    [record] = house.records
    assert record.answered_by == "gpt-4o-mini"
    assert record.attempts == 4
    assert record.output_tokens == OTHER.usage.output_tokens
    assert record.cost_micro_usd is not None
