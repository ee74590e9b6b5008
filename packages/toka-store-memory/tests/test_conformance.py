import pytest

from toka.store.core.conformance import EventStoreConformance, NewPlace, Opener
from toka.store.memory import MemoryStore


class TestMemoryStore(EventStoreConformance):
    @pytest.fixture
    def new_place(self) -> NewPlace:
        def place() -> Opener:
            async def open_store(*, read_only: bool = False, create: bool = True) -> MemoryStore:
                return await MemoryStore.open("", read_only=read_only, create=create)

            return open_store

        return place
