# ruff: noqa: S101, PLR2004 - tests, shipped for others to run
"""What a store keeps: snapshots, a sound chain, copies of itself, and its word after `aclose`."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from toka.store.core import (
    EMPTY,
    Event,
    EventStore,
    InvalidSnapshot,
    OpenRefused,
    ReadOnlyStore,
    Snapshot,
    StoreClosed,
    Unsupported,
)
from toka.store.core.conformance._appending import everything

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from toka.store.core.conformance._place import Opener
    from toka.store.core.testing import EventSource


async def listed(store: EventStore) -> list[Event]:
    """Read a store as a coroutine and not as a generator."""
    return await everything(store)


@pytest.mark.anyio
class KeepingConformance:
    """Tests of everything but appending and reading."""

    # ---- snapshots

    async def test_the_newest_snapshot_of_a_name_is_loaded(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append(source.several(5))
        for position in (2, 4, 3):
            await store.save_snapshot(Snapshot("state", position, b"%d" % position, b"digest"))
        await store.save_snapshot(Snapshot("other", 1, b"", b""))
        assert await store.load_snapshot("state") == Snapshot("state", 4, b"4", b"digest")
        assert await store.load_snapshot("other") == Snapshot("other", 1, b"", b"")
        assert await store.load_snapshot("unheard of") is None

    async def test_a_snapshot_of_the_same_position_replaces_the_first(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new()])
        await store.save_snapshot(Snapshot("state", 1, b"old", b"1"))
        await store.save_snapshot(Snapshot("state", 1, b"new", b"2"))
        assert await store.load_snapshot("state") == Snapshot("state", 1, b"new", b"2")

    @pytest.mark.parametrize(("name", "position"), [("state", 2), ("state", -1), ("", 1)])
    async def test_a_snapshot_that_leads_the_log_or_has_no_name_is_refused(
        self, store: EventStore, source: EventSource, name: str, position: int
    ) -> None:
        await store.append([source.new()])
        with pytest.raises(InvalidSnapshot):
            await store.save_snapshot(Snapshot(name, position, b"", b""))
        assert await store.load_snapshot(name) is None
        await store.append([source.new()])

    async def test_a_snapshot_may_stand_before_the_first_event(self, store: EventStore) -> None:
        await store.save_snapshot(Snapshot("state", 0, b"empty", b""))
        assert await store.load_snapshot("state") == Snapshot("state", 0, b"empty", b"")

    # ---- verify

    async def test_a_sound_store_verifies(self, store: EventStore, source: EventSource) -> None:
        cause = source.new("a")
        await store.append([cause, source.new("b", parents=(cause.id,))])
        await store.append(source.several(2_500))
        await store.save_snapshot(Snapshot("state", 2, b"data", b"digest"))
        seen: list[tuple[int, int]] = []
        report = await store.verify(lambda walked, total: seen.append((walked, total)))
        assert report.ok
        assert report.problems == ()
        assert report.events == 2_502
        assert report.head == await store.head()
        assert seen[-1] == (2_502, 2_502)
        assert sorted(seen) == seen
        report.raise_if_damaged()

    async def test_an_empty_store_verifies(self, store: EventStore) -> None:
        report = await store.verify()
        assert report.ok
        assert (report.events, report.head) == (0, EMPTY)

    # ---- statistics

    async def test_statistics_count_what_happened(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new(payload=bytes(5_000))])
        await store.append(source.several(2))
        stats = await store.stats()
        assert (stats.events, stats.appended, stats.waiting) == (3, 3, 0)
        assert 1 <= stats.commits <= 2
        assert stats.stored_bytes >= 5_000
        assert stats.location == store.location

    # ---- what is declared

    async def test_a_declared_backup_opens_as_a_store_and_others_are_refused(
        self, store: EventStore, source: EventSource, tmp_path: Path
    ) -> None:
        await store.append(source.several(10))
        target = tmp_path / "copy"
        if not store.capabilities.backup:
            with pytest.raises(Unsupported):
                await store.backup(target)
            return
        assert await store.backup(target) == await store.head()
        assert target.exists()
        with pytest.raises(OpenRefused):
            await store.backup(target)

    async def test_a_durable_store_is_found_again(self, place: Opener, source: EventSource) -> None:
        async with await place() as store:
            durable = store.capabilities.durable
            event = source.new()
            await store.append([event])
            await store.save_snapshot(Snapshot("state", 1, b"data", b"digest"))
            before = await everything(store)
        async with await place() as store:
            found = await everything(store)
            assert found == (before if durable else [])
            assert (await store.load_snapshot("state") is not None) == durable
            if durable:
                receipt = await store.append([event])
                assert (receipt.first, receipt.last) == (1, 1)
                assert (await store.append([source.new()], head=1)).first == 2

    # ---- reading only, and after the end

    async def test_a_store_open_for_reading_refuses_to_write(
        self, place: Opener, source: EventSource
    ) -> None:
        async with await place() as store:
            await store.append([source.new()])
            durable = store.capabilities.durable
        async with await place(read_only=True) as store:
            assert (await store.head()).position == (1 if durable else 0)
            with pytest.raises(ReadOnlyStore):
                await store.append([source.new()])
            with pytest.raises(ReadOnlyStore):
                await store.save_snapshot(Snapshot("state", 0, b"", b""))
            assert (await store.verify()).ok

    async def test_nothing_is_opened_where_nothing_is_to_be_created(self, place: Opener) -> None:
        with pytest.raises(OpenRefused):
            await place(create=False)

    async def test_a_closed_store_says_so(
        self, place: Opener, source: EventSource, tmp_path: Path
    ) -> None:
        store = await place()
        event = source.new()
        await store.append([event])
        backs_up = store.capabilities.backup
        await store.aclose()
        await store.aclose()
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: store.append([event]),
            lambda: store.get(event.id),
            lambda: store.read_page(0, 1),
            lambda: listed(store),
            lambda: store.ancestors(event.id),
            lambda: store.descendants(event.id),
            store.head,
            lambda: store.stream_version("stream"),
            lambda: store.save_snapshot(Snapshot("state", 0, b"", b"")),
            lambda: store.load_snapshot("state"),
            store.verify,
            store.stats,
        ]
        if backs_up:
            calls.append(lambda: store.backup(tmp_path / "copy"))
        for call in calls:
            with pytest.raises(StoreClosed):
                await call()
        assert [event async for event in store.subscribe()] == []

    async def test_closing_ends_a_verification_and_a_backup(
        self, place: Opener, source: EventSource, tmp_path: Path
    ) -> None:
        """Whoever closes need not know what else goes on; it ends, or was done, and says so."""
        for turns in (0, 1, 2, 5, 50):
            store, target = await place(), tmp_path / f"copy-{turns}"
            await store.append(source.several(2_500))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_ends, store.verify)
                if store.capabilities.backup:
                    tasks.start_soon(_ends, functools.partial(store.backup, target))
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                await store.aclose()


async def _ends(work: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(StoreClosed):
        await work()
