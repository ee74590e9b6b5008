"""The faults of the first Toka's authentication, by its inventory: 2, 19, 21, E.1 and F."""

import json

import pytest

from toka.auth import (
    AuthenticationError,
    Authenticator,
    Endpoints,
    KeyFile,
    MemoryRevocations,
    PublicKey,
)
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator


def test_original_02_what_was_taken_back_is_looked_up(key, clock, token):
    revoked = MemoryRevocations()
    authenticator = Authenticator([JwtHs256Validator([key], clock)], clock, revoked=revoked)
    assert authenticator.authenticate(token)
    revoked.revoke_token("t1")
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(token)


def test_original_18_02_what_is_remembered_was_verified_under_the_keys_of_now(key, clock, token):
    keys = [key]

    class Rotated:
        def validate(self, token):
            return JwtHs256Validator(keys, clock).validate(token)

    authenticator = Authenticator([Rotated()], clock, key_epoch=lambda: keys[0].kid)
    assert authenticator.authenticate(token)
    keys[0] = Hs256Key.generate()
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(token)


def test_original_e1_public_keys_are_published_with_their_names(key, clock, signer):
    authenticator = Authenticator([JwtHs256Validator([key], clock)], clock)
    endpoints = Endpoints(
        authenticator,
        authenticator,
        JwtHs256Issuer(key, clock),
        clock,
        public_keys=[PublicKey.from_jwk(signer.jwk())],
    )
    (published,) = json.loads(json.dumps(endpoints.jwks().body))["keys"]
    assert published["kid"] == "k1"
    assert "d" not in published


def test_original_f_two_installations_have_two_secrets(tmp_path):
    keys = [KeyFile.load_or_create(tmp_path / str(number))[0].kid for number in range(3)]
    assert len(set(keys)) == 3


def test_original_f_whoever_is_known_is_not_thereby_allowed(key, clock, token):
    claims = Authenticator([JwtHs256Validator([key], clock)], clock).authenticate(token)
    assert claims.granted.covers("fs:read:/data/x") is not None
    assert claims.granted.covers("fs:write:/data/x") is None
