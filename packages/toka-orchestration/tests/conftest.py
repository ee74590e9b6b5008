"""What every test of this package shares."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
