# ruff: noqa: S101, PLR2004 - tests, shipped for others to run
"""What `append` stores, what it refuses, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import attrs
import pytest

from toka.store.core import (
    ANY,
    EMPTY,
    EXISTS,
    MAX_PARENTS,
    MAX_PAYLOAD_BYTES,
    MAX_TAGS,
    MAX_TEXT_CHARACTERS,
    MAX_TIME,
    NONE,
    ORIGIN,
    AppendRefused,
    DuplicateEvent,
    Event,
    EventStore,
    InvalidEvent,
    NewEvent,
    PayloadTooLarge,
    Receipt,
    UnknownParent,
    WrongHead,
    WrongVersion,
    header_digest,
    payload_digest,
)
from toka.types import EventId

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core import Expected
    from toka.store.core.testing import EventSource


async def everything(store: EventStore) -> list[Event]:
    """Return all events of a store."""
    return [event async for event in store.read()]


def changed(event: NewEvent, field: str, value: object) -> NewEvent:
    """Return an event with one field that the type checker would not let pass."""
    fields = attrs.asdict(event, recurse=False) | {field: value}
    return cast("Callable[..., NewEvent]", NewEvent)(**fields)


@pytest.mark.anyio
class AppendConformance:
    """Tests of `append`."""

    async def test_an_empty_store_ends_at_its_origin(self, store: EventStore) -> None:
        assert await store.head() == EMPTY
        assert await everything(store) == []

    async def test_what_is_appended_is_read_back(
        self, store: EventStore, source: EventSource
    ) -> None:
        cause = source.new("other")
        event = NewEvent(
            id=source.event_id(),
            stream="run/agent",
            kind="step.finished.v1",
            payload=bytes(range(256)),
            time=1,
            parents=(cause.id,),
            intent="an intent",
            actor="an actor",
            token="a token",  # noqa: S106 - the identifier of none
            tags=("one", "two"),
        )
        await store.append([cause, event])
        assert [each.new() for each in await everything(store)] == [cause, event]

    async def test_positions_and_versions_have_no_gaps(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new("a"), source.new("b"), source.new("a")])
        await store.append([source.new("b")])
        events = await everything(store)
        assert [event.position for event in events] == [1, 2, 3, 4]
        assert [(event.stream, event.version) for event in events] == [
            ("a", 1),
            ("b", 1),
            ("a", 2),
            ("b", 2),
        ]

    async def test_events_are_chained_by_their_digests(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new(payload=b"one"), source.new(payload=b"two")])
        await store.append([source.new(payload=b"three")])
        previous = ORIGIN
        for event in await everything(store):
            assert event.previous == previous
            assert event.payload_digest == payload_digest(event.payload)
            previous = header_digest(
                event, event.position, event.version, previous, event.payload_digest
            )
            assert event.digest == previous

    async def test_a_receipt_names_the_places_and_the_head(
        self, store: EventStore, source: EventSource
    ) -> None:
        first = await store.append([source.new()])
        second = await store.append([source.new(), source.new()])
        head = await store.head()
        assert (first.first, first.last) == (1, 1)
        assert second == Receipt(2, 3, head.digest)
        assert head.position == 3

    async def test_an_append_without_events_is_refused(self, store: EventStore) -> None:
        with pytest.raises(InvalidEvent):
            await store.append([])

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("id", "not-an-identifier"),
            ("id", "01jd3x8zk5q6t7v8w9xaybzcde"),
            ("id", "81JD3X8ZK5Q6T7V8W9XAYBZCDE"),
            ("id", "01JD3X8ZK5_6T7V8W9XAYBZCDE"),
            ("id", ""),
            ("stream", ""),
            ("stream", "x" * (MAX_TEXT_CHARACTERS + 1)),
            ("stream", "\ud800"),
            ("stream", None),
            ("kind", ""),
            ("kind", "\udfff"),
            ("intent", "x" * (MAX_TEXT_CHARACTERS + 1)),
            ("actor", 7),
            ("token", "\ud800"),
            ("payload", "text"),
            ("payload", bytearray(b"x")),
            ("time", -1),
            ("time", 1.5),
            ("time", MAX_TIME + 1),
            ("parents", ("nobody",)),
            ("parents", ("01JD3X8ZK5Q6T7V8W9XAYBZCDE",) * (MAX_PARENTS + 1)),
            ("parents", ("01JD3X8ZK5Q6T7V8W9XAYBZCDE",) * 2),
            ("tags", ("\ud800",)),
            ("tags", ("x" * (MAX_TEXT_CHARACTERS + 1),)),
            ("tags", ("x",) * (MAX_TAGS + 1)),
            ("tags", (b"bytes",)),
        ],
    )
    async def test_a_field_that_breaks_a_rule_is_refused(
        self, store: EventStore, source: EventSource, field: str, value: object
    ) -> None:
        good, bad = source.new(), changed(source.new(), field, value)
        with pytest.raises(InvalidEvent) as caught:
            await store.append([good, bad])
        assert caught.value.code == "store.invalid_event"
        assert await store.head() == EMPTY

    async def test_a_payload_over_the_limit_is_refused(
        self, store: EventStore, source: EventSource
    ) -> None:
        with pytest.raises(PayloadTooLarge) as caught:
            await store.append([source.new(payload=bytes(MAX_PAYLOAD_BYTES + 1))])
        assert caught.value.details["size"] == MAX_PAYLOAD_BYTES + 1
        assert await store.head() == EMPTY

    @pytest.mark.parametrize("size", [0, 1, 5_000, 1_048_576])
    async def test_payloads_of_any_size_come_back(
        self, store: EventStore, source: EventSource, size: int
    ) -> None:
        payload = bytes(index % 251 for index in range(size))
        event = source.new(payload=payload)
        await store.append([event])
        stored = await store.get(event.id)
        assert stored is not None
        assert stored.payload == payload

    async def test_texts_of_any_script_come_back(
        self, store: EventStore, source: EventSource
    ) -> None:
        texts = ["Ä\u0301", "\x00", "日本語", "🦉\n", "a'b\"c;--"]
        await store.append([source.new(stream=text, kind=text, intent=text) for text in texts])
        assert [event.stream for event in await everything(store)] == texts
        assert [event.kind for event in await everything(store)] == texts

    async def test_times_may_go_backwards(self, store: EventStore, source: EventSource) -> None:
        later, earlier = source.new(), attrs.evolve(source.new(), time=0)
        await store.append([later])
        await store.append([earlier])
        assert [event.time for event in await everything(store)] == [later.time, 0]

    # ---- expectations

    @pytest.mark.parametrize(
        ("expected", "before", "fits"),
        [
            (ANY, 0, True),
            (ANY, 2, True),
            (NONE, 0, True),
            (NONE, 1, False),
            (EXISTS, 0, False),
            (EXISTS, 1, True),
            (0, 0, True),
            (0, 1, False),
            (2, 2, True),
            (1, 2, False),
            (3, 2, False),
        ],
    )
    async def test_a_stream_is_held_to_what_is_expected(
        self, store: EventStore, source: EventSource, expected: Expected, before: int, fits: bool
    ) -> None:
        if before:
            await store.append(source.several(before, "a"))
        head = await store.head()
        if fits:
            receipt = await store.append([source.new("a")], streams={"a": expected})
            assert receipt.first == before + 1
            return
        with pytest.raises(WrongVersion) as caught:
            await store.append([source.new("a")], streams={"a": expected})
        assert caught.value.details["actual"] == before
        assert await store.head() == head

    async def test_a_stream_that_is_not_written_to_can_be_expected_too(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append([source.new("guard")])
        await store.append([source.new("a")], streams={"guard": 1, "unheard of": NONE})
        with pytest.raises(WrongVersion):
            await store.append([source.new("a")], streams={"a": ANY, "guard": 2})

    async def test_the_expected_head_fences_a_second_writer(
        self, store: EventStore, source: EventSource
    ) -> None:
        await store.append(source.several(2), head=0)
        with pytest.raises(WrongHead) as caught:
            await store.append([source.new()], head=1)
        assert caught.value.details == {"expected": 1, "actual": 2}
        await store.append([source.new()], head=2)

    async def test_of_concurrent_writers_with_one_expectation_one_wins(
        self, store: EventStore, source: EventSource
    ) -> None:
        outcomes: list[int] = []

        async def write() -> None:
            try:
                await store.append([source.new("a")], streams={"a": 0})
                outcomes.append(0)
            except WrongVersion as error:
                outcomes.append(cast("int", error.details["actual"]))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(write)
        assert sorted(outcomes) == [0, 1, 1, 1, 1, 1, 1, 1]
        assert await store.stream_version("a") == 1

    async def test_concurrent_appends_are_stored_in_the_order_of_their_calls(
        self, store: EventStore, source: EventSource
    ) -> None:
        called: list[EventId] = []

        async def write() -> None:
            event = source.new()
            called.append(event.id)
            receipt = await store.append([event], head=len(called) - 1)
            assert called[receipt.first - 1] == event.id

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(write)
        assert [event.id for event in await everything(store)] == called

    async def test_a_refusal_among_concurrent_appends_concerns_no_other(
        self, store: EventStore, source: EventSource
    ) -> None:
        refused: list[int] = []
        await store.append([source.new("a")])

        async def write(index: int) -> None:
            expected: Expected = NONE if index % 3 == 2 else ANY
            try:
                await store.append([source.new("a")], streams={"a": expected})
            except WrongVersion:
                refused.append(index)

        async with anyio.create_task_group() as tasks:
            for index in range(12):
                tasks.start_soon(write, index)
        assert sorted(refused) == [2, 5, 8, 11]
        assert [event.version for event in await everything(store)] == list(range(1, 10))
        assert (await store.verify()).ok

    # ---- repetition

    async def test_a_repeated_append_returns_its_first_receipt(
        self, store: EventStore, source: EventSource
    ) -> None:
        events = source.several(3)
        first = await store.append(events, streams={"stream": NONE}, head=0)
        await store.append([source.new()])
        again = await store.append(events, streams={"stream": NONE}, head=0)
        assert again == first
        assert (await store.head()).position == 4

    async def test_the_same_append_twice_at_once_is_stored_once(
        self, store: EventStore, source: EventSource
    ) -> None:
        events, receipts = source.several(2), list[Receipt]()

        async def write() -> None:
            receipts.append(await store.append(events, streams={"stream": 0}))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(write)
        assert len(set(receipts)) == 1
        assert (await store.head()).position == 2

    @pytest.mark.parametrize("field", ["payload", "kind", "time", "tags", "intent", "stream"])
    async def test_a_taken_identifier_with_other_content_is_refused(
        self, store: EventStore, source: EventSource, field: str
    ) -> None:
        event = source.new()
        await store.append([event])
        changes: dict[str, object] = {"payload": b"other", "time": 7, "tags": ("other",)}
        other = changed(event, field, changes.get(field, "other"))
        with pytest.raises(DuplicateEvent) as caught:
            await store.append([other])
        assert caught.value.details["event"] == event.id
        assert [each.new() for each in await everything(store)] == [event]

    async def test_a_partly_repeated_append_is_refused(
        self, store: EventStore, source: EventSource
    ) -> None:
        events = source.several(4)
        await store.append(events[:2])
        await store.append([events[2]])
        for mixture in (
            [events[1], events[3]],
            [events[3], events[1]],
            [events[1], events[0]],
            [events[0], events[2]],
        ):
            with pytest.raises(DuplicateEvent):
                await store.append(mixture)
        assert (await store.head()).position == 3

    async def test_an_append_that_holds_an_identifier_twice_is_refused(
        self, store: EventStore, source: EventSource
    ) -> None:
        event = source.new()
        with pytest.raises(DuplicateEvent):
            await store.append([event, event])
        assert await store.head() == EMPTY

    # ---- causes

    async def test_a_parent_may_stand_earlier_in_the_same_append(
        self, store: EventStore, source: EventSource
    ) -> None:
        cause = source.new()
        effect = source.new(parents=(cause.id,))
        await store.append([cause, effect])
        assert (await store.head()).position == 2

    async def test_a_parent_that_is_not_in_the_log_is_refused(
        self, store: EventStore, source: EventSource
    ) -> None:
        unknown = source.event_id()
        with pytest.raises(UnknownParent) as caught:
            await store.append([source.new(), source.new(parents=(unknown,))])
        assert caught.value.details["parent"] == unknown
        assert await store.head() == EMPTY

    async def test_an_event_is_not_its_own_parent_nor_before_its_parent(
        self, store: EventStore, source: EventSource
    ) -> None:
        own = source.event_id()
        with pytest.raises(UnknownParent):
            await store.append([attrs.evolve(source.new(), id=own, parents=(own,))])
        late = source.new()
        with pytest.raises(UnknownParent):
            await store.append([source.new(parents=(late.id,)), late])
        assert await store.head() == EMPTY

    async def test_every_refusal_leaves_the_store_fit_for_use(
        self, store: EventStore, source: EventSource
    ) -> None:
        first = source.new("a")
        await store.append([first])
        attempts: list[tuple[list[NewEvent], dict[str, Expected], int | None]] = [
            ([source.new("a")], {"a": 7}, None),
            ([source.new("a")], {}, 9),
            ([source.new("a", parents=(EventId("0" * 26),))], {}, None),
            ([source.new("a"), first], {}, None),
            ([source.new("")], {}, None),
        ]
        for events, streams, head in attempts:
            with pytest.raises(AppendRefused):
                await store.append(events, streams=streams, head=head)
            assert await store.stream_version("a") == (await store.head()).position
            await store.append([source.new("a")])
        assert (await store.head()).position == 6
        assert (await store.verify()).ok
