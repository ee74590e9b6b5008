from pathlib import Path

import pytest

from toka.store.core import (
    CopyRefused,
    CopyReport,
    EventStore,
    NotAPrefix,
    Snapshot,
    StoreFailed,
    WrongHead,
    copy,
    open_store,
)
from toka.store.core.testing import EventSource, FaultyStore

pytestmark = pytest.mark.anyio

pytest.importorskip("toka.store.memory", reason="a log is copied between two stores")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def filled(store: EventStore, count: int = 2_500) -> None:
    source = EventSource()
    cause = source.new("a", payload=b"x" * 5_000, tags=("one", "two"))
    await store.append([cause, source.new("b", parents=(cause.id,), intent="why")])
    await store.append(source.several(count - 2))


async def test_a_copy_has_the_same_events_and_digests():
    async with await open_store("memory:") as source, await open_store("memory:") as target:
        await filled(source)
        seen = list[tuple[int, int]]()
        report = await copy(source, target, progress=lambda done, all_: seen.append((done, all_)))
        assert report == CopyReport(await source.head(), 2_500)
        assert [each async for each in target.read()] == [each async for each in source.read()]
        assert (await target.verify()).ok
        assert seen[0] == (0, 2_500)
        assert seen[-1] == (2_500, 2_500)
        assert seen == sorted(seen)


async def test_a_copy_goes_on_where_it_was_interrupted():
    async with await open_store("memory:") as source, await open_store("memory:") as inner:
        await filled(source)
        target = FaultyStore(inner, fail_at=2)
        with pytest.raises(StoreFailed):
            await copy(source, target)
        part = (await target.head()).position
        assert 0 < part < 2_500
        target.heal()
        assert (await copy(source, target)).copied == 2_500 - part
        assert (await copy(source, target)).copied == 0
        assert await target.head() == await source.head()


async def test_an_empty_log_is_copied():
    async with await open_store("memory:") as source, await open_store("memory:") as target:
        assert (await copy(source, target)).copied == 0


async def test_a_target_with_another_log_or_a_longer_one_is_refused_and_unchanged():
    async with await open_store("memory:") as source, await open_store("memory:") as target:
        await filled(source, 10)
        await target.append(EventSource(7).several(3))
        before = await target.head()
        for first, second in ((source, target), (target, source)):
            with pytest.raises(NotAPrefix) as caught:
                await copy(first, second)
            assert caught.value.code == "store.not_a_prefix"
        assert caught.value.details["target_head"] == 10
        assert await target.head() == before


async def test_a_payload_that_was_dropped_ends_the_copy_and_says_where():
    async with await open_store("memory:") as source, await open_store("memory:") as target:
        await filled(source, 10)
        await source.save_snapshot(Snapshot("state", 4, b"", b""))
        await source.compact("state")
        with pytest.raises(CopyRefused) as caught:
            await copy(source, target)
        assert caught.value.code == "store.payload_dropped"
        assert caught.value.details["position"] == 1
        assert (await target.head()).position == 0


async def test_another_writer_at_the_target_is_noticed():
    async with await open_store("memory:") as source, await open_store("memory:") as target:
        await filled(source)
        intruder = EventSource(9)

        class Shared(FaultyStore):
            async def append(self, events, **expectations):
                await target.append([intruder.new()])
                return await super().append(events, **expectations)

        with pytest.raises(WrongHead):
            await copy(source, Shared(target))


async def test_a_log_moves_between_backends_and_back(tmp_path: Path):
    pytest.importorskip("toka.store.sqlite", reason="the other backend")
    async with await open_store("memory:") as first, await open_store("memory:") as third:
        await filled(first, 300)
        async with await open_store(f"sqlite:{tmp_path / 'run.db'}") as second:
            await copy(first, second)
            assert (await second.verify()).ok
            await copy(second, third)
        assert await third.head() == await first.head()
