import attrs
import pytest

from toka.auth import (
    AuthenticationError,
    Authenticator,
    DpopNonces,
    DpopProofs,
    MemoryUsedTokens,
    Proof,
    access_token_hash,
)
from toka.capability.core import OnlyHolder
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator

NOW = 1_795_000_000
URL = "https://toka.example/v1/messages"


@pytest.fixture
def bound(key, clock, claims, signer):
    claims = attrs.evolve(claims, holder=signer.thumbprint())
    return JwtHs256Issuer(key, clock).issue(claims)


@pytest.fixture
def audit():
    return []


@pytest.fixture
def authenticator(key, clock, audit):
    proofs = DpopProofs(clock, MemoryUsedTokens(clock))
    validator = DelegatedValidator(JwtHs256Validator([key], clock))
    return Authenticator([validator], clock, proofs=proofs, audit=audit.append)


@pytest.fixture
def prove(signer):
    def make(token, header=None, method="POST", url=URL, signer=signer, jti="p1", **changes):
        payload = {
            "htm": "POST",
            "htu": URL,
            "iat": NOW,
            "jti": jti,
            "ath": access_token_hash(token),
            **changes,
        }
        usual = {"typ": "dpop+jwt", "jwk": signer.key.as_dict(private=False), "kid": ...}
        return Proof(signer.sign(payload, **{**usual, **(header or {})}), method, url)

    return make


def test_a_bound_token_counts_with_a_proof(authenticator, bound, prove):
    assert authenticator.authenticate(bound, prove(bound)).subject == "alice"
    assert authenticator.authenticate(bound, prove(bound, jti="p2")).subject == "alice"


def test_a_bound_token_is_nothing_without_a_proof(authenticator, bound, audit):
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(bound)
    assert audit[0].denials[0].code == "auth.unproved"


def test_a_bound_token_is_nothing_where_nobody_checks_proofs(key, clock, bound, prove):
    with pytest.raises(AuthenticationError):
        Authenticator([JwtHs256Validator([key], clock)], clock).authenticate(bound, prove(bound))


def test_a_proof_counts_once(authenticator, bound, prove, audit):
    proof = prove(bound)
    authenticator.authenticate(bound, proof)
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(bound, proof)
    assert "used before" in audit[0].denials[0].rule


@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "GET"},
        {"htm": "post"},
        {"htu": URL + "/x"},
        {"htu": None},
        {"ath": access_token_hash("another token")},
        {"ath": None},
        {"iat": NOW - 61},
        {"iat": NOW + 61},
        {"iat": str(NOW)},
        {"iat": True},
        {"jti": ""},
        {"jti": "x" * 129},
        {"jti": 7},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": ...}},
        {"header": {"alg": "none"}},
        {"header": {"jwk": ...}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"header": {"jwk": []}},
        {"header": {"jku": "https://evil.example"}},
        {"method": "GET"},
        {"url": "https://other.example/v1/messages"},
    ],
)
def test_a_proof_of_something_else_is_refused(authenticator, bound, prove, changes):
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(bound, prove(bound, **changes))
    assert authenticator.authenticate(bound, prove(bound))  # and nothing was used up


def test_a_proof_under_another_key_is_refused(authenticator, bound, prove, new_signer):
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(bound, prove(bound, signer=new_signer("ES256")))


def test_a_proof_that_shows_a_private_key_is_refused(authenticator, bound, prove, signer):
    private = signer.key.as_dict(private=True)
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(bound, prove(bound, {"jwk": private}))


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_other_kinds_of_keys_prove_too(
    key, clock, claims, authenticator, prove, signer_of, algorithm
):
    signer = signer_of(algorithm)
    token = JwtHs256Issuer(key, clock).issue(attrs.evolve(claims, holder=signer.thumbprint()))
    assert authenticator.authenticate(token, prove(token, signer=signer))


def test_a_delegator_binds_offline(authenticator, token, prove, signer):
    child = narrow(token, "bob", [OnlyHolder(signer.thumbprint())])
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(child)
    assert authenticator.authenticate(child, prove(child)).subject == "bob"
    grandchild = narrow(child, "carol")
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(grandchild)


def test_neither_repr_nor_audit_shows_a_proof(authenticator, bound, prove, audit):
    proof = prove(bound, htm="GET")
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(bound, proof)
    assert proof.text not in repr(proof)
    assert proof.text not in repr(audit)


@pytest.fixture
def nonces(clock):
    return DpopNonces(clock)


@pytest.fixture
def strict(key, clock, audit, nonces):
    proofs = DpopProofs(clock, MemoryUsedTokens(clock), nonces=nonces)
    return Authenticator(
        [JwtHs256Validator([key], clock)], clock, proofs=proofs, audit=audit.append
    )


def test_where_nonces_are_demanded_a_proof_has_one_of_late(strict, bound, prove, nonces, clock):
    nonce = nonces.current()
    strict.authenticate(bound, prove(bound, nonce=nonce))
    clock.advance(300)
    assert nonces.current() != nonce
    strict.authenticate(bound, prove(bound, jti="p2", nonce=nonce, iat=NOW + 300))
    clock.advance(300)
    with pytest.raises(AuthenticationError):
        strict.authenticate(bound, prove(bound, jti="p3", nonce=nonce, iat=NOW + 600))


@pytest.mark.parametrize("nonce", [None, 1, "", "x", "\u00fc", ["x"]])
def test_another_nonce_is_none(strict, bound, prove, nonce, audit):
    with pytest.raises(AuthenticationError):
        strict.authenticate(bound, prove(bound, nonce=nonce))
    assert "nonce" in audit[-1].denials[0].rule


def test_processes_with_one_secret_know_each_others_nonces(clock):
    secret = bytes(range(32))
    assert DpopNonces(clock, secret).accepts(DpopNonces(clock, secret).current())
    assert not DpopNonces(clock).accepts(DpopNonces(clock).current())
    with pytest.raises(ValueError, match="32 bytes"):
        DpopNonces(clock, b"short")
    assert "0" not in repr(DpopNonces(clock, secret))
