"""The faults of the first Toka's tokens, by the sections of its inventory: 2, 17, E.1 and F."""

import attrs
import pytest

from toka.capability.core import InvalidClaimsError
from toka.capability.jwt_hs256 import Hs256Key, InvalidKeyError, JwtHs256Issuer, JwtHs256Validator

NOW = 1_795_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ""},
        {"vault": ""},
        {"permissions": ("read",)},
        {"expires_at": NOW + 86_401},
        {"expires_at": NOW},
        {"issued_at": NOW + 6, "expires_at": NOW + 900},
    ],
)
def test_original_02_minting_validates_claims(key, clock, claims, changes):
    with pytest.raises(InvalidClaimsError):
        JwtHs256Issuer(key, clock).issue(attrs.evolve(claims, **changes))


@pytest.mark.parametrize(
    "changes",
    [{"vault": ""}, {"permissions": ["read"]}, {"iat": NOW + 6}, {"exp": NOW}, {"jti": " "}],
)
def test_original_02_whoever_signed_it_everything_is_checked(refused, forge, wire, changes):
    refused(forge(payload={**wire, **changes}), "bad_claims" if "iat" not in changes else None)


def test_original_02_the_type_of_a_token_is_checked(refused, forge):
    refused(forge(typ="JWT"), "bad_header")


def test_original_17_no_leeway_is_given_that_nobody_asked_for(validator, token, clock):
    clock.advance(899)
    assert validator.validate(token)
    clock.advance(1)
    for _ in range(60):
        with pytest.raises(ValueError, match="expired"):
            validator.validate(token)
        clock.advance(1)


def test_original_17_claims_are_validated(refused, forge, wire):
    refused(forge(payload={**wire, "sub": ""}), "bad_claims")
    refused(forge(payload={**wire, "permissions": ["fs:read:/a"] * 101}), "bad_claims")


def test_original_e1_the_clock_of_an_issuer_may_be_five_seconds_ahead(validator, forge, wire):
    assert validator.validate(forge(payload={**wire, "iat": NOW + 5}))
    with pytest.raises(ValueError, match="future"):
        validator.validate(forge(payload={**wire, "iat": NOW + 6}))


def test_original_e1_a_token_without_a_name_is_refused(refused, forge, wire):
    del wire["jti"]
    refused(forge(payload=wire), "malformed")


@pytest.mark.parametrize(
    "secret", [b"", b"secret", b"x" * 31, b"change-me-change-me-change-me-change-me-" * 2]
)
def test_original_e1_a_secret_has_256_bits(secret):
    with pytest.raises(InvalidKeyError):
        Hs256Key.from_bytes(secret)


def test_original_f_there_is_no_key_that_nobody_chose(clock):
    with pytest.raises(ValueError, match="needs a key"):
        JwtHs256Validator([], clock)
    assert len({Hs256Key.generate().kid for _ in range(100)}) == 100
