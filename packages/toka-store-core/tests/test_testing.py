import pytest

from toka.store.core import EventStore, Snapshot, StoreFailed
from toka.store.core.testing import EventSource, FaultyStore, memory_folder

pytestmark = pytest.mark.anyio

memory = pytest.importorskip("toka.store.memory", reason="the wrapper needs a store to wrap")


def faulty(fail_at: int | None = None, *, after_storing: bool = False) -> FaultyStore:
    store: EventStore = memory.MemoryStore()
    return FaultyStore(store, fail_at, after_storing=after_storing)


async def test_the_failing_append_stores_nothing_and_neither_do_later_ones():
    source = EventSource()
    async with faulty(2) as store:
        await store.append([source.new()])
        for _ in range(2):
            with pytest.raises(StoreFailed):
                await store.append([source.new()])
        with pytest.raises(StoreFailed):
            await store.save_snapshot(Snapshot("state", 1, b"", b""))
        assert (await store.head()).position == 1
        store.heal()
        await store.append([source.new()])
        assert (await store.head()).position == 2
        assert (await store.verify()).ok


async def test_an_answer_can_be_lost_after_storing():
    events = EventSource().several(2)
    async with faulty() as store:
        store.fail_next(after_storing=True)
        with pytest.raises(StoreFailed):
            await store.append(events)
        assert (await store.head()).position == 2
        store.heal()
        assert (await store.append(events)).last == 2


def test_events_of_one_seed_are_the_same_in_every_run():
    assert EventSource(1).several(3) == EventSource(1).several(3)
    ids = [event.id for seed in range(3) for event in EventSource(seed).several(3)]
    assert len(set(ids)) == 9


def test_a_folder_is_there_as_long_as_it_is_lent():
    with memory_folder() as one, memory_folder() as other:
        assert one != other
        (one / "file").write_bytes(b"content")
    assert not one.exists()
    assert not other.exists()
