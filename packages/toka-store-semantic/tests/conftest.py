import os

import pytest

# NumPy's BLAS waits for its threads by turning round and round: beside other work on few cores the
# small products of these tests take eight times as long with two threads as with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
