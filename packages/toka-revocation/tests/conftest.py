import asyncio

import attrs
import pytest
from hypothesis import settings

from toka.capability.core import Claims, Hop
from toka.revocation import EventLog, MemoryLog, SqliteLog
from toka.store.memory import MemoryStore
from toka.types import NANOSECONDS

NOW = 1_795_000_000

settings.register_profile("toka-revocation", max_examples=60, deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-revocation")


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
def claims():
    return Claims("alice", "default", ("fs:read:/data/**",), NOW, NOW + 900, "t1", key_id="k1")


@pytest.fixture
def chained(claims):
    """Alice gave it to bob, and bob to carol."""
    hops = (Hop("t1", "alice"), Hop("h1", "bob"), Hop("h2", "carol"))
    return [
        attrs.evolve(claims, token_id=hop.token_id, subject=hop.subject, chain=hops[: index + 1])
        for index, hop in enumerate(hops)
    ]


@pytest.fixture(params=["memory", "sqlite", "events"])
def log(request, tmp_path):
    if request.param == "memory":
        yield MemoryLog()
    elif request.param == "sqlite":
        opened = SqliteLog(tmp_path / "revoked.db")
        yield opened
        opened.close()
    else:
        yield EventLog(MemoryStore())
