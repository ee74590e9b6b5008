import pytest

from toka.capability.core import TokenRefusedError
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.key_rotation import AuditKind, KeyRing, RotatingIssuer, RotatingValidator


def _issuer(ring, clock):
    return RotatingIssuer(
        ring, lambda key: JwtHs256Issuer(Hs256Key.from_bytes(key.unsafe_secret()), clock)
    )


def _validator(ring, clock):
    return RotatingValidator(
        ring,
        lambda keys: JwtHs256Validator(
            [Hs256Key.from_bytes(key.unsafe_secret()) for key in keys], clock
        ),
    )


def test_no_verification_fails_over_many_rotations(ring, clock, claims_at):
    issuer, validator = _issuer(ring, clock), _validator(ring, clock)
    living = []
    for _ in range(60):
        clock.advance(300)
        ring.maintain()
        living.append((issuer.issue(claims_at(clock.wall)), clock.wall + 900))
        living = [(token, expiry) for token, expiry in living if clock.wall < expiry]
        for token, _expiry in living:
            assert validator.validate(token).subject == "alice"
    assert ring.state.generation > 5


def test_a_token_of_a_key_that_another_process_just_made_is_accepted(
    ring, store, policy, clock, claims_at
):
    other = KeyRing(store, policy, clock)
    validator = _validator(other, clock)
    clock.advance(1)
    validator._validator()
    for _ in range(2):
        ring.rotate(emergency=True)
    token = _issuer(ring, clock).issue(claims_at(clock.wall))
    clock.advance(1)
    assert validator.validate(token).subject == "alice"


def test_a_token_of_a_tainted_key_raises_an_alarm(ring, clock, claims_at, heard):
    validator = _validator(ring, clock)
    token = _issuer(ring, clock).issue(claims_at(clock.wall))
    kid = ring.signing_key().kid
    ring.taint(kid)
    with pytest.raises(TokenRefusedError) as error:
        validator.validate(token)
    assert error.value.denial.rule == "the token's key is tainted"
    assert (heard[-1].kind, heard[-1].kids) == (AuditKind.SECURITY_ALERT, (kid,))
    assert token not in repr(heard)


def test_a_refusal_under_a_known_key_is_told(ring, clock, claims_at, heard):
    token = _issuer(ring, clock).issue(claims_at(clock.wall, life=10))
    clock.advance(10)
    with pytest.raises(TokenRefusedError):
        _validator(ring, clock).validate(token)
    assert (heard[-1].kind, heard[-1].reason) == (AuditKind.KEY_VALIDATION, "capability.expired")


@pytest.mark.parametrize("token", ["", "a.b.c", "." * 10, "e30.e30.AA", "x" * 9_000, None, 5, b"a"])
def test_what_is_no_token_is_refused(ring, clock, token):
    with pytest.raises(TokenRefusedError):
        _validator(ring, clock).validate(token)
