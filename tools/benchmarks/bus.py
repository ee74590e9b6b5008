"""The bus in one process: messages published a second, every subscriber having taken them all.

The peers are what one would write without a bus: a queue, or a stream of anyio, for each subscriber
and a publisher that puts each message into every one and waits where one is full. Ours is asked the
same: no subscriber misses a message, because `send` waits. The row of `publish` is the bus as the
runtime uses it, by groups and without waiting, and receivers that take what is there.

It is counted by the second of the processor: nothing here waits for anything but a turn.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from toka.bus.core import Bus, Gap
from workshop.measure import Measure, at_least

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_CAPACITY: Final = 1_024
_QUEUED: Final = 256
_GROUP: Final = 64
_MESSAGES: Final = {1: 60_000, 10: 15_000}
_BARS: Final = {1: 800_000, 10: 150_000}


def measures() -> list[Measure]:
    """Return what is measured, to one and to ten subscribers."""
    return [
        Measure(
            f"publish to {count} subscriber{'s' * (count > 1)}, none misses any",
            "messages/CPU s",
            {
                "ours": partial(_timed, ring, count),
                "ours, send": partial(_timed, ring_that_waits, count),
                "asyncio.Queue each": partial(_timed, queues, count),
                "anyio stream each": partial(_timed, streams, count),
            },
            [at_least(_BARS[count])],
        )
        for count in _MESSAGES
    ]


def _timed(subject: Callable[[int, int], Coroutine[object, object, int]], count: int) -> float:
    messages = _MESSAGES[count]
    began = time.process_time()
    taken = asyncio.run(subject(count, messages))
    took = time.process_time() - began
    if taken != count * messages:
        raise ValueError(f"{taken} of {count * messages} messages arrived")
    return messages / took


async def ring(count: int, messages: int) -> int:
    """Publish groups, as the runtime does with what one commit brought."""
    bus, taken = Bus[int](_CAPACITY), 0

    async def take() -> None:
        nonlocal taken
        with bus.subscribe() as subscription:
            while items := await subscription.receive():
                taken += len(items) - isinstance(items[0], Gap)  # a gap is only ever the first

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(take)
        await asyncio.sleep(0)
        for start in range(0, messages, _GROUP):
            bus.publish(range(start, min(start + _GROUP, messages)))
            await asyncio.sleep(0)
        bus.close()
    return taken


async def ring_that_waits(count: int, messages: int) -> int:
    """Send each message, and take each, waiting for who is slow."""
    bus, taken = Bus[int](_CAPACITY), 0

    async def take() -> None:
        nonlocal taken
        with bus.subscribe(wait=True) as subscription:
            async for _ in subscription:
                taken += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(take)
        await asyncio.sleep(0)
        await bus.send(range(messages))
        bus.close()
    return taken


async def queues(count: int, messages: int) -> int:
    """Put each message into a queue for each subscriber."""
    each: list[asyncio.Queue[int | None]] = [asyncio.Queue(_QUEUED) for _ in range(count)]
    taken = 0

    async def take(queue: asyncio.Queue[int | None]) -> None:
        nonlocal taken
        while await queue.get() is not None:
            taken += 1

    async with asyncio.TaskGroup() as tasks:
        for queue in each:
            tasks.create_task(take(queue))
        for message in range(messages):
            for queue in each:
                await queue.put(message)
        for queue in each:
            await queue.put(None)
    return taken


async def streams(count: int, messages: int) -> int:
    """Send each message into a stream for each subscriber."""
    each = [anyio.create_memory_object_stream[int](_QUEUED) for _ in range(count)]
    taken = 0

    async def take(index: int) -> None:
        nonlocal taken
        async with each[index][1] as receiver:
            async for _ in receiver:
                taken += 1

    async with anyio.create_task_group() as tasks:
        for index in range(count):
            tasks.start_soon(take, index)
        for message in range(messages):
            for sender, _ in each:
                await sender.send(message)
        for sender, _ in each:
            sender.close()
    return taken
