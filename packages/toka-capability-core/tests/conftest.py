import time
from contextlib import contextmanager

import pytest


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
