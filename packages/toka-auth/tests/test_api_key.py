import contextlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.auth import (
    ApiKeyValidator,
    AuthenticationError,
    Authenticator,
    MemoryRevocations,
    StoredRevocations,
    new_api_key,
)
from toka.capability.core import InvalidClaimsError, TokenRefusedError
from toka.revocation import MemoryLog, Revocations
from toka.types import SystemClock

NOW = 1_795_000_000


@pytest.fixture
def made():
    return new_api_key("ci", ["proc:run:git"], vault="build")


@pytest.fixture
def validator(made, clock):
    return ApiKeyValidator([made[1]], clock)


def test_an_api_key_gives_what_its_record_says(validator, made):
    claims = validator.validate(made[0])
    assert (claims.subject, claims.vault) == ("ci", "build")
    assert claims.granted.covers("proc:run:git")
    assert claims.issued_at <= NOW < claims.expires_at


def test_the_claims_of_a_period_are_the_same(validator, made, clock):
    first = validator.validate(made[0])
    clock.advance(first.expires_at - NOW - 1)
    assert validator.validate(made[0]) == first
    clock.advance(1)
    second = validator.validate(made[0])
    assert second.token_id != first.token_id
    assert second.issued_at == first.expires_at


def test_a_record_does_not_hold_the_key(made):
    text, record = made
    assert text.rpartition("_")[2] not in repr(record)


def test_another_secret_or_name_is_refused(validator, made):
    text, record = made
    other = new_api_key("ci", [])[0]
    secret = other.rpartition("_")[2]
    for presented in (
        other,
        f"tokakey_{record.key_id}_{secret}",
        text.upper(),
        text + " ",
        text[:-1],
        "",
    ):
        with pytest.raises(TokenRefusedError):
            validator.validate(presented)


def test_an_api_key_ends_when_its_record_says(made, clock):
    text, record = made
    validator = ApiKeyValidator([attrs.evolve(record, expires_at=NOW + 60)], clock)
    assert validator.validate(text).expires_at == NOW + 60
    clock.advance(60)
    with pytest.raises(TokenRefusedError):
        validator.validate(text)
    clock.advance(10_000)
    with pytest.raises(TokenRefusedError):
        validator.validate(text)


def test_an_api_key_is_revoked_with_all_its_periods(validator, made, clock):
    revoked = MemoryRevocations()
    authenticator = Authenticator([validator], clock, revoked=revoked)
    assert authenticator.authenticate(made[0])
    revoked.revoke_token(made[1].token_id)
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            authenticator.authenticate(made[0])
        clock.advance(3_600)


def test_a_key_for_nothing_sensible_is_not_made():
    with pytest.raises(InvalidClaimsError):
        new_api_key("", [])
    with pytest.raises(InvalidClaimsError):
        new_api_key("ci", ["everything"])


def test_two_records_of_one_name_are_refused(made, clock):
    with pytest.raises(ValueError, match="one identifier"):
        ApiKeyValidator([made[1], made[1]], clock)


@given(st.text(max_size=90) | st.from_regex(r"tokakey_[0-9a-f]{16}_[0-9a-f]{64}"))
def test_any_text_is_a_key_or_the_one_exception(text):
    validator = ApiKeyValidator([new_api_key("ci", [])[1]], SystemClock())
    with contextlib.suppress(TokenRefusedError):
        validator.validate(text)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "log"])
async def test_attack_4_5_06_an_api_key_that_was_given_back_does_not_return(
    validator, made, clock, kind
):
    node = await Revocations.open(MemoryLog(), clock, max_staleness_seconds=None)
    revoked = MemoryRevocations() if kind == "memory" else StoredRevocations(node)
    authenticator = Authenticator([validator], clock, revoked=revoked, audit=lambda _: None)
    await revoked.take_back(authenticator.identify(made[0]))
    for _ in range(60):  # More periods, and purges, than any token lives.
        with pytest.raises(AuthenticationError):
            authenticator.authenticate(made[0])
        clock.advance(3_600)
        await node.forget()
