import pytest
from hypothesis import settings

settings.register_profile("toka-performance", max_examples=25, deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-performance")


@pytest.fixture
def anyio_backend():
    return "asyncio"
