import pytest

from toka.capability.core import Claims, TokenRefusedError
from toka.capability.delegation import DelegatedValidator
from toka.capability.delegation._chain import ChainText
from toka.capability.delegation._link import Link
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.types import NANOSECONDS

NOW = 1_795_000_000  # 2026-11-18, a Wednesday, 11:06:40 UTC


class HandClock:
    """A clock that a test sets by hand, in seconds."""

    def __init__(self) -> None:
        self.seconds = NOW

    def now(self) -> int:
        return self.seconds * NANOSECONDS

    def monotonic(self) -> int:
        return self.seconds * NANOSECONDS

    async def sleep(self, nanoseconds: int) -> None:
        raise NotImplementedError


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture(scope="session")
def key():
    return Hs256Key.generate()


@pytest.fixture
def issuer(key, clock):
    return JwtHs256Issuer(key, clock)


@pytest.fixture
def claims():
    permissions = ("fs:read:/data/**", "proc:run:git", "net:get:https://*.example.org/**")
    return Claims(
        "alice",
        "default",
        permissions,
        NOW,
        NOW + 43_200,
        "t1",
        untainted=("fs:write:/out/**",),
        budget=(("calls", 100),),
    )


@pytest.fixture
def token(issuer, claims):
    return issuer.issue(claims)


@pytest.fixture
def root(key, clock):
    return JwtHs256Validator([key], clock)


@pytest.fixture
def validator(root):
    return DelegatedValidator(root)


@pytest.fixture
def refused(validator):
    def check(token, code=None, hop=None):
        with pytest.raises(TokenRefusedError) as caught:
            validator.validate(token)
        if code is not None:
            assert caught.value.code == f"capability.{code}"
        if hop is not None:
            assert caught.value.denial.hop == hop
        return caught.value

    return check


@pytest.fixture
def forge():
    """Add a hop that says anything, rightly signed: what any holder of a token can do."""

    def make(token, delegator, delegatee, *caveats, hop=None):
        link = Link(delegator, delegatee, "n", caveats)
        return ChainText.parse(token).followed_by(link.encode() if hop is None else hop)

    return make
