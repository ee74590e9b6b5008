import attrs
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from toka.capability.core import InvalidClaimsError, TokenIssuer, TokenValidator
from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator
from toka.types import MAX_TOKEN_BYTES


def test_what_is_issued_is_validated_to_the_same_claims(key, clock, claims):
    issuer: TokenIssuer = JwtHs256Issuer(key, clock)
    validator: TokenValidator = JwtHs256Validator([key], clock)
    full = attrs.evolve(
        claims,
        subject="Zoë",
        not_before=claims.issued_at,
        untainted=("fs:write:/out/**",),
        budget=(("calls", 1), ("money", 5_000_000)),
    )
    for said in (claims, full):
        assert validator.validate(issuer.issue(said)) == said


def test_a_token_is_a_plain_jwt_to_others(key, clock, claims, wire):
    token = JwtHs256Issuer(key, clock).issue(claims)
    read = jwt.decode(token, OctKey.import_key(key.unsafe_secret()), algorithms=["HS256"])
    assert read.header == {"alg": "HS256", "kid": key.kid, "typ": "toka.cap+jwt"}
    assert read.claims == wire


def test_the_same_claims_give_the_same_token(key, clock, claims):
    issuer = JwtHs256Issuer(key, clock)
    assert issuer.issue(claims) == issuer.issue(claims)


@pytest.mark.parametrize(
    "changes",
    [
        {"permissions": ("fs.re\u0430d",)},
        {"permissions": ("FS:READ:/x",)},
        {"permissions": ("*",)},
        {"permissions": ("",)},
        {"permissions": tuple(f"fs:read:/{n}" for n in range(101))},
        {"subject": ""},
        {"vault": " "},
        {"token_id": "x" * 257},
        {"expires_at": 1_795_000_000 + 86_401},
        {"expires_at": 1_795_000_000},
        {"issued_at": 1_795_000_006},
    ],
)
def test_attack_4_1_15_claims_that_break_a_limit_make_no_token(key, clock, claims, changes):
    with pytest.raises(InvalidClaimsError):
        JwtHs256Issuer(key, clock).issue(attrs.evolve(claims, **changes))


def test_an_expired_token_is_not_issued(key, clock, claims):
    clock.advance(900)
    with pytest.raises(InvalidClaimsError):
        JwtHs256Issuer(key, clock).issue(claims)


def test_attack_4_1_14_a_token_has_at_most_8192_bytes(key, clock, claims):
    issuer, validator = JwtHs256Issuer(key, clock), JwtHs256Validator([key], clock)

    def say(length):
        texts = tuple(f"fs:read:/{number:02}{'x' * length}" for number in range(14))
        return attrs.evolve(claims, permissions=texts)

    largest = max(length for length in range(380, 420) if _fits(issuer, say(length)))
    token = issuer.issue(say(largest))
    assert MAX_TOKEN_BYTES - 20 < len(token) <= MAX_TOKEN_BYTES
    assert validator.validate(token) == say(largest)
    with pytest.raises(InvalidClaimsError) as caught:
        issuer.issue(say(largest + 1))
    assert caught.value.code == "capability.token_too_large"


def _fits(issuer, claims):
    try:
        issuer.issue(claims)
    except InvalidClaimsError:
        return False
    return True
