import functools

import pytest

from toka.store.core.conformance import EventStoreConformance, NewPlace, Opener
from toka.store.postgres import PostgresStore


class TestPostgresStore(EventStoreConformance):
    @pytest.fixture
    def new_place(self, server, schema_names) -> NewPlace:
        def place() -> Opener:
            return functools.partial(PostgresStore.open, server.location(next(schema_names)))

        return place
