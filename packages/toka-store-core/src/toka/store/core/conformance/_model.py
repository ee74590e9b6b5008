# ruff: noqa: S101 - tests, shipped for others to run
"""Any sequence of calls against a model of a few lines that is obviously right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from toka.store.core import (
    ANY,
    EXISTS,
    NONE,
    SHARED_FROM_BYTES,
    Absent,
    AppendRefused,
    ConditionFailed,
    DuplicateEvent,
    Query,
    Receipt,
    Snapshot,
    UnknownParent,
    UnknownSnapshot,
    WrongHead,
    WrongVersion,
)
from toka.store.core.testing import EventSource

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from toka.store.core import Event, EventStore, Expected, NewEvent
    from toka.store.core.conformance._place import NewPlace, Opener
    from toka.types import EventId

T = TypeVar("T")

_streams = st.sampled_from(["a", "b", "c"])
_KINDS = ("task.done.v1", "task.failed.v1", "step.v1")
_tags = st.sampled_from(["red", "blue"])
_queries = st.builds(
    Query,
    kinds=st.lists(st.sampled_from([*_KINDS, "task.", "none."]), max_size=2).map(tuple),
    tags=st.lists(_tags, max_size=2).map(tuple),
    intent=st.sampled_from(["", "x"]),
    since=st.none() | st.integers(0, 20),
    until=st.none() | st.integers(0, 20),
)
_expected = st.one_of(st.sampled_from([ANY, NONE, EXISTS]), st.integers(0, 6))


class Model:
    """A log as a list."""

    def __init__(self) -> None:
        self.log: list[NewEvent] = []

    def version(self, stream: str) -> int:
        return sum(event.stream == stream for event in self.log)

    def append(
        self,
        events: Sequence[NewEvent],
        streams: Mapping[str, Expected],
        head: int | None,
        absent: Sequence[Absent] = (),
    ) -> tuple[int, int] | type[AppendRefused]:
        """Return the first and last position, or what is refused."""
        known = {event.id: position for position, event in enumerate(self.log, 1)}
        if any(event.id in known for event in events):
            first = known.get(events[0].id, 0)
            last = first + len(events) - 1
            repeated = first > 0 and self.log[first - 1 : last] == list(events)
            return (first, last) if repeated else DuplicateEvent
        if len({event.id for event in events}) < len(events):
            return DuplicateEvent
        refusal = self._expectation(streams, head, absent) or self._parents(events, set(known))
        if refusal is not None:
            return refusal
        self.log += events
        return len(self.log) - len(events) + 1, len(self.log)

    def _expectation(
        self, streams: Mapping[str, Expected], head: int | None, absent: Sequence[Absent]
    ) -> type[AppendRefused] | None:
        if head is not None and head != len(self.log):
            return WrongHead
        if not all(self._meets(stream, expected) for stream, expected in streams.items()):
            return WrongVersion
        if any(self.select(demand.query, demand.after) for demand in absent):
            return ConditionFailed
        return None

    def _parents(
        self, events: Sequence[NewEvent], earlier: set[EventId]
    ) -> type[AppendRefused] | None:
        for event in events:
            if not earlier.issuperset(event.parents):
                return UnknownParent
            earlier.add(event.id)
        return None

    def select(self, where: Query, after: int = 0, *, backward: bool = False) -> list[int]:
        """Return the positions of a query beyond a position."""
        places = [place for place, event in enumerate(self.log, 1) if where.matches(event)]
        if backward:
            return [place for place in reversed(places) if not after or place < after]
        return [place for place in places if place > after]

    def relatives(self, start: int, *, causes: bool) -> list[int]:
        """Return the positions of all causes, or effects, of an event, the nearest first."""
        ids = {event.id: place for place, event in enumerate(self.log, 1)}
        edges = {(ids[each], ids[event.id]) for event in self.log for each in event.parents}
        found: set[int] = set()
        reached = {start}
        while reached:
            reached = {a if causes else b for a, b in edges if (b if causes else a) in reached}
            found |= reached
        return sorted(found, reverse=causes)

    def _meets(self, stream: str, expected: Expected) -> bool:
        version = self.version(stream)
        if isinstance(expected, int):
            return version == expected
        return {"any": True, "none": version == 0, "exists": version > 0}[expected.value]


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and the model side by side, from the thread of one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.open = self.place()
        self.store: EventStore = self.run(self.open())
        self.model = Model()
        self.source = EventSource()
        self.receipts: dict[str, Receipt] = {}
        self.appended: list[list[NewEvent]] = []
        self.snapshots: list[int] = []
        self.compacted = 0

    def place(self) -> Opener:
        """Return a new place; the test says where."""
        raise NotImplementedError

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.store.aclose())
        self.runner.close()

    def _append(
        self,
        events: list[NewEvent],
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> None:
        expected = self.model.append(events, streams or {}, head, absent)
        append = self.store.append(events, streams=streams or {}, head=head, absent=absent)
        if isinstance(expected, type):
            with pytest.raises(AppendRefused) as caught:
                self.run(append)
            assert caught.type is expected
            return
        receipt = self.run(append)
        assert (receipt.first, receipt.last) == expected
        assert self.receipts.setdefault(events[-1].id, receipt).head == receipt.head
        self.appended.append(events)

    @rule(
        streams=st.lists(_streams, min_size=1, max_size=4),
        kind=st.sampled_from(_KINDS),
        tags=st.lists(_tags, max_size=2).map(tuple),
        intent=st.sampled_from(["", "x"]),
        size=st.sampled_from([0, 2, SHARED_FROM_BYTES - 1, SHARED_FROM_BYTES]),
        time=st.integers(0, 20),
    )
    def append(
        self,
        streams: list[str],
        kind: str,
        tags: tuple[str, ...],
        intent: str,
        size: int,
        time: int,
    ) -> None:
        self._append(
            [
                attrs.evolve(
                    self.source.new(stream, kind, bytes(size), (), intent, tags), time=time
                )
                for stream in streams
            ]
        )

    @rule(stream=_streams, expected=st.dictionaries(_streams, _expected, max_size=2))
    def append_expecting_versions(self, stream: str, expected: dict[str, Expected]) -> None:
        self._append([self.source.new(stream)], expected)

    @rule(
        stream=_streams, where=_queries, after=st.integers(0, 12), tags=st.lists(_tags).map(tuple)
    )
    def append_demanding_absence(
        self, stream: str, where: Query, after: int, tags: tuple[str, ...]
    ) -> None:
        self._append([self.source.new(stream, tags=tags)], absent=[Absent(where, after)])

    @rule(stream=_streams, head=st.integers(0, 12))
    def append_expecting_a_head(self, stream: str, head: int) -> None:
        self._append([self.source.new(stream)], head=head)

    @rule(choices=st.lists(st.integers(0, 30), min_size=1, max_size=3, unique=True))
    def append_with_parents(self, choices: list[int]) -> None:
        log = self.model.log
        parents = [log[choice].id if choice < len(log) else None for choice in choices]
        ids = tuple(parent or self.source.event_id() for parent in parents)
        self._append([self.source.new(parents=ids)])

    @rule(choice=st.integers(0, 30), expected=_expected)
    def repeat_an_append(self, choice: int, expected: Expected) -> None:
        if self.appended:
            events = self.appended[choice % len(self.appended)]
            self._append(events, {events[0].stream: expected})

    @rule(choice=st.integers(0, 30), count=st.integers(1, 3), new=st.integers(0, 2))
    def repeat_a_part(self, choice: int, count: int, new: int) -> None:
        if self.model.log:
            start = choice % len(self.model.log)
            self._append(self.model.log[start : start + count] + self.source.several(new))

    @rule(choice=st.integers(0, 30))
    def change_a_stored_event(self, choice: int) -> None:
        if self.model.log:
            event = self.model.log[choice % len(self.model.log)]
            self._append([attrs.evolve(event, payload=b"changed")])

    @rule(after=st.integers(0, 12), limit=st.integers(0, 6), where=_queries, backward=st.booleans())
    def read(self, after: int, limit: int, where: Query, backward: bool) -> None:
        expected = self.model.select(where, after, backward=backward)[:limit]
        page = self.run(self.store.read_page(after, limit, where=where, backward=backward))
        assert [event.position for event in page] == expected

    @rule(choice=st.integers(0, 30), causes=st.booleans())
    def walk_the_causal_graph(self, choice: int, causes: bool) -> None:
        if self.model.log:
            place = choice % len(self.model.log) + 1
            ask = self.store.ancestors if causes else self.store.descendants
            found = self.run(ask(self.model.log[place - 1].id))
            assert [event.position for event in found] == self.model.relatives(place, causes=causes)

    @rule(position=st.integers(0, 12))
    def save_a_snapshot(self, position: int) -> None:
        if position <= len(self.model.log):
            self.run(self.store.save_snapshot(Snapshot("state", position, b"data", b"digest")))
            self.snapshots = sorted({*self.snapshots, position})[-2:]

    @rule()
    def compact(self) -> None:
        if not self.store.capabilities.compaction:
            return
        if not self.snapshots:
            with pytest.raises(UnknownSnapshot):
                self.run(self.store.compact("state"))
            return
        self.compacted = max(self.compacted, self.snapshots[0])
        assert self.run(self.store.compact("state")).position == self.compacted

    @rule()
    def open_again(self) -> None:
        self.run(self.store.aclose())
        self.store = self.run(self.open())
        if not self.store.capabilities.durable:
            self.model, self.receipts, self.appended = Model(), {}, []
            self.snapshots, self.compacted = [], 0

    @invariant()
    def the_log_is_the_model(self) -> None:
        events: list[Event] = self.run(self.store.read_page(0, 1_000))
        for event, given in zip(events, self.model.log, strict=True):
            assert event.repeats(given)
            assert event.payload == (b"" if event.position <= self.compacted else given.payload)
        assert [event.position for event in events] == list(range(1, len(events) + 1))
        for stream in ("a", "b", "c"):
            assert self.run(self.store.stream_version(stream)) == self.model.version(stream)

    @rule()
    def verify(self) -> None:
        assert self.run(self.store.verify()).ok


class ModelConformance:
    """The test by model."""

    def test_any_sequence_of_calls_does_as_the_model(self, new_place: NewPlace) -> None:
        class Machine(StoreMachine):
            def place(self) -> Opener:
                return new_place()

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
            ),
        )
