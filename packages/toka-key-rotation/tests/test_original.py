"""The faults of the first Toka's key rotation, by the section of its inventory: 19."""

import pytest

from toka.capability.core import TokenRefusedError, encode_base64url
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.key_rotation import (
    AuditKind,
    FileStore,
    KeyRing,
    RotatingIssuer,
    RotatingValidator,
)
from toka.key_rotation._state import MAX_RETIRED


def _secret(key):
    return Hs256Key.from_bytes(key.unsafe_secret())


@pytest.fixture
def issuer(ring, clock):
    return RotatingIssuer(ring, lambda key: JwtHs256Issuer(_secret(key), clock))


@pytest.fixture
def validator(ring, clock):
    return RotatingValidator(ring, lambda keys: JwtHs256Validator(map(_secret, keys), clock))


def test_original_19_1_the_first_key_is_of_the_first_generation(ring):
    assert ring.state.active.generation == 1


def test_original_19_2_a_refusal_is_told_without_any_context(
    ring, issuer, validator, claims_at, clock, heard
):
    token = issuer.issue(claims_at(clock.wall))
    assert validator.validate(token)
    before = len(heard)
    with pytest.raises(TokenRefusedError):
        validator.validate(token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"))
    (event,) = heard[before:]
    assert (event.kind, event.kids) == (AuditKind.KEY_VALIDATION, (ring.signing_key().kid,))


def test_original_19_3_no_key_lies_in_clear(tmp_path, wrapping, policy, clock):
    path = tmp_path / "ring"
    ring = KeyRing.create(FileStore(path, wrapping), policy, clock)
    data = path.read_bytes()
    for key in ring.verification_keys():
        secret = key.unsafe_secret()
        for spelled in (secret, secret.hex().encode(), encode_base64url(secret).encode()):
            assert spelled not in data


def test_original_19_4_the_number_of_versions_is_bounded(ring, clock, monkeypatch):
    monkeypatch.setattr("toka.key_rotation._state.MAX_RETIRED", 3)
    for _ in range(12):
        clock.advance(3_600)
        ring.maintain()
    assert ring.state.generation == 14
    assert len(ring.state.records) <= 3 + 3  # those that verify, and the last that were retired
    assert MAX_RETIRED == 1_000


def test_original_19_5_the_name_in_the_header_chooses_the_key(
    ring, issuer, validator, claims_at, clock
):
    token = issuer.issue(claims_at(clock.wall))
    header, payload, _ = token.split(".")
    other = next(key for key in ring.verification_keys() if key.kid != ring.signing_key().kid)
    # Rightly signed by a key that is as good, under the name of another.
    forged = encode_base64url(other.sign(f"{header}.{payload}".encode()))
    with pytest.raises(TokenRefusedError):
        validator.validate(f"{header}.{payload}.{forged}")


def test_original_19_6_what_its_own_tests_wished_for(
    ring, heard, clock, issuer, validator, claims_at
):
    clock.advance(100)
    ring.rotate()
    told = [(event.kind.value, event.generation, event.previous) for event in heard]
    assert told == [
        ("key_generated", 1, None),
        ("key_generated", 2, None),
        ("key_generated", 3, None),
        ("key_rotated", 2, 1),
    ]
    assert validator.validate(issuer.issue(claims_at(clock.wall))).subject == "alice"


def test_original_f_a_ring_needs_a_secret_that_somebody_gave(tmp_path):
    with pytest.raises(TypeError):
        FileStore(tmp_path / "ring")  # pyright: ignore[reportCallIssue] - what is tested
    assert not (tmp_path / "ring").exists()
