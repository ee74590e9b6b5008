"""A host on a real store, with real tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from toka.auth import Authenticator
from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.runtime import Runtime, open_runtime
from toka.store.core import EventStore
from toka.store.memory import MemoryStore
from toka.types import SystemClock, ulid

ALL = ("runtime:host:toka", "agent:*:**", "task:*:**", "approval:*:**", "fs:*:**")


class Desk:
    """Mints tokens that the authenticator beside it accepts."""

    def __init__(self) -> None:
        key, self.clock = Hs256Key.generate(), SystemClock()
        self.authenticator = Authenticator([JwtHs256Validator([key], self.clock)], self.clock)
        self._issuer = JwtHs256Issuer(key, self.clock)
        self._count = 0

    def token(
        self, *permissions: str, subject: str = "tester", untainted: tuple[str, ...] = ()
    ) -> str:
        self._count += 1
        seconds = self.clock.now() // 10**9
        name = ulid(self._count, bytes(10))
        wanted = permissions or ALL
        claims = Claims(subject, "toka", wanted, seconds, seconds + 600, name, untainted=untainted)
        return self._issuer.issue(claims)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def store() -> AsyncIterator[EventStore]:
    store = MemoryStore()
    yield store
    await store.aclose()


Opener = Callable[[], AbstractAsyncContextManager[Runtime]]


@pytest.fixture
def opener(store: EventStore, desk: Desk) -> Opener:
    @asynccontextmanager
    async def open_it() -> AsyncIterator[Runtime]:
        async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
            yield runtime

    return open_it


@pytest.fixture
async def runtime(opener: Opener) -> AsyncIterator[Runtime]:
    async with opener() as runtime:
        yield runtime
