from __future__ import annotations

import itertools

import anyio
import attrs
import nats
import pytest

from toka.bus.nats import (
    BusClosed,
    BusUnavailable,
    DurableDiffers,
    Gap,
    InvalidName,
    NatsBus,
    PublishRefused,
    UndecodableItem,
)

pytestmark = pytest.mark.anyio

_numbers = itertools.count()


@attrs.frozen
class Item:
    id: str
    kind: str
    stream: str
    position: int
    payload: bytes = b""


def some(count, kind="task.started.v1", payload=b""):
    numbers = [next(_numbers) for _ in range(count)]
    return [Item(f"item-{number}", kind, "run/agent", number, payload) for number in numbers]


async def take(subscription, count):
    items = []
    with anyio.fail_after(30):
        while len(items) < count:
            items.append(await anext(subscription))
    return items


async def test_items_reach_every_subscriber_in_order_and_whole(server):
    async with (
        await NatsBus.open(server.url, Item) as bus,
        await bus.subscribe() as one,
        await bus.subscribe() as other,
    ):
        items = some(700, payload=bytes(range(256)))
        await bus.publish(items)
        assert await take(one, 700) == items
        assert await take(other, 700) == items


async def test_receive_returns_everything_that_is_there(server):
    async with await NatsBus.open(server.url, Item) as bus, await bus.subscribe() as subscription:
        items = some(10)
        await bus.publish(items)
        received = []
        with anyio.fail_after(30):
            while len(received) < 10:
                received += await subscription.receive()
        assert received == items


async def test_a_subscriber_hears_only_what_comes_after(server):
    async with await NatsBus.open(server.url, Item) as bus:
        await bus.publish(some(3))
        async with await bus.subscribe() as subscription:
            later = some(1)
            await bus.publish(later)
            assert await take(subscription, 1) == later


async def test_the_server_sends_only_the_kinds_that_are_wanted(server):
    async with (
        await NatsBus.open(server.url, Item) as bus,
        await bus.subscribe("task.") as tasks,
        await bus.subscribe("agent.spawned.v1") as spawned,
        await bus.subscribe(filter=lambda item: item.position % 2 == 0) as even,
    ):
        items = [*some(2), *some(2, "agent.spawned.v1"), *some(2, "agent.spawned.v10")]
        await bus.publish([*items, *some(2, "task.ended.v1")])
        assert [item.kind for item in await take(tasks, 4)] == [
            *["task.started.v1"] * 2,
            *["task.ended.v1"] * 2,
        ]
        assert await take(spawned, 2) == items[2:4]
        assert all(item.position % 2 == 0 for item in await take(even, 4))
        assert not any(isinstance(each, Gap) for each in await take_what_is_there(spawned))


async def test_a_subscriber_gets_the_items_of_one_stream(server):
    async with (
        await NatsBus.open(server.url, Item) as bus,
        await bus.subscribe(stream="other") as other,
        await bus.subscribe(stream="other", filter=lambda item: item.position % 2 == 0) as even,
    ):
        items = some(4)
        theirs = [attrs.evolve(item, stream="other") for item in some(4)]
        await bus.publish([*items, *theirs])
        assert await take(other, 4) == theirs
        assert await take(even, 2) == [item for item in theirs if item.position % 2 == 0]


async def test_a_durable_name_is_for_the_kinds_that_it_was_made_for(server):
    async with await NatsBus.open(server.url, Item) as bus:
        await (await bus.subscribe("task.", durable="reader")).aclose()
        await (await bus.subscribe("task.", durable="reader")).aclose()
        for kinds in ("", "agent.", "task.started.v1"):
            with pytest.raises(DurableDiffers) as caught:
                await bus.subscribe(kinds, durable="reader")
            assert caught.value.details["made_for"] == "toka.task.>"


async def take_what_is_there(subscription):
    items = []
    with anyio.move_on_after(0.1):
        while True:
            items.append(await anext(subscription))
    return items


async def test_an_item_published_again_is_stored_once(server):
    async with await NatsBus.open(server.url, Item) as bus, await bus.subscribe() as subscription:
        items = some(5)
        for _ in range(3):
            await bus.publish(items)
        end = some(1)
        await bus.publish(end)
        assert await take(subscription, 6) == items + end


async def test_a_durable_name_goes_on_where_it_was(server):
    items = some(6)
    async with (
        await NatsBus.open(server.url, Item) as bus,
        await bus.subscribe(durable="reader") as subscription,
    ):
        await bus.publish(items)
        assert await take(subscription, 3) == items[:3]
    async with (
        await NatsBus.open(server.url, Item) as bus,
        await bus.subscribe(durable="reader") as subscription,
    ):
        rest = await take(subscription, 3)
    assert sorted(item.id for item in rest) == sorted(item.id for item in items[3:])


async def test_a_slow_subscriber_is_told_exactly_how_many_it_missed(server):
    async with (
        await NatsBus.open(server.url, Item, max_items=10) as bus,
        await bus.subscribe() as subscription,
    ):
        items = some(25)
        await bus.publish(items)
        assert await take(subscription, 11) == [Gap(15), *items[15:]]


async def test_a_gap_is_told_also_where_kinds_are_filtered(server):
    async with (
        await NatsBus.open(server.url, Item, max_items=4) as bus,
        await bus.subscribe("agent.") as agents,
    ):
        noise, wanted = some(8), some(2, "agent.spawned.v1")
        await bus.publish([*noise, *wanted])
        assert await take(agents, 3) == [Gap(6), *wanted]


class Traffic:
    """One who publishes and some who read, while the server is killed again and again."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.acknowledged: list[str] = []
        self.seen: dict[str, set[str]] = {}
        self._progress = anyio.Condition()

    async def publish(self, bus):
        while len(self.acknowledged) < self.total:
            items = some(20)
            await bus.publish(items)
            async with self._progress:
                self.acknowledged.extend(item.id for item in items)
                self._progress.notify_all()

    async def read(self, name, subscription):
        self.seen[name] = set()
        async for item in subscription:
            assert isinstance(item, Item), f"{name} was told of a gap: {item}"
            async with self._progress:
                self.seen[name].add(item.id)
                self._progress.notify_all()

    async def kill(self, server, times):
        for number in range(1, times + 1):
            share = number * self.total // (times + 1)
            await self.until(lambda share=share: len(self.acknowledged) >= share)
            server.kill()
            await anyio.to_thread.run_sync(server.start)

    async def until(self, condition):
        async with self._progress:
            while not condition():
                await self._progress.wait()

    def complete(self):
        everything = len(self.acknowledged) >= self.total
        return everything and all(seen.issuperset(self.acknowledged) for seen in self.seen.values())


async def test_a_killed_server_loses_nothing_acknowledged(server):
    traffic = Traffic(2000)
    with anyio.fail_after(60):
        async with await NatsBus.open(server.url, Item) as bus, anyio.create_task_group() as tasks:
            tasks.start_soon(traffic.read, "plain", await bus.subscribe(ack_wait=1))
            durable = await bus.subscribe(durable="reader", ack_wait=1)
            tasks.start_soon(traffic.read, "durable", durable)
            tasks.start_soon(traffic.publish, bus)
            await traffic.kill(server, 5)
            await traffic.until(traffic.complete)
            tasks.cancel_scope.cancel()


async def test_without_a_server_opening_ends_with_what_to_do(server):
    server.kill()
    with pytest.raises(BusUnavailable, match="opening the bus") as caught:
        await NatsBus.open(server.url, Item, patience=0.3)
    assert caught.value.code == "bus.unavailable"
    assert "nats-server" in caught.value.hint


async def test_without_a_server_publishing_says_how_much_was_stored(server):
    async with await NatsBus.open(server.url, Item, patience=0.5) as bus:
        await bus.publish(some(3))
        server.kill()
        with pytest.raises(BusUnavailable) as caught:
            await bus.publish(some(3))
        assert caught.value.details["acknowledged"] == 0


async def test_an_item_larger_than_the_server_takes_is_refused(server):
    async with await NatsBus.open(server.url, Item) as bus:
        small = some(1)
        with pytest.raises(PublishRefused, match="max_payload"):
            await bus.publish(small + some(1, payload=bytes(2_000_000)))
        await bus.publish(some(1))


@pytest.mark.parametrize("kind", ["", "task..started", "task.*", "task.>", "task started", "a\nb"])
async def test_a_kind_that_is_no_dotted_name_is_refused_and_nothing_is_sent(server, kind):
    async with await NatsBus.open(server.url, Item) as bus, await bus.subscribe() as subscription:
        with pytest.raises(InvalidName):
            await bus.publish([*some(1), *some(1, kind)])
        good = some(1)
        await bus.publish(good)
        assert await take(subscription, 1) == good


@pytest.mark.parametrize("name", ["", "a.b", "a b", "../up", ">"])
async def test_names_with_a_meaning_of_their_own_are_refused(server, name):
    with pytest.raises(InvalidName):
        await NatsBus.open(server.url, Item, stream=name)
    async with await NatsBus.open(server.url, Item) as bus:
        with pytest.raises(InvalidName):
            await bus.subscribe(durable=name)


async def test_what_others_put_into_the_stream_is_an_error_that_names_it(server):
    async with await NatsBus.open(server.url, Item) as bus, await bus.subscribe() as subscription:
        client = await nats.connect(server.url)
        await client.jetstream().publish("toka.task.started.v1", b"not an item")
        await client.close()
        with pytest.raises(UndecodableItem, match=r"toka\.task\.started\.v1"):
            await take(subscription, 1)
        after = some(1)
        await bus.publish(after)
        assert await take(subscription, 1) == after


async def test_a_window_of_duplicates_shorter_than_retries_is_refused(server):
    with pytest.raises(ValueError, match="duplicate_window"):
        await NatsBus.open(server.url, Item, duplicate_window=10, patience=30)


async def test_a_closed_bus_publishes_nothing_and_ends_iterations(server):
    bus = await NatsBus.open(server.url, Item)
    subscription = await bus.subscribe()
    await bus.aclose()
    await bus.aclose()
    with pytest.raises(BusClosed):
        await bus.publish(some(1))
    with pytest.raises(BusClosed):
        await bus.subscribe()
    assert [item async for item in subscription] == []


async def test_a_closed_subscription_ends(server):
    async with await NatsBus.open(server.url, Item) as bus:
        subscription = await bus.subscribe()
        await subscription.aclose()
        assert subscription.closed
        assert await subscription.receive() == []
