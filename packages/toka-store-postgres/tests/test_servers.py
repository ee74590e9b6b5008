"""What the server does to a store: restarts, lost connections, other writers."""

from __future__ import annotations

import signal

import anyio
import anyio.lowlevel
import asyncpg
import pytest

from toka.store.core import Receipt, StoreFailed, WrongVersion
from toka.store.core.testing import EventSource
from toka.store.postgres import PostgresStore

pytestmark = pytest.mark.anyio


async def everything(store):
    return [event async for event in store.read()]


async def end_connections(location, name):
    """End all connections of a name, as an operator or a failing network would."""
    connection = await asyncpg.connect(f"postgresql:{location}".partition("?")[0])
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name
    )
    await connection.close()


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["crash", "restart"])
async def test_a_server_that_ends_in_mid_append_stores_each_once_and_whole(own_server, how):
    """Ten writers append pairs while the server ends five times; nobody sees an error."""
    source, receipts = EventSource(), dict[str, Receipt]()
    reached = [anyio.Event() for _ in range(7)]
    async with await PostgresStore.open(own_server.location(), patience=100) as store:

        async def write(number):
            for _ in range(40):
                pair = source.several(2, f"stream {number}")
                receipts[pair[0].id] = await store.append(pair)
                if len(receipts) % 60 == 0:
                    reached[len(receipts) // 60].set()

        async def end():
            for share in range(1, 6):
                await reached[share].wait()
                await anyio.to_thread.run_sync(own_server.stop, how)
                await anyio.to_thread.run_sync(own_server.start)

        with anyio.fail_after(300):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end)
                for number in range(10):
                    tasks.start_soon(write, number)
        events = await everything(store)
        assert [event.position for event in events] == list(range(1, 801))
        for event_id, receipt in receipts.items():
            assert events[receipt.first - 1].id == event_id
            assert receipt.last == receipt.first + 1
            assert events[receipt.last - 1].digest == receipt.head
        assert (await store.verify()).ok


async def test_an_append_whose_answer_was_lost_gets_the_first_receipt(location):
    source = EventSource()
    appends = [source.several(2) for _ in range(200)]
    receipts: list[Receipt | None] = [None] * len(appends)
    async with await PostgresStore.open(location) as store, anyio.create_task_group() as tasks:

        async def append(index):
            receipts[index] = await store.append(appends[index])

        for index in range(len(appends)):
            tasks.start_soon(append, index)
        for _ in range(10):
            await end_connections(location, "toka writer")
    async with await PostgresStore.open(location) as store:
        assert [await store.append(events) for events in appends] == receipts
        assert (await store.head()).position == 400


async def test_two_writers_make_one_order_and_exactly_one_wins_a_version(location):
    one, other = await PostgresStore.open(location), await PostgresStore.open(location)
    sources = {one: EventSource(1), other: EventSource(2)}
    won: list[int] = []

    async def write(store):
        for _ in range(30):
            while True:
                version = await store.stream_version("shared")
                event = sources[store].new("shared")
                try:
                    receipt = await store.append([event], streams={"shared": version})
                except WrongVersion:
                    continue
                won.append(receipt.first)
                break

    async with one, other:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write, one)
                tasks.start_soon(write, other)
        assert sorted(won) == list(range(1, 61))
        assert [event.version for event in await everything(other)] == list(range(1, 61))
        assert (await one.verify()).ok


async def test_a_subscriber_hears_other_writers_and_misses_nothing_of_a_lost_connection(location):
    source, heard = EventSource(), list[int]()
    reader = await PostgresStore.open(location, create=True)
    async with reader, await PostgresStore.open(location) as writer:

        async def listen():
            async for event in reader.subscribe():
                heard.append(event.position)
                if len(heard) == 100:
                    return

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                for number in range(100):
                    await writer.append([source.new()])
                    if number % 25 == 0:
                        await end_connections(location, "toka listener")
        assert heard == list(range(1, 101))


async def test_reading_goes_on_after_a_lost_connection(location):
    async with await PostgresStore.open(location) as store:
        await store.append(EventSource().several(3))
        for _ in range(5):
            await end_connections(location, "toka reader")
            assert len(await everything(store)) == 3


async def test_without_a_server_appends_fail_when_patience_ends_and_may_be_repeated(own_server):
    source = EventSource()
    events = source.several(2)
    async with await PostgresStore.open(own_server.location(), patience=0.3) as store:
        await store.append([source.new()])
        own_server.stop()
        with pytest.raises(StoreFailed, match="Writing to"):
            await store.append(events)
        with pytest.raises(StoreFailed, match="Reading"):
            await store.head()
        own_server.start()
        receipt = await store.append(events)
        assert (receipt.first, receipt.last) == (2, 3)


async def test_what_was_acknowledged_survives_a_crash_of_the_server(own_server):
    source = EventSource()
    async with await PostgresStore.open(own_server.location()) as store:
        receipts = [await store.append(source.several(3)) for _ in range(20)]
        own_server.stop(signal.SIGQUIT)
    own_server.start()
    async with await PostgresStore.open(own_server.location(), create=False) as store:
        head = await store.head()
        assert (head.position, head.digest) == (60, receipts[-1].head)
        assert (await store.verify()).ok
