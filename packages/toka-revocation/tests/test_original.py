"""The faults of the first Toka's revocation, by the section of its inventory: 21."""

import pytest

from toka.auth import AuthenticationError, Authenticator
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.revocation import Revocation, Revocations

pytestmark = pytest.mark.anyio


async def test_original_21_1_a_second_revocation_that_ends_earlier_revives_nothing(
    log, clock, claims
):
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("t1", expires_at=claims.expires_at))
    await node.revoke(Revocation.of_token("t1", expires_at=0))
    clock.advance(300)
    assert node.denial(claims) is not None


async def test_original_21_2_what_has_expired_is_removed(log, clock, claims):
    node = await Revocations.open(log, clock)
    for number in range(50):
        await node.revoke(Revocation.of_token(f"t{number}", expires_at=claims.expires_at))
    assert len(node) == 50
    clock.advance(2 * 86_400)
    assert await node.forget() == 50
    assert len(node) == 0


async def test_original_21_3_a_verifier_asks(log, clock, claims):
    key = Hs256Key.generate()
    token = JwtHs256Issuer(key, clock).issue(claims)
    node = await Revocations.open(log, clock)
    verifier = Authenticator(
        [JwtHs256Validator([key], clock)], clock, revoked=node, audit=lambda _: None
    )
    assert verifier.authenticate(token)
    await node.revoke(Revocation.of_token("t1"))
    with pytest.raises(AuthenticationError):
        verifier.authenticate(token)
