"""A log, followed over a bus that loses most of it."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.bus.core import Bus, follow

pytestmark = pytest.mark.anyio


@attrs.frozen
class Entry:
    position: int


class Log:
    """A log whose writer publishes what it has stored."""

    def __init__(self, capacity: int) -> None:
        self.bus = Bus[Entry](capacity)
        self.entries: list[Entry] = []
        self.read_from: list[int] = []

    def append(self, count: int) -> None:
        new = [Entry(len(self.entries) + 1 + index) for index in range(count)]
        self.entries += new
        self.bus.publish(new)

    async def read(self, after: int) -> AsyncIterator[Entry]:
        self.read_from.append(after)
        for entry in self.entries[after:]:
            yield entry


async def test_what_is_stored_comes_first_then_what_is_published():
    log, seen = Log(8), list[int]()
    log.append(3)
    async with aclosing(follow(log.bus, log.read, 1)) as entries:
        async for entry in entries:
            seen.append(entry.position)
            if entry.position in {3, 5}:
                log.append(1)
            if entry.position == 4:
                log.append(1)
                log.bus.publish([])
            if entry.position == 6:
                log.bus.close()
    assert seen == [2, 3, 4, 5, 6]
    assert log.read_from == [1]


async def test_what_the_bus_lost_is_read_from_the_log():
    log, seen = Log(2), list[int]()
    with anyio.fail_after(5):
        async with aclosing(follow(log.bus, log.read)) as entries:

            async def take() -> None:
                async for entry in entries:
                    seen.append(entry.position)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take)
                await anyio.wait_all_tasks_blocked()
                log.append(7)
                await anyio.wait_all_tasks_blocked()
                log.append(1)
                await anyio.wait_all_tasks_blocked()
                log.bus.close()
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
    assert log.read_from == [0, 0]


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=10))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
def test_nothing_is_left_out_or_repeated(anyio_backend, capacity, appends):
    async def main() -> list[int]:
        log, seen = Log(capacity), list[int]()

        async def take() -> None:
            async with aclosing(follow(log.bus, log.read)) as entries:
                async for entry in entries:
                    seen.append(entry.position)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            for count, pause in appends:
                log.append(count)
                if pause:
                    await anyio.wait_all_tasks_blocked()
            await anyio.wait_all_tasks_blocked()
            log.bus.close()
        assert len(seen) == len(log.entries)
        return seen

    expected = sum(count for count, _ in appends)
    assert anyio.run(main, backend=anyio_backend) == list(range(1, expected + 1))
