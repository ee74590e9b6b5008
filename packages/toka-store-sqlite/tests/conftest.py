import pytest

from toka.store.core.testing import memory_folder


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tmp_path():
    """None of these tests is one of the disk, and waiting for it took most of their time."""
    with memory_folder() as folder:
        yield folder
