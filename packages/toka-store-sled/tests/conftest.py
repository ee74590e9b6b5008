import tempfile

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


@pytest.fixture(autouse=True)
def temporary_files(monkeypatch):
    """So are the copies that a store makes of itself, to judge them before it opens."""
    with memory_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield
