# ruff: noqa: S101 - tests, shipped for others to run
"""Any sequence of calls against a model of thirty lines that is obviously right."""

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
    AppendRefused,
    DuplicateEvent,
    Receipt,
    UnknownParent,
    WrongHead,
    WrongVersion,
)
from toka.store.core.testing import EventSource

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from toka.store.core import Event, EventStore, Expected, NewEvent
    from toka.store.core.conformance._place import NewPlace, Opener

T = TypeVar("T")

_streams = st.sampled_from(["a", "b", "c"])
_expected = st.one_of(st.sampled_from([ANY, NONE, EXISTS]), st.integers(0, 6))


class Model:
    """A log as a list."""

    def __init__(self) -> None:
        self.log: list[NewEvent] = []

    def version(self, stream: str) -> int:
        return sum(event.stream == stream for event in self.log)

    def append(
        self, events: Sequence[NewEvent], streams: Mapping[str, Expected], head: int | None
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
        if head is not None and head != len(self.log):
            return WrongHead
        if not all(self._meets(stream, expected) for stream, expected in streams.items()):
            return WrongVersion
        earlier = set(known)
        for event in events:
            if not earlier.issuperset(event.parents):
                return UnknownParent
            earlier.add(event.id)
        self.log += events
        return len(self.log) - len(events) + 1, len(self.log)

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
    ) -> None:
        expected = self.model.append(events, streams or {}, head)
        append = self.store.append(events, streams=streams or {}, head=head)
        if isinstance(expected, type):
            with pytest.raises(AppendRefused) as caught:
                self.run(append)
            assert caught.type is expected
            return
        receipt = self.run(append)
        assert (receipt.first, receipt.last) == expected
        assert self.receipts.setdefault(events[-1].id, receipt).head == receipt.head
        self.appended.append(events)

    @rule(streams=st.lists(_streams, min_size=1, max_size=4))
    def append(self, streams: list[str]) -> None:
        self._append([self.source.new(stream) for stream in streams])

    @rule(stream=_streams, expected=st.dictionaries(_streams, _expected, max_size=2))
    def append_expecting_versions(self, stream: str, expected: dict[str, Expected]) -> None:
        self._append([self.source.new(stream)], expected)

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

    @rule(after=st.integers(0, 12), limit=st.integers(0, 6), backward=st.booleans())
    def read(self, after: int, limit: int, backward: bool) -> None:
        log = list(enumerate(self.model.log, 1))
        if backward:
            log = [each for each in reversed(log) if not after or each[0] < after]
        else:
            log = log[after:]
        page = self.run(self.store.read_page(after, limit, backward=backward))
        assert [(event.position, event.new()) for event in page] == log[:limit]

    @rule()
    def open_again(self) -> None:
        self.run(self.store.aclose())
        self.store = self.run(self.open())
        if not self.store.capabilities.durable:
            self.model, self.receipts, self.appended = Model(), {}, []

    @invariant()
    def the_log_is_the_model(self) -> None:
        events: list[Event] = self.run(self.store.read_page(0, 1_000))
        assert [event.new() for event in events] == self.model.log
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
