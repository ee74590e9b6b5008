import functools
import itertools

import pytest

from toka.store.core.conformance import EventStoreConformance, NewPlace, Opener
from toka.store.sqlite import SqliteStore


class TestSqliteStore(EventStoreConformance):
    @pytest.fixture
    def new_place(self, tmp_path) -> NewPlace:
        numbers = itertools.count()

        def place() -> Opener:
            return functools.partial(SqliteStore.open, str(tmp_path / f"{next(numbers)}.db"))

        return place
