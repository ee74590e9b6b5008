"""All tests together, and the fixtures that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toka.store.core.conformance._appending import AppendConformance
from toka.store.core.conformance._compacting import CompactConformance
from toka.store.core.conformance._keeping import KeepingConformance
from toka.store.core.conformance._model import ModelConformance
from toka.store.core.conformance._reading import ReadConformance
from toka.store.core.conformance._selecting import SelectConformance
from toka.store.core.conformance._subscribing import SubscribeConformance
from toka.store.core.testing import EventSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from toka.store.core import EventStore
    from toka.store.core.conformance._place import NewPlace, Opener


class EventStoreConformance(
    AppendConformance,
    ReadConformance,
    SelectConformance,
    SubscribeConformance,
    KeepingConformance,
    CompactConformance,
    ModelConformance,
):
    """Every test of an event store; see the package for how to use it."""

    @pytest.fixture
    def new_place(self) -> NewPlace:
        """Return what makes places; every backend says how."""
        raise NotImplementedError("Define the fixture `new_place` in the subclass.")

    @pytest.fixture
    def place(self, new_place: NewPlace) -> Opener:
        """Return one place."""
        return new_place()

    @pytest.fixture
    async def store(self, place: Opener) -> AsyncIterator[EventStore]:
        """Return an empty store, open for writing."""
        async with await place() as store:
            yield store

    @pytest.fixture
    def source(self) -> EventSource:
        """Return what makes events."""
        return EventSource()
