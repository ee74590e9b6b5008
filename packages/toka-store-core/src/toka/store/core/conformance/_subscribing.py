# ruff: noqa: S101, PLR2004 - tests, shipped for others to run
"""What a subscription delivers: everything once, in order, whether stored before or after."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from toka.store.core import Event, EventStore
    from toka.store.core.conformance._place import Opener
    from toka.store.core.testing import EventSource

SECONDS = 20
"""After which a test that waits has failed."""


async def take(
    store: EventStore,
    after: int,
    count: int,
    into: list[Event],
    caught_up: anyio.Event | None = None,
) -> None:
    """Collect `count` events of a subscription, and say when the first two are there."""
    async with aclosing(store.subscribe(after)) as events:
        async for event in events:
            into.append(event)
            if caught_up is not None and len(into) == 2:
                caught_up.set()
            if len(into) == count:
                return


@pytest.mark.anyio
class SubscribeConformance:
    """Tests of `subscribe`."""

    async def test_what_is_stored_comes_first_then_what_follows(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append(source.several(3))
        seen: list[Event] = []
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                caught_up = anyio.Event()
                tasks.start_soon(take, store, 1, 5, seen, caught_up)
                await caught_up.wait()
                await store.append([source.new()])
                await store.append(source.several(2))
        assert [event.position for event in seen] == [2, 3, 4, 5, 6]
        assert seen == await store.read_page(1, 5)

    async def test_events_appended_while_catching_up_come_once(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append(source.several(700))
        seen: list[Event] = []

        async def write() -> None:
            for _ in range(100):
                await store.append(source.several(3))
                await checkpoint()

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take, store, 0, 1_000, seen)
                tasks.start_soon(write)
        assert [event.position for event in seen] == list(range(1, 1_001))

    async def test_several_subscribers_see_the_same(
        self, store: EventStore, source: EventSource
    ) -> None:
        seen: list[list[Event]] = [[] for _ in range(4)]
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                for into in seen:
                    tasks.start_soon(take, store, 0, 20, into)
                for _ in range(20):
                    await store.append([source.new()])
        assert all(into == seen[0] for into in seen)
        assert [event.position for event in seen[0]] == list(range(1, 21))

    async def test_a_subscription_beyond_the_end_waits_for_its_position(
        self, store: EventStore, source: EventSource
    ) -> None:
        seen: list[Event] = []
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take, store, 2, 1, seen)
                await checkpoint()
                for _ in range(3):
                    await store.append([source.new()])
        assert [event.position for event in seen] == [3]

    async def test_a_cancelled_subscription_leaves_the_store_in_use(
        self, store: EventStore, source: EventSource
    ) -> None:
        with anyio.move_on_after(0.01) as scope:
            await take(store, 0, 1, [])
        assert scope.cancelled_caught
        await store.append([source.new()])
        seen: list[Event] = []
        with anyio.fail_after(SECONDS):
            await take(store, 0, 1, seen)
        assert len(seen) == 1

    async def test_closing_the_store_ends_its_subscriptions(self, place: Opener) -> None:
        store = await place()
        ended = anyio.Event()

        async def listen() -> None:
            async for _ in store.subscribe():
                pass
            ended.set()

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await checkpoint()
                await store.aclose()
                await ended.wait()

    async def test_a_store_open_for_reading_follows_the_writer(
        self, place: Opener, source: EventSource
    ) -> None:
        async with await place() as writer:
            if not writer.capabilities.durable:
                return  # there is no second way to what this store holds
            await writer.append(source.several(2))
            seen: list[Event] = []
            async with await place(read_only=True) as reader:
                with anyio.fail_after(SECONDS):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(take, reader, 0, 6, seen)
                        for _ in range(4):
                            await writer.append([source.new()])
            assert [event.position for event in seen] == [1, 2, 3, 4, 5, 6]
