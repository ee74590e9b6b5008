import time
from contextlib import contextmanager

import pytest
from hypothesis import settings

# A busy machine is no counterexample.
settings.register_profile("toka-capability-core", deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-capability-core")


@pytest.fixture
def cpu_seconds():
    """Measure the processor time of a block: what the load of the machine does not change."""

    @contextmanager
    def measure():
        start = time.process_time()
        end = start

        def spent():
            return end - start

        yield spent
        end = time.process_time()

    return measure
