# ruff: noqa: S101, PLR2004 - tests, shipped for others to run
"""What the ways of reading return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toka.store.core import Event, EventStore, InvalidEvent, Query, UnknownEvent
from toka.types import EventId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from toka.store.core.testing import EventSource


async def places(events: AsyncIterator[Event]) -> list[int]:
    """Return the positions of events."""
    return [event.position async for event in events]


async def versions(events: AsyncIterator[Event]) -> list[int]:
    """Return the versions of events."""
    return [event.version async for event in events]


@pytest.mark.anyio
class ReadConformance:
    """Tests of reading."""

    @pytest.fixture
    async def filled(self, store: EventStore, source: EventSource) -> EventStore:
        """Return a store of twelve events in three streams, of three kinds and two intents."""
        for index in range(12):
            await store.append(
                [
                    source.new(
                        f"s{index % 3}",
                        ("agent.spawned.v1", "agent.ended.v1", "task.done.v1")[index % 3],
                        intent="even" if index % 2 == 0 else "odd",
                    )
                ]
            )
        return store

    @pytest.mark.parametrize(
        ("after", "limit", "backward", "expected"),
        [
            (0, None, False, range(1, 13)),
            (0, 3, False, range(1, 4)),
            (10, None, False, range(11, 13)),
            (12, None, False, range(0)),
            (99, None, False, range(0)),
            (0, 0, False, range(0)),
            (0, None, True, range(12, 0, -1)),
            (0, 2, True, range(12, 10, -1)),
            (3, None, True, range(2, 0, -1)),
            (1, None, True, range(0)),
            (99, 1, True, range(12, 11, -1)),
        ],
    )
    async def test_the_log_is_read_from_a_position_in_both_directions(
        self, filled: EventStore, after: int, limit: int | None, backward: bool, expected: range
    ) -> None:
        found = await places(filled.read(after, limit=limit, backward=backward))
        assert found == list(expected)
        page = await filled.read_page(after, 12 if limit is None else limit, backward=backward)
        assert [event.position for event in page] == list(expected)

    async def test_a_long_log_is_read_whole_across_pages(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append(source.several(1_500))
        assert await places(store.read()) == list(range(1, 1_501))
        assert await places(store.read(backward=True)) == list(range(1_500, 0, -1))
        assert await places(store.read(limit=1_100)) == list(range(1, 1_101))
        assert await versions(store.read_stream("stream")) == list(range(1, 1_501))
        assert len(await store.read_page(0, 2_000)) == 1_500

    async def test_large_payloads_are_read_whole_across_pages(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new(payload=bytes(3_000_000)) for _ in range(5)])
        assert await places(store.read()) == [1, 2, 3, 4, 5]
        assert await places(store.read(backward=True, where=Query(kinds=("test.",)))) == [
            5,
            4,
            3,
            2,
            1,
        ]
        assert await versions(store.read_stream("stream")) == [1, 2, 3, 4, 5]
        assert len(await store.read_page(0, 5)) == 5

    @pytest.mark.parametrize(
        ("after", "limit", "backward", "expected"),
        [
            (0, None, False, [1, 2, 3, 4]),
            (2, None, False, [3, 4]),
            (4, None, False, []),
            (0, 1, False, [1]),
            (0, 0, False, []),
            (0, None, True, [4, 3, 2, 1]),
            (3, None, True, [2, 1]),
            (1, None, True, []),
            (99, 2, True, [4, 3]),
        ],
    )
    async def test_a_stream_is_read_from_a_version_in_both_directions(
        self,
        filled: EventStore,
        after: int,
        limit: int | None,
        backward: bool,
        expected: list[int],
    ) -> None:
        read = filled.read_stream("s1", after_version=after, limit=limit, backward=backward)
        assert await versions(read) == expected

    async def test_a_stream_without_events_is_empty(self, filled: EventStore) -> None:
        assert await versions(filled.read_stream("unheard of")) == []
        assert await versions(filled.read_stream("unheard of", backward=True)) == []
        assert await filled.stream_version("unheard of") == 0
        assert await filled.stream_version("s0") == 4

    async def test_one_event_is_found_by_its_identifier(
        self, filled: EventStore, source: EventSource
    ) -> None:
        events = await filled.read_page(0, 12)
        for event in events:
            assert await filled.get(event.id) == event
        assert await filled.get(source.event_id()) is None

    async def test_what_is_no_identifier_is_refused(self, filled: EventStore) -> None:
        with pytest.raises(InvalidEvent):
            await filled.get(EventId("nonsense"))

    async def test_every_way_of_reading_returns_equal_events(self, filled: EventStore) -> None:
        forward = [event async for event in filled.read()]
        assert [event async for event in filled.read(backward=True)] == forward[::-1]
        streams: list[Event] = []
        for name in ("s0", "s1", "s2"):
            streams += [event async for event in filled.read_stream(name)]
        assert sorted(streams, key=lambda event: event.position) == forward
        query = Query(kinds=("agent.", "task."))
        assert [event async for event in filled.read(where=query)] == forward

    # ---- causes and effects

    async def test_ancestors_are_all_causes_newest_first(
        self, store: EventStore, source: EventSource
    ) -> None:
        ids = await self._diamond(store, source)
        assert await self._names(store, ids, "ancestors", "d") == ["c", "b", "a"]
        assert await self._names(store, ids, "ancestors", "b") == ["a"]
        assert await self._names(store, ids, "ancestors", "a") == []
        assert await self._names(store, ids, "ancestors", "d", limit=2) == ["c", "b"]

    async def test_descendants_are_all_effects_oldest_first(
        self, store: EventStore, source: EventSource
    ) -> None:
        ids = await self._diamond(store, source)
        assert await self._names(store, ids, "descendants", "a") == ["b", "c", "d", "e"]
        assert await self._names(store, ids, "descendants", "c") == ["d", "e"]
        assert await self._names(store, ids, "descendants", "e") == []
        assert await self._names(store, ids, "descendants", "a", limit=1) == ["b"]

    async def test_relatives_of_an_unknown_event_are_an_error(
        self, store: EventStore, source: EventSource
    ) -> None:
        unknown = source.event_id()
        with pytest.raises(UnknownEvent) as caught:
            await store.ancestors(unknown)
        assert caught.value.details["event"] == unknown
        with pytest.raises(UnknownEvent):
            await store.descendants(unknown)

    async def test_the_order_of_parents_is_kept(
        self, store: EventStore, source: EventSource
    ) -> None:
        first, second = source.new(), source.new()
        child = source.new(parents=(second.id, first.id))
        await store.append([first, second, child])
        stored = await store.get(child.id)
        assert stored is not None
        assert stored.parents == (second.id, first.id)

    async def _diamond(self, store: EventStore, source: EventSource) -> dict[str, EventId]:
        a, unrelated = source.new(), source.new()
        b = source.new(parents=(a.id,))
        c = source.new(parents=(a.id,))
        d = source.new(parents=(b.id, c.id))
        e = source.new(parents=(d.id, a.id))
        await store.append([a, unrelated, b])
        await store.append([c])
        await store.append([d, e])
        return {"a": a.id, "b": b.id, "c": c.id, "d": d.id, "e": e.id}

    async def _names(
        self,
        store: EventStore,
        ids: dict[str, EventId],
        relation: str,
        name: str,
        limit: int | None = None,
    ) -> list[str]:
        ask = store.ancestors if relation == "ancestors" else store.descendants
        names = {event_id: name for name, event_id in ids.items()}
        return [names[event.id] for event in await ask(ids[name], limit=limit)]
