# ruff: noqa: S101 - tests, shipped for others to run
"""What a store says after a crash, held against what it promised before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from toka.store.core import EMPTY, StoreError, open_store

if TYPE_CHECKING:
    from toka.store.core import Event, EventStore, NewEvent
    from toka.store.core.conformance.crash._promises import Promises

Verdict: TypeAlias = Literal["sound", "refused", "reported"]
"""All answers are right; or opening or reading raised; or `verify` found something."""


async def judge(url: str, promises: Promises, acknowledged: int) -> Verdict:
    """Open a store and ask it everything.

    Raises:
        AssertionError: It gave a wrong answer, or kept silent about a loss.
    """
    try:
        async with await open_store(url, create=not acknowledged) as store:
            if not (await store.verify()).ok:
                return "reported"
            await check(store, promises, acknowledged)
    except StoreError:
        return "refused"
    return "sound"


async def demand(url: str, promises: Promises, acknowledged: int) -> None:
    """Open a store that has no excuse: nothing but power or the process was taken from it.

    Raises:
        AssertionError: It does not keep a promise.
        StoreError: It cannot be opened.
    """
    async with await open_store(url) as store:
        report = await store.verify()
        assert report.ok, report.problems
        await check(store, promises, acknowledged)


async def check(store: EventStore, promises: Promises, acknowledged: int) -> None:
    """Compare all that a store says with what was promised."""
    events = [event async for event in store.read()]
    assert len(events) >= acknowledged, f"{len(events)} events of {acknowledged} acknowledged"
    _check_boundary(promises, len(events))
    for position, (event, given) in enumerate(zip(events, promises.events(), strict=False), 1):
        assert event.position == position
        assert _same(event, given, promises.compacted), f"event {position} was altered"
    await _check_head(store, events, promises)
    await _check_ways(store, events)


def _same(event: Event, given: NewEvent, compacted: int) -> bool:
    return event.repeats(given) and (not event.compacted or event.position <= compacted)


def _check_boundary(promises: Promises, count: int) -> None:
    """Check that no append is there by half."""
    total, borders = 0, {0}
    for promise in promises.kept:
        total += len(promise.events)
        borders.add(total)
    assert count in borders, f"{count} events are there, appends end at {sorted(borders)}"


async def _check_head(store: EventStore, events: list[Event], promises: Promises) -> None:
    head = await store.head()
    last = events[-1] if events else EMPTY
    assert (head.position, head.digest) == (last.position, last.digest)
    for promise in promises.kept:
        receipt = promise.receipt
        if receipt is not None and receipt.last <= head.position:
            assert events[receipt.last - 1].digest == receipt.head
    snapshot = await store.load_snapshot("state")
    if snapshot is not None:
        assert snapshot.position <= head.position
        assert snapshot.data == b"state %d" % snapshot.position


async def _check_ways(store: EventStore, events: list[Event]) -> None:
    """Check that every other way to an event leads to the same one."""
    for stream in {event.stream for event in events}:
        expected = [event for event in events if event.stream == stream]
        assert [event async for event in store.read_stream(stream)] == expected
        assert await store.stream_version(stream) == len(expected)
    for event in events[:: max(1, len(events) // 4)]:
        assert await store.get(event.id) == event
        known = {each.id for each in await store.ancestors(event.id)}
        assert known >= set(event.parents)
