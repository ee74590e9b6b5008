import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.store.core import (
    Absent,
    ConditionFailed,
    EventStore,
    InvalidEvent,
    Query,
    Snapshot,
    StoreFailed,
    TransactionCommitted,
    TransactionRolledBack,
    Transactions,
    UnknownTransaction,
    WrongVersion,
    open_store,
)
from toka.store.core.testing import EventSource, FaultyStore
from toka.types import EventId

pytestmark = pytest.mark.anyio

pytest.importorskip("toka.store.memory", reason="a transaction needs a store")


@pytest.fixture
async def store():
    async with await open_store("memory:") as store:
        yield store


@pytest.fixture
def source() -> EventSource:
    return EventSource(3)


def started(store: EventStore, seed: int = 0) -> Transactions:
    """Return what a new process would use."""
    return Transactions(store, new_id=EventSource(100 + seed).event_id)


async def test_what_is_written_is_seen_only_after_the_commit(store, source):
    transactions = started(store)
    first = await transactions.begin()
    events = [source.new("a"), source.new("b", kind="other.v1")]
    for event in events:
        await transactions.write(first, event)
    assert await store.get(events[0].id) is None
    assert await store.stream_version("a") == 0
    receipt = await transactions.commit(first)
    assert receipt.last - receipt.first == 2
    assert [event.new() for event in await store.read_page(receipt.first - 1, 2)] == events
    assert receipt.head == (await store.head()).digest


async def test_a_commit_that_is_repeated_returns_the_same_receipt(store, source):
    transactions = started(store)
    first = await transactions.begin()
    await transactions.write(first, source.new())
    receipt = await transactions.commit(first)
    head = await store.head()
    assert await transactions.commit(first) == receipt
    assert await started(store, 1).commit(first) == receipt
    assert await store.head() == head


async def test_a_rollback_leaves_nothing_and_can_be_repeated(store, source):
    transactions = started(store)
    first, event = await transactions.begin(), source.new()
    await transactions.write(first, event)
    await transactions.rollback(first)
    head = await store.head()
    await transactions.rollback(first)
    assert await store.head() == head
    assert await store.get(event.id) is None
    for call in (transactions.commit(first), transactions.write(first, event)):
        with pytest.raises(TransactionRolledBack):
            await call


async def test_what_is_ended_is_not_ended_otherwise(store, source):
    transactions = started(store)
    first = await transactions.begin()
    await transactions.commit(first)
    with pytest.raises(TransactionCommitted):
        await transactions.rollback(first)
    with pytest.raises(TransactionCommitted):
        await transactions.write(first, source.new())
    for call in (transactions.commit, transactions.rollback, transactions.events):
        with pytest.raises(UnknownTransaction):
            await call(source.event_id())


async def test_an_open_transaction_goes_on_after_a_restart(store, source):
    first = await started(store).begin()
    events = [source.new(), source.new()]
    await started(store, 1).write(first, events[0])
    after = started(store, 2)
    assert await after.pending() == [first]
    assert await after.events(first) == (events[0],)
    await after.write(first, events[1])
    receipt = await started(store, 3).commit(first)
    assert receipt.last - receipt.first == 2
    assert await started(store, 4).pending() == []


async def test_recovery_rolls_back_what_is_open_and_touches_nothing_else(store, source):
    transactions = started(store)
    committed, rolled_back, opened = [await transactions.begin() for _ in range(3)]
    for each in (committed, rolled_back, opened):
        await transactions.write(each, source.new())
    await transactions.commit(committed)
    await transactions.rollback(rolled_back)
    after = started(store, 1)
    recovery = await after.recover()
    assert (recovery.committed, recovery.rolled_back) == ((), (opened,))
    assert (await after.recover()).rolled_back == ()
    assert await store.stream_version("stream") == 1


async def test_recovery_commits_what_its_caller_says(store, source):
    transactions = started(store)
    whole, part = await transactions.begin(), await transactions.begin()
    await transactions.write(whole, source.new(kind="done.v1"))
    await transactions.write(part, source.new(kind="half.v1"))
    recovery = await started(store, 1).recover(lambda events: events[-1].kind == "done.v1")
    assert (recovery.committed, recovery.rolled_back) == ((whole,), (part,))


async def test_a_checkpoint_changes_nothing_but_the_way(store, source):
    transactions = started(store)
    committed, opened = await transactions.begin(), await transactions.begin()
    await transactions.write(opened, source.new())
    await transactions.commit(committed)
    await transactions.checkpoint()
    await transactions.write(opened, source.new())
    after = started(store, 1)
    assert await after.pending() == [opened]
    assert len(await after.events(opened)) == 2
    assert (await after.recover()).rolled_back == (opened,)


async def test_what_was_checkpointed_can_be_compacted(store, source):
    transactions = started(store)
    committed, opened = await transactions.begin(), await transactions.begin()
    await transactions.write(committed, source.new())
    receipt = await transactions.commit(committed)
    await transactions.write(opened, source.new(payload=b"kept"))
    await transactions.checkpoint()
    await store.compact("transactions")
    after = started(store, 1)
    assert await after.commit(committed) == receipt
    assert [event.payload for event in await after.events(opened)] == [b"kept"]
    await after.commit(opened)
    assert await store.stream_version("stream") == 2


async def test_an_expectation_that_fails_leaves_the_transaction_open(store, source):
    transactions = started(store)
    first = await transactions.begin()
    await transactions.write(first, source.new("a"))
    await store.append([source.new("a")])
    with pytest.raises(WrongVersion):
        await transactions.commit(first, streams={"a": 0})
    with pytest.raises(ConditionFailed):
        await transactions.commit(first, absent=[Absent(Query(kinds=("test.",)))])
    receipt = await transactions.commit(first, streams={"a": 1})
    assert (await store.read_page(receipt.first - 1, 1))[0].version == 2


async def test_a_bad_event_is_refused_when_it_is_written(store, source):
    transactions = started(store)
    first = await transactions.begin()
    head = await store.head()
    with pytest.raises(InvalidEvent):
        await transactions.write(first, source.new(kind=""))
    assert await store.head() == head


@pytest.mark.parametrize("stored", [True, False])
async def test_a_commit_of_unknown_outcome_is_asked_again(store, source, stored):
    faulty = FaultyStore(store)
    transactions = started(faulty)
    first = await transactions.begin()
    await transactions.write(first, source.new())
    faulty.fail_next(after_storing=stored)
    with pytest.raises(StoreFailed):
        await transactions.commit(first)
    faulty.heal()
    receipt = await transactions.commit(first)
    assert (receipt.last, receipt.head) == ((await store.head()).position, receipt.head)
    assert receipt.last == 4
    assert await store.stream_version("stream") == 1


async def test_a_checkpoint_of_somebody_else_is_not_used(store):
    first = await started(store).begin()
    await store.save_snapshot(Snapshot("transactions", 1, b"\x90", b"other"))
    assert await started(store, 1).pending() == [first]


STEPS = st.sampled_from(["begin", "write", "commit", "rollback", "crash", "checkpoint"])


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS))
async def test_whatever_happens_only_commits_are_seen(steps):
    source, restarts, seen, opened = EventSource(3), 0, 0, dict[EventId, int]()
    async with await open_store("memory:") as store:
        transactions = started(store)
        for step in steps:
            newest = next(reversed(opened), None)
            if step == "begin":
                opened[await transactions.begin()] = 0
            elif step == "crash":
                restarts += 1
                transactions = started(store, restarts)
            elif step == "checkpoint":
                await transactions.checkpoint()
            elif newest is not None and step == "write":
                await transactions.write(newest, source.new("data"))
                opened[newest] += 1
            elif newest is not None and step == "commit":
                await transactions.commit(newest)
                seen += opened.pop(newest)
            elif newest is not None and step == "rollback":
                await transactions.rollback(newest)
                del opened[newest]
            assert await store.stream_version("data") == seen
            assert await transactions.pending() == list(opened)
        assert list((await transactions.recover()).rolled_back) == list(opened)
        assert (await store.verify()).ok
