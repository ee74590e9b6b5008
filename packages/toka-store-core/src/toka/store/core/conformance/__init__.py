"""The tests that define a correct event store.

A backend's own tests subclass `EventStoreConformance` and say how a store is opened::

    class TestMyStore(EventStoreConformance):
        @pytest.fixture
        def new_place(self, tmp_path):
            numbers = itertools.count()

            def place() -> Opener:
                return functools.partial(MyStore.open, str(tmp_path / f"{next(numbers)}.db"))

            return place

What a backend cannot do it declares in its capabilities; the tests check the declaration either
way, and skip nothing. pytest, hypothesis and anyio with its pytest plug-in must be installed (the
extra `conformance`).
"""

from toka.store.core.conformance._place import NewPlace, Opener
from toka.store.core.conformance._suite import EventStoreConformance

__all__ = ["EventStoreConformance", "NewPlace", "Opener"]
