# ruff: noqa: S101, PLR2004 - tests, shipped for others to run
"""What a query selects, for a reader and as the condition of an append."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import anyio
import attrs
import pytest

from toka.store.core import (
    EMPTY,
    EVERYTHING,
    Absent,
    ConditionFailed,
    EventStore,
    NewEvent,
    Query,
    WrongHead,
    WrongVersion,
)

if TYPE_CHECKING:
    from toka.store.core.testing import EventSource

COUNT = 60
KINDS = ("agent.spawned.v1", "agent.ended.v1", "task.done.v1", "agents.v1", "agent")


def sample(source: EventSource) -> list[NewEvent]:
    """Return events of several kinds, intents, tags and times; the last two are out of order."""
    events = [
        attrs.evolve(
            source.new(
                f"s{index % 3}",
                KINDS[index % 5],
                intent=("even", "odd", "")[index % 3],
                tags=tuple(
                    name
                    for name, step in (("all", 1), ("third", 3), ("seventh", 7), ("late", 50))
                    if index % step == step - 1
                ),
            ),
            time=1_000 + 10 * index,
        )
        for index in range(COUNT)
    ]
    events[-1] = attrs.evolve(events[-1], time=1_000)
    events[5] = attrs.evolve(events[5], time=9_000)
    return events


QUERIES = (
    EVERYTHING,
    Query(kinds=("agent.",)),
    Query(kinds=("agent",)),
    Query(kinds=("agent.spawned.v1",)),
    Query(kinds=("agent.spawned.", "task.", "agents.v1")),
    Query(kinds=("agent.spawned",)),
    Query(kinds=("nothing.", "unheard of")),
    Query(kinds=("",)),
    Query(kinds=(".",)),
    Query(intent="even"),
    Query(intent="unheard of"),
    Query(tags=("third",)),
    Query(tags=("third", "seventh")),
    Query(tags=("all", "late")),
    Query(tags=("unheard of", "all")),
    Query(since=1_200),
    Query(until=1_200),
    Query(since=1_100, until=1_200),
    Query(since=1_100, until=1_100),
    Query(since=8_000),
    Query(since=99_999),
    Query(until=0),
    Query(kinds=("agent.",), intent="odd"),
    Query(kinds=("task.",), tags=("third",), since=1_100),
    Query(("agent.", "task."), ("all",), "even", 1_050, 1_500),
)


@pytest.mark.anyio
class SelectConformance:
    """Tests of queries and of append conditions."""

    @pytest.mark.parametrize("where", QUERIES)
    async def test_a_query_selects_what_it_says_in_both_directions(
        self, store: EventStore, source: EventSource, where: Query
    ) -> None:
        events = sample(source)
        for start in range(0, COUNT, 7):
            await store.append(events[start : start + 7])
        expected = [place for place, event in enumerate(events, 1) if where.matches(event)]
        for after, limit, backward in itertools.product((0, 1, 20, COUNT), (None, 3), (0, 1)):
            found = [
                event.position
                async for event in store.read(
                    after, limit=limit, where=where, backward=bool(backward)
                )
            ]
            beyond = [place for place in expected if place > after]
            if backward:
                beyond = [place for place in expected[::-1] if not after or place < after]
            assert found == beyond[:limit]
            page = await store.read_page(after, 2, where=where, backward=bool(backward))
            assert [event.position for event in page] == beyond[:2]
        assert await store.read_page(0, 0, where=where) == []

    async def test_a_long_selection_is_read_whole_across_pages(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append(
            [
                source.new(kind=f"kind.v{index % 2}", tags=("tag",) if index % 3 else ())
                for index in range(2_400)
            ]
        )
        for where, count in (
            (Query(kinds=("kind.v1",)), 1_200),
            (Query(tags=("tag",)), 1_600),
            (Query(kinds=("kind.v1",), tags=("tag",)), 800),
            (Query(since=0), 2_400),
        ):
            forward = [event async for event in store.read(where=where)]
            assert len(forward) == count
            backward = [event async for event in store.read(where=where, backward=True)]
            assert backward == forward[::-1]

    async def test_kinds_and_tags_of_any_script_are_told_apart(
        self, store: EventStore, source: EventSource
    ) -> None:
        texts = ["a.b", "a.\uffff", "a.\U0010fffe", "a/b", "A.b", "a.", "a", "\x00", "a.%", "a._"]
        await store.append([source.new(kind=text, tags=(text,)) for text in texts])
        for index, text in enumerate(texts, 1):
            found = await store.read_page(0, 99, where=Query(tags=(text,)))
            assert [event.position for event in found] == [index]
        found = await store.read_page(0, 99, where=Query(kinds=("a.",)))
        assert [event.position for event in found] == [1, 2, 3, 6, 9, 10]

    async def test_a_tag_given_twice_is_kept_twice_and_found_once(
        self, store: EventStore, source: EventSource
    ) -> None:
        event = source.new(tags=("x", "x"))
        await store.append([event])
        found = await store.read_page(0, 9, where=Query(tags=("x", "x")))
        assert [each.new() for each in found] == [event]
        assert (await store.verify()).ok

    def test_one_text_is_no_query(self) -> None:
        with pytest.raises(TypeError):
            Query(kinds="step.")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(TypeError):
            Query(tags="tag")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    # ---- conditions

    @pytest.mark.parametrize("where", QUERIES)
    async def test_an_append_is_refused_where_what_is_to_be_absent_is_there(
        self, store: EventStore, source: EventSource, where: Query
    ) -> None:
        events = sample(source)
        await store.append(events)
        expected = [place for place, event in enumerate(events, 1) if where.matches(event)]
        quiet = attrs.evolve(source.new(kind="quiet"), time=1)
        head = await store.head()
        for after in (0, 20, expected[-1] - 1 if expected else 0):
            first = next((place for place in expected if place > after), None)
            if first is None:
                continue
            with pytest.raises(ConditionFailed) as caught:
                await store.append([quiet], absent=[Absent(where, after)])
            assert caught.value.code == "store.condition_failed"
            assert caught.value.details["position"] == first
            assert caught.value.details["after"] == after
            assert caught.value.details["query"] == {
                "kinds": list(where.kinds),
                "tags": list(where.tags),
                "intent": where.intent,
                "since": where.since,
                "until": where.until,
            }
            assert await store.head() == head
        last = expected[-1] if expected else 0
        receipt = await store.append([quiet], absent=[Absent(where, last)])
        assert receipt.first == COUNT + 1

    async def test_every_condition_of_an_append_must_hold(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new("a", tags=("x",)), source.new("b", tags=("y",))])
        x, y = Query(tags=("x",)), Query(tags=("y",))
        with pytest.raises(ConditionFailed):
            await store.append([source.new()], absent=[Absent(x, 1), Absent(y, 1)])
        with pytest.raises(WrongVersion):
            await store.append([source.new()], streams={"a": 7}, absent=[Absent(x, 1)])
        with pytest.raises(WrongHead):
            await store.append([source.new()], head=7, absent=[Absent(x, 1)])
        await store.append([source.new()], streams={"a": 1}, absent=[Absent(x, 1), Absent(y, 2)])

    async def test_an_append_does_not_stand_in_its_own_way(
        self, store: EventStore, source: EventSource
    ) -> None:
        where = Query(tags=("seat:1",))
        pair = [source.new(tags=("seat:1",)), source.new(tags=("seat:1",))]
        first = await store.append(pair, absent=[Absent(where)])
        assert await store.append(pair, absent=[Absent(where)]) == first
        with pytest.raises(ConditionFailed):
            await store.append([source.new(tags=("seat:1",))], absent=[Absent(where)])

    async def test_of_concurrent_writers_with_one_condition_one_wins(
        self, store: EventStore, source: EventSource
    ) -> None:
        where, refused = Query(kinds=("seat.taken.",), tags=("seat:1",)), list[object]()
        assert await store.head() == EMPTY

        async def take(stream: str) -> None:
            event = source.new(stream, "seat.taken.v1", tags=("seat:1", stream))
            try:
                await store.append([event], absent=[Absent(where)])
            except ConditionFailed as error:
                refused.append(error.details["position"])

        async with anyio.create_task_group() as tasks:
            for index in range(8):
                tasks.start_soon(take, f"s{index}")
        assert refused == [1] * 7
        assert (await store.head()).position == 1
        assert (await store.verify()).ok

    async def test_concurrent_writers_with_different_conditions_all_succeed(
        self, store: EventStore, source: EventSource
    ) -> None:
        async def take(seat: int) -> None:
            tags = (f"seat:{seat}",)
            await store.append([source.new(tags=tags)], absent=[Absent(Query(tags=tags))])

        async with anyio.create_task_group() as tasks:
            for seat in range(40):
                tasks.start_soon(take, seat)
        assert (await store.head()).position == 40
