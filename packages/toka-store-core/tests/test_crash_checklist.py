"""The judges of the crash checklist, held against stores that lie."""

import attrs
import pytest

from toka.store.core import EventStore, Receipt, open_store
from toka.store.core.conformance.crash import CrashConformance
from toka.store.core.conformance.crash._judge import check
from toka.store.core.conformance.crash._promises import Promise, Promises, Run, Workload
from toka.store.core.testing import Recording
from toka.store.core.testing._record import Mark

pytestmark = pytest.mark.anyio

pytest.importorskip("toka.store.memory", reason="what lies is a store")


async def promised(store: EventStore, sizes: tuple[int, ...] = (1, 4, 2)) -> Promises:
    work, promises = Workload(1), Promises()
    for size in sizes:
        events = work.batch(size)
        promises.kept.append(Promise(events, await store.append(events)))
    return promises


@pytest.fixture
async def store():
    async with await open_store("memory:") as store:
        yield store


async def test_a_store_that_keeps_its_word_passes(store):
    await check(store, await promised(store), 7)


async def test_what_is_missing_is_noticed(store):
    promises = await promised(store)
    promises.kept.append(Promise(Workload(2).batch(1), Receipt(8, 8, b"")))
    await check(store, promises, 7)
    with pytest.raises(AssertionError, match="7 events of 8 acknowledged"):
        await check(store, promises, 8)


async def test_half_an_append_is_noticed(store):
    promises = await promised(store)
    last = promises.kept[-1]
    more = [*last.events, *Workload(2).batch(1)]
    promises.kept[-1] = Promise(more, last.receipt)
    with pytest.raises(AssertionError, match="appends end at"):
        await check(store, promises, 5)


async def test_an_altered_event_is_noticed(store):
    promises = await promised(store)
    first = promises.kept[0]
    promises.kept[0] = Promise([attrs.evolve(first.events[0], actor="other")], first.receipt)
    with pytest.raises(AssertionError, match="event 1 was altered"):
        await check(store, promises, 7)


async def test_another_digest_than_the_receipts_is_noticed(store):
    promises = await promised(store)
    last = promises.kept[-1]
    assert last.receipt is not None
    promises.kept[-1] = Promise(last.events, attrs.evolve(last.receipt, head=bytes(32)))
    with pytest.raises(AssertionError):
        await check(store, promises, 7)


async def test_what_counts_is_what_was_acknowledged_before_the_crash():
    marks = ["open", "ack 3", "ack 5", "ack 4"]
    run = Run(Promises(), Recording([Mark(text) for text in marks]))
    assert [run.acknowledged(at) for at in range(5)] == [0, 0, 3, 5, 5]


def test_a_backend_says_where_its_store_is(tmp_path):
    with pytest.raises(NotImplementedError, match="address"):
        CrashConformance.address(tmp_path)
