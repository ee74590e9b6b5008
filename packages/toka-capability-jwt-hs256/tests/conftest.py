import base64
import hmac
import json
from collections.abc import Callable

import pytest

from toka.capability.core import Claims, TokenRefusedError
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
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
def wire():
    return {
        "sub": "alice",
        "vault": "default",
        "permissions": ["fs:read:/data/**"],
        "iat": NOW,
        "exp": NOW + 900,
        "jti": "t1",
    }


def segment(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def forge(key, wire) -> Callable[..., str]:
    """Sign anything with the right key, or another one: an attacker inside the issuer."""

    def make(header=None, payload=None, *, secret=None, algorithm="sha256", **members):
        usual = {"alg": "HS256", "typ": "toka.cap+jwt", "kid": key.kid}
        header = {**usual, **members} if header is None else header
        signed = f"{segment(header)}.{segment(wire if payload is None else payload)}"
        used = key.unsafe_secret() if secret is None else secret
        return f"{signed}.{segment(hmac.digest(used, signed.encode(), algorithm))}"

    return make


@pytest.fixture
def validator(key, clock):
    return JwtHs256Validator([key], clock)


@pytest.fixture
def token(key, clock, claims):
    return JwtHs256Issuer(key, clock).issue(claims)


@pytest.fixture
def refused(validator):
    def check(token, code=None):
        with pytest.raises(TokenRefusedError) as caught:
            validator.validate(token)
        if code is not None:
            assert caught.value.code == f"capability.{code}"
        return caught.value

    return check
