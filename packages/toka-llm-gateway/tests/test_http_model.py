from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from toka.llm_gateway import (
    ConnectionFailed,
    HttpOptions,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelTimeout,
    TextDelta,
    Timeouts,
)
from toka.llm_gateway.testing import Damaged, Refuse, Silence, reply

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("x"),))
GOOD = reply("word " * 60)


async def test_a_call_can_be_cancelled_and_the_model_goes_on(provider):
    arrived = anyio.Event()

    def say(_: object) -> Silence | ModelResponse:
        if arrived.is_set():
            return GOOD
        arrived.set()
        return Silence()

    model = await provider.start(say)
    async with anyio.create_task_group() as group:
        group.start_soon(model.complete, ASK)
        await arrived.wait()
        group.cancel_scope.cancel()
    assert (await model.complete(ASK)).text == GOOD.text


async def test_a_stream_can_be_left_and_the_model_goes_on(provider):
    model = await provider.start([Damaged(GOOD, "stall", 20), GOOD])
    async with aclosing(model.stream(ASK)) as events:
        assert isinstance(await anext(events), TextDelta)
    assert (await model.complete(ASK)).text == GOOD.text


async def test_calls_at_once_do_not_mix(openai):
    model = await openai.start(lambda body: reply(body["messages"][-1]["content"]))
    answers: dict[str, str] = {}

    async def ask(text: str) -> None:
        request = ModelRequest((ModelMessage.user(text),))
        answers[text] = (await model.complete(request)).text

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(ask, f"question {number}")
    assert len(answers) == 50
    assert all(text == answer for text, answer in answers.items())


async def test_a_stream_ends_with_the_limit_of_the_whole_call(anthropic):
    server = await anthropic.serve([Damaged(GOOD, "stall", 20)])
    model = anthropic.model(server, timeouts=Timeouts(total=0.2, idle=60))
    with pytest.raises(ModelTimeout) as caught:
        _ = [event async for event in model.stream(ASK)]
    assert caught.value.phase == "total"


async def test_streams_use_their_connection_again(provider):
    model = await provider.start(lambda _: GOOD)
    for _ in range(3):
        _ = [event async for event in model.stream(ASK)]
        await model.complete(ASK)
    session = model._transport._session
    assert session is not None
    assert session.connector is not None
    assert [len(free) for free in session.connector._conns.values()] == [1]


async def test_closing_twice_is_harmless_and_a_closed_model_opens_again(provider):
    model = await provider.start(lambda _: GOOD)
    await model.complete(ASK)
    await model.aclose()
    await model.aclose()
    assert (await model.complete(ASK)).text == GOOD.text


async def test_a_name_that_does_not_resolve_is_a_failed_connection(provider, clock):
    model = provider.model_at("http://nowhere.invalid", None, HttpOptions(clock=clock))
    with pytest.raises((ConnectionFailed, ModelTimeout)):
        await model.complete(ASK)


async def test_the_time_taken_includes_the_waits(provider):
    limit = Refuse(429, "rate_limit_error", headers={"Retry-After": "3"})
    response = await (await provider.start([limit, GOOD])).complete(ASK)
    assert response.duration_ns >= 3_000_000_000
