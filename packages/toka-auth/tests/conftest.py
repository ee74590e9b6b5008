import pytest

from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer
from toka.types import NANOSECONDS

NOW = 1_795_000_000


class HandClock:
    """A clock that a test sets by hand, in seconds."""

    def __init__(self) -> None:
        self.wall = NOW
        self.mono = 50

    def now(self) -> int:
        return self.wall * NANOSECONDS

    def monotonic(self) -> int:
        return self.mono * NANOSECONDS

    async def sleep(self, nanoseconds: int) -> None:
        raise NotImplementedError

    def advance(self, seconds: int) -> None:
        self.wall += seconds
        self.mono += seconds


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture(scope="session")
def key():
    return Hs256Key.generate()


@pytest.fixture
def claims():
    return Claims("alice", "default", ("fs:read:/data/**",), NOW, NOW + 900, "t1")


@pytest.fixture
def token(key, clock, claims):
    return JwtHs256Issuer(key, clock).issue(claims)
