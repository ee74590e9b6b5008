import pickle

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from toka.bus.core import Bus, BusClosed, BusError, Gap, Subscription

pytestmark = pytest.mark.anyio


@attrs.frozen
class Said:
    kind: str
    stream: str = ""


async def rest(subscription: Subscription[int]) -> list[int | Gap]:
    return [item async for item in subscription]


async def test_every_subscriber_sees_every_item_in_order():
    bus = Bus[int]()
    first, second = bus.subscribe(), bus.subscribe()
    bus.publish([1, 2])
    bus.publish(iter([3]))
    bus.close()

    assert await rest(first) == [1, 2, 3]
    assert await rest(second) == [1, 2, 3]


async def test_a_subscription_begins_with_what_is_published_after_it():
    bus = Bus[int]()
    bus.publish([1, 2])
    subscription = bus.subscribe()
    bus.publish([3])
    bus.close()

    assert await rest(subscription) == [3]


async def test_publishing_without_subscribers_is_no_error():
    bus = Bus[int](2)
    bus.publish(range(100))
    assert bus.published == 100


async def test_an_empty_publication_changes_nothing():
    bus = Bus[int]()
    subscription = bus.subscribe()
    bus.publish([])
    bus.close()
    assert await rest(subscription) == []


async def test_a_slow_subscriber_is_told_how_many_it_missed():
    bus = Bus[int](2)
    slow = bus.subscribe()
    bus.publish([1, 2, 3, 4, 5])
    bus.close()

    assert await rest(slow) == [Gap(3), 4, 5]


async def test_a_full_ring_is_not_yet_a_gap():
    bus = Bus[int](3)
    subscription = bus.subscribe()
    bus.publish([1, 2, 3])
    bus.close()
    assert await rest(subscription) == [1, 2, 3]


async def test_a_subscriber_that_falls_behind_twice_is_told_twice():
    bus = Bus[int](2)
    slow = bus.subscribe()
    bus.publish([1, 2, 3])
    assert await anext(slow) == Gap(1)
    bus.publish([4, 5])
    assert await anext(slow) == Gap(2)
    assert await anext(slow) == 4


async def test_one_subscriber_may_lag_while_another_does_not():
    bus = Bus[int](2)
    quick, slow = bus.subscribe(), bus.subscribe()
    seen = []
    for number in range(5):
        bus.publish([number])
        seen.append(await anext(quick))
    bus.close()

    assert seen == [0, 1, 2, 3, 4]
    assert await rest(slow) == [Gap(3), 3, 4]


async def test_the_gap_counts_unwanted_items_too():
    bus = Bus[int](2)
    subscription = bus.subscribe(filter=lambda number: number % 2 == 0)
    bus.publish([1, 2, 3, 4, 5, 6])
    bus.close()
    assert await rest(subscription) == [Gap(4), 6]


async def test_a_prefix_selects_by_kind():
    bus = Bus[Said | int]()
    subscription = bus.subscribe("agent.")
    bus.publish([Said("agent.spawned.v1"), Said("task.done.v1"), 7, Said("agent.ended.v1")])
    bus.close()

    kinds = [item.kind async for item in subscription if isinstance(item, Said)]
    assert kinds == ["agent.spawned.v1", "agent.ended.v1"]


async def test_a_kind_without_a_dot_is_a_whole_one():
    bus = Bus[Said]()
    subscription = bus.subscribe("agent.ended.v1")
    below = bus.subscribe("agent")
    bus.publish([Said("agent.ended.v1"), Said("agent.ended.v10"), Said("agents.v1")])
    bus.close()
    assert [item async for item in subscription] == [Said("agent.ended.v1")]
    assert [item async for item in below] == []


async def test_filters_all_must_take_an_item():
    bus = Bus[Said | int]()
    subscription = bus.subscribe("a.", stream="s", filter=lambda item: item != Said("a.c", "s"))
    bus.publish([Said("a.b", "s"), Said("a.b", "t"), Said("b.b", "s"), Said("a.c", "s"), 7])
    bus.close()
    assert [item async for item in subscription] == [Said("a.b", "s")]


async def test_a_failing_filter_fails_its_own_subscriber_only():
    bus = Bus[int]()
    broken, sound = bus.subscribe(filter=lambda number: 1 // number > 0), bus.subscribe()
    bus.publish([0, 1])
    bus.close()

    with pytest.raises(ZeroDivisionError):
        await anext(broken)
    assert await anext(broken) == 1
    assert await rest(sound) == [0, 1]


async def test_all_who_wait_are_woken_by_one_publication():
    bus = Bus[int]()
    got: list[int | Gap] = []

    async def take(subscription: Subscription[int]) -> None:
        got.append(await anext(subscription))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(take, bus.subscribe())
            await checkpoint()
            bus.publish([1])
    assert got == [1, 1, 1]


async def test_a_cancelled_wait_loses_nothing():
    bus = Bus[int]()
    subscription = bus.subscribe()
    with anyio.move_on_after(0) as scope:
        await anext(subscription)
    assert scope.cancelled_caught

    bus.publish([1])
    assert await anext(subscription) == 1


async def test_closing_the_bus_wakes_who_waits_and_ends_the_iteration():
    bus = Bus[int]()
    subscription = bus.subscribe()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rest, subscription)
            await checkpoint()
            bus.close()
            bus.close()
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)


async def test_closing_a_subscription_wakes_its_own_task_and_no_other():
    bus = Bus[int]()
    closed, open_ = bus.subscribe(), bus.subscribe()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rest, closed)
            await checkpoint()
            closed.close()
    bus.publish([1])
    assert await anext(open_) == 1
    assert await closed.receive() == []
    assert bus.subscribers == 1


async def test_with_closes_the_subscription():
    bus = Bus[int]()
    with bus.subscribe() as subscription:
        assert bus.subscribers == 1
    assert bus.subscribers == 0
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)


async def test_publishing_on_a_closed_bus_is_refused():
    bus = Bus[int]()
    bus.close()
    with pytest.raises(BusClosed) as caught:
        bus.publish([1])
    assert caught.value.code == "bus.closed"
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), BusError)  # noqa: S301


async def test_receive_returns_everything_at_once():
    bus = Bus[int](4)
    subscription = bus.subscribe()
    bus.publish([1, 2, 3])
    assert await subscription.receive() == [1, 2, 3]
    bus.publish([4, 5, 6])
    assert await subscription.receive() == [4, 5, 6]
    bus.publish(range(7, 13))
    assert await subscription.receive() == [Gap(2), 9, 10, 11, 12]
    bus.close()
    assert await subscription.receive() == []


async def test_receive_waits_past_items_that_are_not_wanted():
    bus = Bus[int]()
    subscription = bus.subscribe(filter=lambda number: number > 1)

    async def publish() -> None:
        bus.publish([1])
        await checkpoint()
        bus.publish([2])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            assert await subscription.receive() == [2]


async def test_lag_is_what_was_not_looked_at():
    bus = Bus[int](2)
    subscription = bus.subscribe()
    bus.publish([1, 2, 3])
    assert subscription.lag == 3
    await subscription.receive()
    assert subscription.lag == 0


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_bus_without_room_is_refused(capacity):
    with pytest.raises(ValueError, match="at least one"):
        Bus[int](capacity)


@given(
    capacity=st.integers(1, 5),
    steps=st.lists(st.one_of(st.integers(0, 12), st.sampled_from(["one", "all"]))),
)
def test_seen_and_missed_items_add_up_to_all(capacity, steps):
    async def play() -> None:
        bus = Bus[int](capacity)
        subscription = bus.subscribe()
        taken: list[int | Gap] = []
        for step in steps:
            if isinstance(step, int):
                bus.publish(range(bus.published, bus.published + step))
            elif not subscription.lag:
                continue
            elif step == "one":
                taken.append(await anext(subscription))
            else:
                taken += await subscription.receive()
        bus.close()
        taken += await rest(subscription)

        place = 0
        for item in taken:
            if isinstance(item, Gap):
                assert item.missed > 0
                place += item.missed
            else:
                assert item == place
                place += 1
        assert place == bus.published

    anyio.run(play)


# ---- waiting for subscribers


async def test_who_sends_waits_for_who_is_to_be_waited_for():
    bus, sent = Bus[int](2), list[int]()

    async def send() -> None:
        for number in range(6):
            await bus.send([number])
            sent.append(number)
        bus.close()

    with anyio.fail_after(5), bus.subscribe(wait=True) as careful:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert sent == [0, 1]
            assert await anext(careful) == 0
            await anyio.wait_all_tasks_blocked()
            assert sent == [0, 1, 2]
            assert await careful.receive() == [1, 2]
            assert await rest(careful) == [3, 4, 5]


async def test_others_lose_what_one_waits_for_alone():
    bus = Bus[int](2)
    careless = bus.subscribe()
    with anyio.fail_after(5), bus.subscribe(wait=True) as careful:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.send, range(4))
            assert [await anext(careful) for _ in range(4)] == [0, 1, 2, 3]
    bus.close()
    assert await rest(careless) == [Gap(2), 2, 3]


async def test_publishing_waits_for_nobody():
    bus = Bus[int](2)
    with bus.subscribe(wait=True) as careful:
        bus.publish(range(5))
        bus.close()
        assert await rest(careful) == [Gap(3), 3, 4]


async def test_closing_a_subscription_lets_the_sender_go_on():
    bus = Bus[int](1)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            careful = bus.subscribe(wait=True)
            tasks.start_soon(bus.send, range(3))
            await anyio.wait_all_tasks_blocked()
            assert bus.published == 1
            careful.close()
    assert bus.published == 3


async def test_closing_the_bus_refuses_what_waits_to_be_sent():
    bus, refused = Bus[int](1), list[str]()

    async def send() -> None:
        try:
            await bus.send(range(3))
        except BusClosed as error:
            refused.append(error.code)

    with anyio.fail_after(5), bus.subscribe(wait=True) as careful:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            bus.close()
        assert await rest(careful) == [0]
    assert refused == ["bus.closed"]


async def test_a_cancelled_sender_has_sent_what_went_before():
    bus = Bus[int](2)
    with bus.subscribe(wait=True) as careful:
        with anyio.move_on_after(0.01) as scope:
            await bus.send(range(5))
        assert scope.cancelled_caught
        assert await careful.receive() == [0, 1]


@given(st.integers(1, 5), st.lists(st.integers(1, 4), max_size=8))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
def test_who_is_waited_for_never_meets_a_gap(anyio_backend, capacity, takes):
    async def main() -> list[int | Gap]:
        bus, seen = Bus[int](capacity), list[int | Gap]()
        with bus.subscribe(wait=True) as careful:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bus.send, range(sum(takes)))
                for count in takes:
                    seen += [await anext(careful) for _ in range(count)]
        return seen

    assert anyio.run(main, backend=anyio_backend) == list(range(sum(takes)))
