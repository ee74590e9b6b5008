"""The authenticator over whole chains: revoked hops, windows that close, rates."""

import attrs
import pytest

from toka.auth import AuthenticationError, Authenticator, MemoryRevocations, StorageRates
from toka.capability.core import Extension, MaxRate, OnlyDuring, TimeWindow
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator
from toka.rate_limiter import MemoryStorage

NOW = 1_795_000_000


@pytest.fixture
def validator(key, clock):
    return DelegatedValidator(JwtHs256Validator([key], clock))


@pytest.fixture
def revoked():
    return MemoryRevocations()


@pytest.fixture
def audit():
    return []


@pytest.fixture
def authenticator(validator, clock, revoked, audit):
    return Authenticator([validator], clock, revoked=revoked, audit=audit.append)


@pytest.fixture
def chain(token):
    tokens = [token]
    for name in ("bob", "carol", "dave", "erin", "frank"):
        tokens.append(narrow(tokens[-1], name))
    return tokens


def accepted(authenticator, tokens):
    found = []
    for token in tokens:
        try:
            authenticator.authenticate(token)
        except AuthenticationError:
            found.append(False)
        else:
            found.append(True)
    return found


def test_attack_4_2_10_revoking_a_hop_takes_its_subtree(authenticator, revoked, chain, audit):
    sibling = narrow(chain[1], "carol")
    assert accepted(authenticator, [*chain, sibling]) == [True] * 7
    revoked.revoke_token(authenticator.authenticate(chain[2]).token_id)
    assert accepted(authenticator, chain) == [True, True, False, False, False, False]
    assert accepted(authenticator, [sibling]) == [True]
    assert audit[-1].denials[0].hop == 2
    late = narrow(chain[5], "grace")
    assert accepted(authenticator, [late]) == [False]


def test_attack_4_2_10_revoking_the_root_takes_everything(authenticator, revoked, chain):
    revoked.revoke_token("t1")
    assert accepted(authenticator, chain) == [False] * 6


def test_attack_4_2_10_revoking_a_delegator_takes_what_he_handed_on(authenticator, revoked, chain):
    revoked.revoke_subject("default", "bob", issued_until=NOW)
    assert accepted(authenticator, chain) == [True, False, False, False, False, False]


def test_attack_4_2_10_what_is_revoked_during_verification_is_seen(validator, clock, chain):
    revoked = MemoryRevocations()

    class Slow:
        def validate(self, token):
            claims = validator.validate(token)
            revoked.revoke_token(claims.chain[1].token_id)
            return claims

    with pytest.raises(AuthenticationError):
        Authenticator([Slow()], clock, revoked=revoked).authenticate(chain[3])


def test_a_remembered_token_is_refused_when_its_window_closes(
    key, clock, claims, authenticator, audit
):
    window = TimeWindow("11:00", "11:10")  # it is 11:06:40
    token = JwtHs256Issuer(key, clock).issue(attrs.evolve(claims, windows=(window,)))
    assert authenticator.authenticate(token)
    clock.advance(199)
    assert authenticator.authenticate(token)
    clock.advance(1)
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(token)
    assert audit[0].denials[0].code == "capability.outside_window"


def test_a_narrowed_window_closes_too(authenticator, clock, token):
    child = narrow(token, "bob", [OnlyDuring((TimeWindow("11:00", "11:10"),))])
    assert authenticator.authenticate(child)
    clock.advance(200)
    assert accepted(authenticator, [token, child]) == [True, False]


def test_an_extension_is_asked_every_time(key, clock, claims):
    asked = []

    def rule(_data, _claims, now):
        asked.append(now)

    validator = JwtHs256Validator([key], clock, extensions={"acme": rule})
    token = JwtHs256Issuer(key, clock).issue(attrs.evolve(claims, extensions=(Extension("acme"),)))
    authenticator = Authenticator([validator], clock)
    for _ in range(3):
        authenticator.authenticate(token)
    assert len(asked) == 3


def test_a_rate_that_nobody_counts_is_refused(authenticator, token, audit):
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(narrow(token, "bob", [MaxRate(5, 60)]))
    assert audit[0].denials[0].code == "auth.uncounted"


def test_a_child_acts_at_the_cost_of_its_parent(validator, clock, token, audit):
    rates = StorageRates(MemoryStorage())
    authenticator = Authenticator([validator], clock, rates=rates, audit=audit.append)
    parent = narrow(token, "bob", [MaxRate(5, 3_600)])
    children = [narrow(parent, name, [MaxRate(3, 3_600)]) for name in ("carol", "dave")]
    assert accepted(authenticator, [children[0]] * 4) == [True, True, True, False]
    assert accepted(authenticator, [children[1]] * 4) == [True, True, False, False]
    assert accepted(authenticator, [parent]) == [False]
    assert accepted(authenticator, [token]) == [True]
    assert audit[0].denials[0].code == "auth.rate_limited"


def test_a_rate_of_nothing_allows_nothing(validator, clock, token):
    authenticator = Authenticator([validator], clock, rates=StorageRates(MemoryStorage()))
    assert accepted(authenticator, [narrow(token, "bob", [MaxRate(0, 60)])]) == [False]
