import asyncio

import pytest
from hypothesis import settings

from toka.capability.core import Claims
from toka.key_rotation import FileStore, KeyRing, RotationPolicy, SqliteStore, WrappingKey
from toka.types import NANOSECONDS

NOW = 1_795_000_000

settings.register_profile("toka-key-rotation", max_examples=60, deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-key-rotation")


class HandClock:
    """A clock that a test sets by hand, in seconds."""

    def __init__(self):
        self.wall = NOW
        self.mono = 50

    def now(self):
        return self.wall * NANOSECONDS

    def monotonic(self):
        return self.mono * NANOSECONDS

    async def sleep(self, nanoseconds):
        self.advance(nanoseconds // NANOSECONDS)
        await asyncio.sleep(0)

    def advance(self, seconds):
        self.wall += seconds
        self.mono += seconds


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def policy():
    return RotationPolicy(interval=3_600, longest_token=900, skew=5, cache=60, grace=1_000)


@pytest.fixture(scope="session")
def wrapping():
    return WrappingKey.generate()


@pytest.fixture(params=["file", "sqlite"])
def store(request, tmp_path, wrapping):
    if request.param == "file":
        yield FileStore(tmp_path / "ring", wrapping)
    else:
        opened = SqliteStore(tmp_path / "ring.db", wrapping)
        yield opened
        opened.close()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def ring(store, policy, clock, heard):
    return KeyRing.create(store, policy, clock, audit=heard.append)


@pytest.fixture
def claims_at():
    def make(moment, life=900):
        return Claims("alice", "default", ("fs:read:/data/**",), moment, moment + life, "t1")

    return make
