import functools
import itertools

import pytest

from toka.store.core.conformance import EventStoreConformance, NewPlace, Opener
from toka.store.sled import SledStore


class OnEngine(EventStoreConformance):
    engine: str

    @pytest.fixture
    def new_place(self, tmp_path) -> NewPlace:
        numbers = itertools.count()

        def place() -> Opener:
            folder = tmp_path / f"{next(numbers)}"
            return functools.partial(SledStore.open, f"{folder}?engine={self.engine}")

        return place


class TestLevelDB(OnEngine):
    engine = "leveldb"


class TestRocksDB(OnEngine):
    engine = "rocksdb"
