import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import settings
from joserfc.jwk import ECKey, OKPKey, RSAKey

from toka.auth import OutsideIssuer, OutsideKeysError, OutsideRule, OutsideValidator
from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer
from toka.types import NANOSECONDS

NOW = 1_795_000_000

# A busy machine is no counterexample.
settings.register_profile("toka-auth", deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-auth")


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


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Signer:
    """A key pair of somebody else, and what it signs."""

    def __init__(self, algorithm: str = "ES256", kid: str | None = "k1") -> None:
        kinds = {
            "RS256": (RSAKey, 2048),
            "ES256": (ECKey, "P-256"),
            "EdDSA": (OKPKey, "Ed25519"),
            "Ed25519": (OKPKey, "Ed25519"),
        }
        kind, parameter = kinds[algorithm]
        self.key = kind.generate_key(parameter)
        self.algorithm = algorithm
        self.kid = kid

    def jwk(self, **members):
        named = {} if self.kid is None else {"kid": self.kid}
        return {**self.key.as_dict(private=False), **named, **members}

    def sign(self, payload, **header):
        named = {} if self.kid is None else {"kid": self.kid}
        header = {"alg": self.algorithm, **named, **header}
        header = {name: value for name, value in header.items() if value is not ...}
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signed = f"{segment(json.dumps(header).encode())}.{segment(data)}"
        return f"{signed}.{segment(self._signature(signed.encode()))}"

    def _signature(self, message):
        private = self.key.private_key
        if self.algorithm == "RS256":
            return private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return private.sign(message)

    def thumbprint(self):
        return self.key.thumbprint()


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_SIGNERS: dict[str, Signer] = {}


@pytest.fixture
def signer_of():
    """Return the key pair of an algorithm; making an RSA key takes long, so each is made once."""

    def make(algorithm):
        if algorithm not in _SIGNERS:
            _SIGNERS[algorithm] = Signer(algorithm)
        return _SIGNERS[algorithm]

    return make


@pytest.fixture
def signer(signer_of):
    return signer_of("ES256")


@pytest.fixture
def new_signer():
    return Signer


@pytest.fixture
def identity():
    return {
        "iss": "https://issuer.example",
        "sub": "u-1",
        "aud": "toka",
        "iat": NOW,
        "exp": NOW + 3_600,
        "groups": ["dev", "ops"],
    }


class Published:
    """What an issuer publishes, counted as it is fetched."""

    def __init__(self, *signers) -> None:
        self.issuer = "https://issuer.example"
        self.keys = [signer.jwk() for signer in signers]
        self.fetched: list[str] = []
        self.fails = False

    async def __call__(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.fails:
            raise OutsideKeysError("down")
        if url.endswith("/.well-known/openid-configuration"):
            document = {"issuer": self.issuer, "jwks_uri": "https://issuer.example/keys"}
            return json.dumps(document).encode()
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def published(signer):
    return Published(signer)


@pytest.fixture
def rules():
    return (
        OutsideRule(
            ("fs:read:/data/**", "proc:run:git"), (("groups", "dev"),), subject_prefix="x/"
        ),
    )


@pytest.fixture
def trusted(rules):
    return OutsideIssuer("https://issuer.example", "toka", rules)


@pytest.fixture
def outside(trusted, published, clock):
    return OutsideValidator(trusted, published, clock)
