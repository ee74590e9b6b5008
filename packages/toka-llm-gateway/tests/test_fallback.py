"""The provider faults of FailoverBench (scenarios/catalogue.yaml) that need a second provider.

Each is judged from both sides: what the caller got, and what the providers saw.
"""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from toka.llm_gateway import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ContentFiltered,
    ContextTooLong,
    Cost,
    Estimate,
    FallbackModel,
    FallbackPolicy,
    InvalidRequest,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    Overloaded,
    RetryPolicy,
    RouteState,
    RoutesUnavailable,
    StreamInterrupted,
    StreamRestart,
    TextDelta,
    Timeouts,
    ToolArgumentsInvalid,
)
from toka.llm_gateway.testing import Damaged, Refuse, ScriptedModel, Silence, reply
from toka.types import InvalidValueError

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("Explain in sixty words."),))
WHOLE = " ".join(f"word{number}" for number in range(60))
GOOD = reply(WHOLE)
OTHER = reply("From the other one.")
HEAD = 12  # events of any format that bring some, but not all, of the words
DOWN = Refuse(503, "overloaded_error")


def answered(events):
    """Return what a caller that heeds restarts has in hand, and the response."""
    text, response = "", None
    for event in events:
        if isinstance(event, StreamRestart):
            text = ""
        elif isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, ModelResponse):
            response = event
    assert response is not None
    assert response is events[-1]
    assert text == response.text
    return response


async def complete(model):
    return await model.complete(ASK)


async def stream(model):
    return answered([event async for event in model.stream(ASK)])


@pytest.fixture(params=[complete, stream])
def call(request):
    return request.param


async def pair(provider, first, second, *, policy=None, **options):
    """Start two providers, and a model that falls back from the first to the second."""
    models = [provider.model(await provider.serve(script), **options) for script in (first, second)]
    return FallbackModel(models, policy=policy or FallbackPolicy(), clock=provider.clock)


def seen(provider):
    return [len(server.requests) for server in provider.servers]


async def test_s04_a_persistent_503_is_answered_by_the_other_route(provider, call):
    model = await pair(provider, lambda _: DOWN, [OTHER])
    response = await call(model)
    assert response.text == OTHER.text
    assert response.attempts == 4
    assert seen(provider) == [3, 1]


async def test_s04_with_nowhere_to_go_the_first_failure_is_raised(provider, call):
    model = await pair(provider, lambda _: DOWN, lambda _: Refuse(500, "api_error"))
    with pytest.raises(Overloaded) as caught:
        await call(model)
    assert caught.value.details["routes_failed"] == ["llm.overloaded", "llm.provider_error"]
    assert seen(provider) == [3, 3]


async def test_s06_a_silent_route_is_left_after_one_timeout(provider, call):
    limits = Timeouts(first_token=0.2, total=0.75)
    model = await pair(provider, lambda _: Silence(), lambda _: OTHER, timeouts=limits)
    assert (await call(model)).text == OTHER.text
    assert seen(provider) == [1, 1]
    # The next caller does not wait for it again.
    assert (await call(model)).text == OTHER.text
    assert seen(provider) == [1, 2]


async def test_s07_a_slow_first_token_makes_it_switch(provider):
    slow = Damaged(GOOD, "stall", provider.opening)
    model = await pair(provider, [slow], [OTHER], timeouts=Timeouts(first_token=0.2))
    events = [event async for event in model.stream(ASK)]
    assert answered(events).text == OTHER.text
    assert not any(isinstance(event, StreamRestart) for event in events)


@pytest.mark.parametrize("damage", ["end", "reset", "stall"])
async def test_s08_s09_s14_a_broken_stream_is_restarted_without_prefill(provider, damage):
    model = await pair(
        provider, [Damaged(GOOD, damage, HEAD)], [OTHER], timeouts=Timeouts(idle=0.2)
    )
    events = [event async for event in model.stream(ASK)]
    [restart] = [event for event in events if isinstance(event, StreamRestart)]
    assert events.index(restart) > 1
    assert restart.provider == provider.name
    assert answered(events).text == OTHER.text
    # The other route is asked what the first one was asked: no half answer to continue.
    assert provider.servers[1].requests[0].body == provider.servers[0].requests[0].body


@pytest.mark.parametrize("after", ["nothing", "content"])
async def test_s14_a_refused_prefill_does_not_hide_the_failure(provider, after):
    # The caller itself prefills, the first route fails, and the substitute knows no prefill.
    count = HEAD if after == "content" else provider.opening
    refuse = Refuse(400, "invalid_request_error", "This model does not support assistant prefill.")
    model = await pair(
        provider, lambda _: Damaged(GOOD, "end", count), [refuse], retry=RetryPolicy(attempts=1)
    )
    with pytest.raises(StreamInterrupted):
        await stream(model)
    assert seen(provider) == [1, 1]


async def test_a_route_that_cannot_take_the_request_is_passed_over(provider, call, clock):
    down = ScriptedModel([Overloaded("down")])
    picky = ScriptedModel([InvalidRequest("no prefill")])
    model = FallbackModel([down, picky, ScriptedModel([OTHER])], clock=clock)
    assert (await call(model)).text == OTHER.text
    assert [each.state for each in model.health()] == [RouteState.CLOSED] * 3
    assert provider.servers == []


@pytest.mark.parametrize("recovers_in", [60, 25])
async def test_s15_it_serves_through_an_outage_and_returns(provider, call, clock, recovers_in):
    start = clock.monotonic()

    def flapping(_):
        return DOWN if clock.monotonic() - start < recovers_in * 10**9 else GOOD

    model = await pair(
        provider, flapping, lambda _: OTHER, policy=FallbackPolicy(failures=1, cooldown=10)
    )
    answers = []
    for _ in range(25):
        began = (clock.monotonic() - start) / 10**9
        answers.append((began, (await call(model)).text))
        clock.time += 4 * 10**9
    assert all(text == OTHER.text for began, text in answers if began < recovers_in - 2)
    returned = min(began for began, text in answers if text == WHOLE)
    assert returned <= recovers_in + 30
    assert all(text == WHOLE for began, text in answers if began >= returned)
    # While it is down only the probes reach it: one call, of three tries, in ten seconds.
    assert seen(provider)[0] <= 3 * (recovers_in / 10 + 1) + len(answers)
    assert model.health()[0].state is RouteState.CLOSED


async def test_s15_callers_at_once_send_one_probe(clock):
    release = anyio.Event()

    class Slow(ScriptedModel):
        async def complete(self, request):
            response = await super().complete(request)
            await release.wait()
            return response

    first = Slow(lambda _: GOOD)
    first_failed = ScriptedModel([Overloaded("down")])
    model = FallbackModel(
        [first_failed, ScriptedModel(lambda _: OTHER)],
        policy=FallbackPolicy(failures=1),
        clock=clock,
    )
    await model.complete(ASK)
    model._routes[0].model = first
    clock.time += 10 * 10**9
    texts = []

    async def ask():
        texts.append((await model.complete(ASK)).text)

    async with anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert first.calls == 1
        assert texts == [OTHER.text] * 8
        release.set()
    assert texts[-1] == WHOLE


async def test_s16_the_substitute_is_named_and_failures_are_not_billed(provider, call):
    priced = "claude-sonnet-5-5" if provider.name == "anthropic" else "unpriced"
    good = reply("short")
    answer = ModelResponse(good.message, good.stop_reason, good.usage, priced, "", None)
    response = await call(await pair(provider, lambda _: DOWN, [answer]))
    assert response.model == priced
    assert response.usage == good.usage
    if provider.name == "anthropic":
        assert response.cost == Cost(10 * 2 + 5 * 10)


async def test_a_broken_stream_is_raised_where_that_is_wanted(clock):
    class Breaking(ScriptedModel):
        async def stream(self, request):
            yield TextDelta(request.messages[0].text)
            raise StreamInterrupted("cut")

    spare = ScriptedModel([OTHER])
    model = FallbackModel([Breaking([]), spare], policy=FallbackPolicy(rescue="fail"), clock=clock)
    with pytest.raises(StreamInterrupted):
        await stream(model)
    assert spare.calls == 0


@pytest.mark.parametrize("kind", [ContentFiltered, ToolArgumentsInvalid, InvalidRequest])
async def test_what_no_other_route_mends_is_raised_at_once(call, clock, kind):
    spare = ScriptedModel([OTHER])
    model = FallbackModel([ScriptedModel([kind("no")]), spare], clock=clock)
    with pytest.raises(kind):
        await call(model)
    assert spare.calls == 0
    assert model.health()[0].failures == 0


@pytest.mark.parametrize("kind", [ContextTooLong, AuthenticationFailed])
async def test_what_another_route_may_mend_is_tried_there(call, clock, kind):
    model = FallbackModel([ScriptedModel([kind("no")]), ScriptedModel([OTHER])], clock=clock)
    assert (await call(model)).text == OTHER.text


async def test_when_every_route_is_left_alone_the_error_says_until_when(call, clock):
    models = [ScriptedModel([Overloaded("down")]) for _ in range(2)]
    model = FallbackModel(models, policy=FallbackPolicy(failures=1, cooldown=7), clock=clock)
    with pytest.raises(Overloaded):
        await call(model)
    with pytest.raises(RoutesUnavailable) as caught:
        await call(model)
    assert caught.value.retry_after_ns == 7 * 10**9
    assert caught.value.retryable
    assert [each.last_error for each in model.health()] == ["llm.overloaded"] * 2


async def test_no_further_route_is_asked_when_time_is_up(clock):
    class Slow(ScriptedModel):
        async def complete(self, request):
            await clock.sleep(20 * 10**9)
            return await super().complete(request)

    spare = ScriptedModel([OTHER])
    model = FallbackModel(
        [Slow([Overloaded("late")]), spare], policy=FallbackPolicy(total=15), clock=clock
    )
    with pytest.raises(Overloaded):
        await complete(model)
    assert spare.calls == 0


async def test_a_cancelled_or_abandoned_call_says_nothing_about_the_route(clock):
    class Stuck(ScriptedModel):
        async def complete(self, request):
            await anyio.sleep_forever()
            return await super().complete(request)

        async def stream(self, request):
            yield TextDelta(request.messages[0].text)
            await anyio.sleep_forever()

    model = FallbackModel([Stuck([])], clock=clock)
    with anyio.move_on_after(0.01):
        await model.complete(ASK)
    async with aclosing(model.stream(ASK)) as events:
        await anext(events)
    assert model.health()[0].failures == 0
    assert model.health()[0].state is RouteState.CLOSED


async def test_a_model_named_by_the_request_is_asked_of_its_provider_only(clock):
    models = [
        ScriptedModel([Overloaded("down")], provider="a"),
        ScriptedModel([Overloaded("down")], provider="b"),
        ScriptedModel([OTHER], provider="a"),
    ]
    await FallbackModel(models, clock=clock).complete(ModelRequest(ASK.messages, model="named"))
    names = [each.last_request.model for each in models if each.last_request]
    assert names == ["named", None, "named"]


def test_an_estimate_covers_every_route():
    cheap, dear, unknown = Estimate(9, 9, Cost(5)), Estimate(7, 11, Cost(8)), Estimate(1, 1, None)
    models = [ScriptedModel([], estimate=estimate) for estimate in (cheap, dear, unknown)]
    assert FallbackModel(models[:2]).estimate(ASK) == Estimate(9, 11, Cost(8))
    assert FallbackModel(models).estimate(ASK) == Estimate(9, 11, None)


def test_nonsense_is_refused():
    with pytest.raises(ConfigurationInvalid):
        FallbackModel([])
    with pytest.raises(InvalidValueError):
        FallbackPolicy(failures=0)
    with pytest.raises(InvalidValueError):
        FallbackPolicy(cooldown=0)
