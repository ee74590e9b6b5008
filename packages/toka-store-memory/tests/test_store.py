import pytest

from toka.store.core import Head, OpenRefused, Snapshot, StoreFull, open_store
from toka.store.core.testing import EventSource
from toka.store.memory import MAX_BYTES, MAX_EVENTS, MemoryStore

pytestmark = pytest.mark.anyio


async def test_a_full_store_refuses_and_stays_as_it_was():
    source = EventSource()
    store = MemoryStore(max_events=3)
    await store.append(source.several(2))
    with pytest.raises(StoreFull) as caught:
        await store.append(source.several(2))
    assert caught.value.code == "store.full"
    assert (await store.head()).position == 2
    await store.append([source.new()])
    assert (await store.verify()).ok


async def test_bytes_of_payload_are_bounded():
    source = EventSource()
    store = MemoryStore(max_bytes=10)
    await store.append([source.new(payload=b"12345678")])
    with pytest.raises(StoreFull) as caught:
        await store.append([source.new(payload=b"123")])
    assert caught.value.details == {"needed": 11, "limit": 10, "unit": "bytes of payload"}
    await store.append([source.new(payload=b"12")])


async def test_a_full_store_still_answers_a_repetition():
    source = EventSource()
    store = MemoryStore(max_events=1)
    events = [source.new()]
    assert await store.append(events) == await store.append(events)


async def test_bounds_can_be_part_of_the_address():
    source = EventSource()
    async with await open_store("memory:?max_events=1&max_bytes=100") as store:
        with pytest.raises(StoreFull):
            await store.append(source.several(2))


@pytest.mark.parametrize(
    "location",
    ["place", "?max_events=many", "?size=1", "?max_events=", "?", "?max_events=1&max_events=2"],
)
async def test_an_address_that_makes_no_sense_is_refused(location):
    with pytest.raises(OpenRefused):
        await MemoryStore.open(location)


async def test_two_stores_share_nothing():
    async with await open_store("memory:") as first, await open_store("memory:") as second:
        await first.append([EventSource().new()])
        assert await second.head() == Head(0, bytes(32))


async def test_a_damaged_snapshot_is_passed_over(caplog):
    store, source = MemoryStore(), EventSource()
    await store.append(source.several(2))
    await store.save_snapshot(Snapshot("state", 1, b"one", b""))
    await store.save_snapshot(Snapshot("state", 2, b"two", b""))
    kept = store._snapshots["state"]
    kept[1] = (Snapshot("state", 2, b"tw0", b""), kept[1][1])

    assert await store.load_snapshot("state") == Snapshot("state", 1, b"one", b"")
    assert "damaged snapshot" in caplog.text
    report = await store.verify()
    assert [problem.what for problem in report.problems] == [
        "the snapshot 'state' of position 2 is not as written"
    ]


def test_the_bounds_are_what_the_readme_says():
    assert MAX_EVENTS == 1_000_000
    assert MAX_BYTES == 2**30
