# ruff: noqa: S101, PLR2004 - tests, shipped for others to run
"""What stays when payloads are dropped, and that equal ones are stored once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs
import pytest

from toka.store.core import (
    DuplicateEvent,
    Event,
    EventStore,
    Query,
    ReadOnlyStore,
    Snapshot,
    StoreClosed,
    UnknownSnapshot,
    Unsupported,
    header_digest,
    payload_digest,
)
from toka.store.core.conformance._appending import everything

if TYPE_CHECKING:
    from toka.store.core import NewEvent
    from toka.store.core.conformance._place import Opener
    from toka.store.core.testing import EventSource


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that do not compress."""
    blocks = (hashlib.sha256(b"%d %d" % (seed, block)).digest() for block in range(size // 32 + 1))
    return b"".join(blocks)[:size]


async def filled(store: EventStore, source: EventSource) -> list[NewEvent]:
    """Fill a store with ten events, large and small and empty, of which a snapshot covers six."""
    events = [source.new("a", payload=b"%d" % index) for index in range(10)]
    shared = noise(8_000)
    for index in (1, 3, 8):
        events[index] = attrs.evolve(events[index], payload=shared)
    events[4] = attrs.evolve(events[4], payload=noise(9_000, 1), parents=(events[1].id,))
    events[5] = attrs.evolve(events[5], payload=b"", tags=("empty",))
    events[9] = attrs.evolve(events[9], parents=(events[4].id,))
    await store.append(events)
    for position in (6, 9):
        await store.save_snapshot(Snapshot("state", position, b"data", b"digest"))
    return events


async def compacts(store: EventStore) -> bool:
    """Say whether a store compacts; see that one which does not says so."""
    if store.capabilities.compaction:
        return True
    await store.save_snapshot(Snapshot("state", 0, b"", b""))
    with pytest.raises(Unsupported):
        await store.compact("state")
    return False


@pytest.mark.anyio
class CompactConformance:
    """Tests of compaction and of shared payloads, as far as they are declared."""

    async def test_what_every_kept_snapshot_covers_loses_its_payload_only(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        events = await filled(store, source)
        before = await everything(store)
        done = await store.compact("state")
        assert (done.position, done.digest) == (6, before[5].digest)
        assert (done.events, done.dropped_bytes) == (5, 2 + 16_000 + 9_000)
        found = await everything(store)
        assert [event.payload for event in found[6:]] == [event.payload for event in events[6:]]
        assert [event.payload for event in found[:6]] == [b""] * 6
        assert [event.compacted for event in found] == [True] * 5 + [False] * 5
        assert [attrs.evolve(event, payload=b"") for event in before[:6]] == found[:6]
        assert found[6:] == before[6:]
        report = await store.verify()
        assert report.ok, report.problems
        assert (await store.stats()).compacted == 6

    async def test_the_chain_is_proved_after_payloads_are_gone(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        events = await filled(store, source)
        await store.compact("state")
        previous = bytes(32)
        for event, given in zip(await everything(store), events, strict=True):
            assert event.payload_digest == payload_digest(given.payload)
            previous = header_digest(
                event, event.position, event.version, previous, event.payload_digest
            )
            assert event.digest == previous
        assert previous == (await store.head()).digest

    async def test_every_way_of_reading_returns_the_same_compacted_events(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        events = await filled(store, source)
        await store.compact("state")
        forward = await everything(store)
        assert [event async for event in store.read(backward=True)] == forward[::-1]
        assert [event async for event in store.read_stream("a")] == forward
        assert [await store.get(event.id) for event in forward] == forward
        assert await store.ancestors(events[9].id) == [forward[4], forward[1]]
        assert await store.descendants(events[1].id) == [forward[4], forward[9]]
        assert await store.read_page(0, 9, where=Query(tags=("empty",))) == [forward[5]]
        assert not forward[5].compacted

    async def test_a_repeated_append_of_compacted_events_is_known_by_their_digests(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        first = [source.new(), source.new(payload=noise(5_000))]
        receipt = await store.append(first)
        await store.save_snapshot(Snapshot("state", 2, b"", b""))
        await store.compact("state")
        assert await store.append(first) == receipt
        for payload in (b"", b"other"):
            with pytest.raises(DuplicateEvent):
                await store.append([attrs.evolve(first[0], payload=payload)])
        assert (await store.head()).position == 2

    async def test_compacting_again_goes_on_where_it_ended(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        await filled(store, source)
        await store.compact("state")
        again = await store.compact("state")
        assert (again.position, again.events, again.dropped_bytes) == (6, 0, 0)
        await store.append(source.several(3, "a"))
        await store.save_snapshot(Snapshot("state", 12, b"", b""))
        further = await store.compact("state")
        assert (further.position, further.events) == (9, 3)
        await store.save_snapshot(Snapshot("other", 2, b"", b""))
        back = await store.compact("other")
        assert (back.position, back.events) == (9, 0)
        assert (await store.verify()).ok

    async def test_without_a_snapshot_nothing_is_dropped(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        await filled(store, source)
        with pytest.raises(UnknownSnapshot) as caught:
            await store.compact("unheard of")
        assert caught.value.details["name"] == "unheard of"
        assert not any(event.compacted for event in await everything(store))
        await store.save_snapshot(Snapshot("start", 0, b"", b""))
        done = await store.compact("start")
        assert (done.position, done.digest, done.events) == (0, bytes(32), 0)

    async def test_compaction_gives_space_free(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        for index in range(50):
            await store.append([source.new(payload=noise(20_000, index))])
        await store.save_snapshot(Snapshot("state", 50, b"", b""))
        before = await store.stats()
        await store.compact("state")
        after = await store.stats()
        used = before.stored_bytes - before.free_bytes - before.unmerged_bytes
        left = after.stored_bytes - after.free_bytes - after.unmerged_bytes
        assert used - left > 800_000

    async def test_what_was_compacted_is_so_after_opening_again(
        self, place: Opener, source: EventSource
    ) -> None:
        async with await place() as store:
            if not await compacts(store) or not store.capabilities.durable:
                return
            await filled(store, source)
            await store.compact("state")
            before = await everything(store)
        async with await place(read_only=True) as store:
            assert await everything(store) == before
            assert (await store.verify()).ok
            with pytest.raises(ReadOnlyStore):
                await store.compact("state")
        async with await place() as store:
            await store.append([source.new("a")])
            assert (await store.stats()).compacted == 6
            assert (await store.verify()).ok

    async def test_a_closed_store_does_not_compact(self, place: Opener) -> None:
        store = await place()
        able = store.capabilities.compaction
        await store.aclose()
        with pytest.raises(StoreClosed if able else (StoreClosed, Unsupported)):
            await store.compact("state")

    # ---- shared payloads

    async def test_equal_large_payloads_are_stored_as_often_as_declared(
        self, store: EventStore, source: EventSource
    ) -> None:
        payload, size = noise(65_536), 65_536
        await store.append([source.new()])
        before = (await store.stats()).stored_bytes
        for _ in range(50):
            await store.append([source.new(payload=payload)])
        stats = await store.stats()
        grown = stats.stored_bytes - before
        if store.capabilities.shared_payloads:
            assert grown < 8 * size
            assert stats.shared_payloads == 1
        else:
            assert grown > 25 * size
        found: list[Event] = await everything(store)
        assert [event.payload for event in found[1:]] == [payload] * 50
        assert (await store.verify()).ok

    async def test_a_payload_is_kept_for_the_last_event_that_has_it(
        self, store: EventStore, source: EventSource
    ) -> None:
        if not await compacts(store):
            return
        payload = noise(10_000)
        await store.append([source.new(payload=payload), source.new(payload=payload)])
        await store.save_snapshot(Snapshot("state", 1, b"", b""))
        await store.compact("state")
        found = await everything(store)
        assert [event.payload for event in found] == [b"", payload]
        await store.save_snapshot(Snapshot("state", 2, b"", b""))
        await store.append([source.new()])
        await store.save_snapshot(Snapshot("state", 3, b"", b""))
        assert (await store.compact("state")).events == 1
        assert (await store.stats()).shared_payloads == 0
        await store.append([source.new(payload=payload)])
        assert [event.payload for event in await everything(store)] == [b"", b"", b"{}", payload]
        assert (await store.verify()).ok
