from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import (
    AuthenticationFailed,
    BalancedModel,
    CachedModel,
    ConfigurationInvalid,
    ContentFiltered,
    Cost,
    HedgedModel,
    LimitedModel,
    MemoryCache,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    Overloaded,
    SqliteCache,
    TextDelta,
    ToolSchema,
    Usage,
)
from toka.llm_gateway.routing._cached import digest_of
from toka.llm_gateway.routing._limited import FairGate
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.types import InvalidValueError

pytestmark = pytest.mark.anyio


def ask(text="x", **fields):
    return ModelRequest((ModelMessage.user(text),), **fields)


class Timed(ScriptedModel):
    """Takes its time, of the virtual clock."""

    def __init__(self, clock, seconds, text="ok"):
        super().__init__(lambda _: reply(text))
        self.clock, self.seconds = clock, seconds

    async def complete(self, request):
        await self.clock.sleep(int(self.seconds * 10**9))
        return await super().complete(request)


async def test_balance_goes_to_the_faster_route(clock):
    fast, slow = Timed(clock, 1), Timed(clock, 4)
    model = BalancedModel([slow, fast], clock=clock)
    for _ in range(20):
        await model.complete(ask())
    assert fast.calls >= 15
    assert slow.calls >= 1


async def test_balance_follows_the_weights_of_equal_routes():
    routes = [ScriptedModel(lambda _: reply("ok")) for _ in range(2)]

    class Still:
        def now(self):
            return 0

        def monotonic(self):
            return 0

        async def sleep(self, nanoseconds):
            del nanoseconds

    model = BalancedModel(routes, weights=[3, 1], clock=Still())
    for _ in range(40):
        await model.complete(ask())
    assert [route.calls for route in routes] == [30, 10]
    with pytest.raises(ConfigurationInvalid):
        BalancedModel(routes, weights=[1])


async def test_balance_counts_what_is_under_way(clock):
    started = []

    class Held(ScriptedModel):
        async def complete(self, request):
            started.append(self.name)
            await anyio.sleep_forever()
            return await super().complete(request)

    model = BalancedModel([Held([], name="a"), Held([], name="b")], clock=clock)
    for route in model._routes:
        route.mean_ns = 1.0
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(model.complete, ask())
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert sorted(started) == ["a"] * 3 + ["b"] * 3
    assert [route.in_flight for route in model._routes] == [0, 0]


async def test_keys_rotate_because_each_is_a_route(clock):
    # A key that is refused, or out of money, is left alone; the other one answers.
    bad = ScriptedModel([AuthenticationFailed("revoked")] * 9)
    model = BalancedModel([bad, ScriptedModel(lambda _: reply("ok"))], clock=clock)
    for _ in range(6):
        assert (await model.complete(ask())).text == "ok"
    assert bad.calls <= 3


async def test_a_hedge_asks_the_next_and_takes_the_sooner():
    cancelled = anyio.Event()

    class Stuck(ScriptedModel):
        async def complete(self, request):
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()
            return await super().complete(request)

    quick = ScriptedModel([reply("quick")])
    model = HedgedModel([Stuck([]), quick], after=0.01)
    assert (await model.complete(ask())).text == "quick"
    assert cancelled.is_set()
    assert [health.failures for health in model.health()] == [0, 0]


async def test_a_hedge_is_not_asked_where_the_first_answers():
    spare = ScriptedModel([reply("spare")])
    model = HedgedModel([ScriptedModel([reply("first")]), spare], after=30)
    assert (await model.complete(ask())).text == "first"
    assert spare.calls == 0


async def test_a_hedge_goes_on_at_once_after_a_failure_and_stops_where_nothing_helps():
    model = HedgedModel([ScriptedModel([Overloaded("x")]), ScriptedModel([reply("b")])], after=30)
    with anyio.fail_after(10):
        assert (await model.complete(ask())).text == "b"
    spare = ScriptedModel([reply("b")])
    model = HedgedModel([ScriptedModel([ContentFiltered("no")]), spare], after=30)
    with pytest.raises(ContentFiltered):
        await model.complete(ask())
    assert spare.calls == 0
    failing = [ScriptedModel([Overloaded("x")]), ScriptedModel([Overloaded("y")])]
    with pytest.raises(Overloaded, match="x"):
        await HedgedModel(failing, after=30).complete(ask())
    with pytest.raises(ConfigurationInvalid):
        HedgedModel(failing, after=0)


async def test_tenants_take_turns():
    order, release = [], anyio.Event()

    class Slow(ScriptedModel):
        async def complete(self, request):
            order.append(request.messages[0].text)
            await release.wait()
            return await super().complete(request)

    model = LimitedModel(Slow(lambda _: reply("ok")), 1, max_waiting=5)
    async with anyio.create_task_group() as group:
        for text in ("a0", "a1", "a2", "a3", "b1", "c1"):
            group.start_soon(model.complete, ask(text, metadata={"tenant": text[0]}))
            await anyio.wait_all_tasks_blocked()
        assert model.waiting == 5
        with pytest.raises(Overloaded):
            await model.complete(ask())
        release.set()
    assert order == ["a0", "a1", "b1", "c1", "a2", "a3"]
    assert model.waiting == 0


async def test_a_turn_is_not_lost_with_who_left():
    gate = FairGate(1, 10)
    entered = []

    async def enter(name, cancel=None):
        with anyio.CancelScope() as scope:
            if cancel is not None:
                cancel.append(scope)
            async with gate.passing("t"):
                entered.append(name)

    async with anyio.create_task_group() as group, gate.passing("t"):
        scopes: list[anyio.CancelScope] = []
        group.start_soon(enter, "left", scopes)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(enter, "stays")
        await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
    assert entered == ["stays"]
    assert gate.waiting == 0
    async with gate.passing("t"):
        pass
    with pytest.raises(InvalidValueError):
        FairGate(0, 1)


@pytest.fixture(params=["memory", "sqlite"])
def cache(request, tmp_path, clock):
    if request.param == "memory":
        yield MemoryCache(ttl=60, max_entries=3, clock=clock)
        return
    made = SqliteCache(tmp_path / "cache.db", ttl=60, clock=clock)
    yield made
    made.close()


async def test_the_same_question_is_asked_once(cache, clock):
    inner = ScriptedModel(lambda _: reply("said", usage=Usage(9, 9), cost=Cost(5)))
    model = CachedModel(inner, cache)
    first = await model.complete(ask())
    again = await model.complete(ask())
    events = [event async for event in model.stream(ask())]
    assert not first.cached
    assert again.cached
    assert again.text == "said"
    assert again.cost == Cost(0)
    assert again.usage == Usage()
    assert events[0] == TextDelta("said")
    assert isinstance(events[-1], ModelResponse)
    assert inner.calls == 1
    clock.time += 61 * 10**9
    await model.complete(ask())
    assert inner.calls == 2


async def test_a_streamed_answer_is_kept_and_a_broken_one_is_not(cache):
    class Breaking(ScriptedModel):
        async def stream(self, request):
            yield TextDelta("half")
            async for event in super().stream(request):
                yield event

    inner = Breaking([Overloaded("cut"), reply("whole")])
    model = CachedModel(inner, cache)
    with pytest.raises(Overloaded):
        _ = [event async for event in model.stream(ask())]
    async with aclosing(model.stream(ask("other"))) as events:
        await anext(events)
    _ = [event async for event in model.stream(ask())]
    assert (await model.complete(ask())).cached


async def test_whatever_bears_on_the_answer_is_another_question(cache):
    inner = ScriptedModel(lambda _: reply("x"))
    model = CachedModel(inner, cache)
    tool = ToolSchema("t", "", {"type": "object"})
    others = [
        ask(),
        ask("y"),
        ask(system="s"),
        ask(tools=(tool,)),
        ask(model="m"),
        ask(temperature=0.5),
        ask(stop=("a",)),
        ask(max_output_tokens=5),
        ask(metadata={"tenant": "b"}),
    ]
    for request in others:
        await model.complete(request)
    assert inner.calls == len(others)
    assert (await model.complete(ask(metadata={"tenant": "b", "run": "7"}))).cached


async def test_those_who_ask_at_once_share_one_call():
    release = anyio.Event()

    class Slow(ScriptedModel):
        async def complete(self, request):
            response = await super().complete(request)
            await release.wait()
            return response

    inner = Slow(lambda _: reply("one"))
    model = CachedModel(inner, MemoryCache())
    answers = []

    async def call():
        answers.append(await model.complete(ask()))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert inner.calls == 1
    assert sorted(answer.cached for answer in answers) == [False, True, True, True, True]


async def test_a_failure_is_not_shared():
    release = anyio.Event()

    class Slow(ScriptedModel):
        async def complete(self, request):
            await release.wait()
            return await super().complete(request)

    inner = Slow([Overloaded("no"), reply("yes")])
    model = CachedModel(inner, MemoryCache())
    ends = []

    async def call():
        try:
            ends.append((await model.complete(ask())).text)
        except Overloaded:
            ends.append("failed")

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert sorted(ends) == ["failed", "yes", "yes"]


async def test_what_else_lies_in_a_cache_is_nothing(cache):
    model = CachedModel(ScriptedModel([reply("x")]), cache)
    cache.put(digest_of(model.provider, model.name, ask()), b"{}")
    assert not (await model.complete(ask())).cached


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans())))
def test_a_memory_cache_never_holds_more_than_it_may(steps):
    cache = MemoryCache(max_entries=3)
    for number, put in steps:
        key = bytes([number])
        if put:
            cache.put(key, key)
        assert cache.get(key) in {None, key}
        assert len(cache._entries) <= 3
