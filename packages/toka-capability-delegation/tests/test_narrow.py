import contextlib
import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import (
    ExpiresAt,
    InvalidClaimsError,
    MaxBudget,
    MaxRate,
    NotBefore,
    OnlyDuring,
    OnlyPermissions,
    TimeWindow,
    TokenRefusedError,
    encode_base64url,
)
from toka.capability.delegation import DelegatedValidator, narrow, unsafe_read
from toka.capability.delegation._chain import ChainText
from toka.capability.delegation._link import Link
from toka.types import MAX_TOKEN_BYTES

NOW = 1_795_000_000


def test_a_holder_narrows_without_issuer_key_or_time(validator, token):
    child = narrow(token, "bob", [OnlyPermissions(("fs:read:/data/public/**",))])
    claims = validator.validate(child)
    assert claims.subject == "bob"
    assert claims.vault == "default"
    assert claims.granted.covers("fs:read:/data/public/x")
    assert claims.granted.covers("fs:read:/data/x") is None
    assert [hop.subject for hop in claims.chain] == ["alice", "bob"]


def test_a_root_token_is_a_chain_without_hops(validator, token, claims):
    assert validator.validate(token) == claims


def test_the_key_is_known_with_the_claims(validator, token, key):
    assert validator.validate(narrow(token, "bob")).key_id == key.kid
    assert validator.validate(token).key_id == key.kid


def test_two_equal_hops_are_told_apart_by_their_nonce(validator, token):
    first, second = narrow(token, "bob"), narrow(token, "bob")
    assert validator.validate(first).token_id != validator.validate(second).token_id
    assert narrow(token, "bob", nonce="a") == narrow(token, "bob", nonce="a")


@pytest.mark.parametrize("nonce", ["", "x" * 65, "a b", "ä"])
def test_a_nonce_is_plain(token, nonce):
    with pytest.raises(InvalidClaimsError):
        narrow(token, "bob", nonce=nonce)


def test_budgets_and_rates_of_the_whole_chain_are_accounts(validator, token):
    parent = narrow(token, "bob", [MaxBudget((("calls", 50),)), MaxRate(10, 60)])
    claims = validator.validate(narrow(parent, "carol", [MaxRate(3, 60)]))
    assert claims.budget == (("calls", 50),)
    assert [(hop.budget, hop.rate) for hop in claims.accounts] == [
        ((("calls", 100),), None),
        ((("calls", 50),), MaxRate(10, 60)),
        ((), MaxRate(3, 60)),
    ]


def test_a_rate_is_the_hops_own_and_the_ones_before_are_accounts(validator, token):
    parent = narrow(token, "bob", [MaxRate(10, 60)])
    child = validator.validate(narrow(parent, "carol"))
    assert child.rate is None
    assert [hop.rate for hop in child.accounts] == [None, MaxRate(10, 60), None]
    looser = validator.validate(narrow(parent, "carol", [MaxRate(20, 60)]))
    assert looser.rate == MaxRate(20, 60)
    assert [hop.rate for hop in looser.accounts][1] == MaxRate(10, 60)


def test_a_token_of_five_hops_fits_in_its_limit(validator, issuer, claims):
    root = attrs.evolve(
        claims,
        subject="01JD3X8ZK5Q6T7V8W9XAYBZCDE/root",
        permissions=tuple(f"fs:read:/srv/projects/inventory/module-{n}/**" for n in range(20)),
    )
    token = issuer.issue(root)
    kept = tuple(f"fs:read:/srv/projects/inventory/module-{n}/src/**" for n in range(10))
    for level in range(5):
        caveats = [
            OnlyPermissions(kept[: 10 - level]),
            ExpiresAt(NOW + 3_600 - level),
            OnlyDuring((TimeWindow("08:00", "18:00", "America/New_York", (1, 2, 3)),)),
            MaxBudget((("calls", 50 - level), ("money", 1_000_000))),
        ]
        token = narrow(token, f"{root.subject}/child-{level}", caveats)
    assert len(token) < MAX_TOKEN_BYTES
    with pytest.raises(TokenRefusedError) as caught:
        validator.validate(token)
    assert caught.value.code == "capability.outside_window"


def test_a_token_that_grows_too_large_is_not_made(issuer, claims):
    long = tuple(f"fs:read:/data/{n:03d}/{'x' * 40}" for n in range(60))
    token = issuer.issue(attrs.evolve(claims, permissions=long))
    with pytest.raises(InvalidClaimsError) as caught:
        narrow(token, "bob", [OnlyPermissions(long)])
    assert caught.value.code == "capability.token_too_large"


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "~", "a.b~c~d", None, 1, b"x", "é" * 9000])
def test_what_is_no_token_cannot_be_narrowed(token):
    with pytest.raises(TokenRefusedError):
        narrow(token, "bob")


@pytest.mark.parametrize("name", ["", " ", "x" * 257, "a\u200bb", "a\n"])
def test_a_delegatee_has_a_plain_name(token, name):
    with pytest.raises(TokenRefusedError):
        narrow(token, name)


def test_a_chain_expires_with_its_shortest_hop(refused, validator, clock, token):
    child = narrow(narrow(token, "bob", [ExpiresAt(NOW + 60)]), "carol")
    clock.seconds = NOW + 59
    assert validator.validate(child)
    clock.seconds = NOW + 60
    refused(child, "expired", hop=2)


def test_a_chain_begins_when_its_hop_says(refused, validator, clock, token):
    child = narrow(token, "bob", [NotBefore(NOW + 60)])
    refused(child, "not_yet_valid", hop=1)
    clock.seconds = NOW + 60
    assert validator.validate(child)


def test_an_expired_root_takes_its_chain_with_it(refused, clock, token):
    child = narrow(token, "bob")
    clock.seconds = NOW + 43_200
    refused(child, "expired", hop=0)


@pytest.mark.parametrize("depth", [-1, 17])
def test_a_validator_has_a_sensible_depth(root, depth):
    with pytest.raises(ValueError, match="hops"):
        DelegatedValidator(root, max_depth=depth)


def test_what_a_token_says_can_be_read_without_a_key(token):
    child = narrow(token, "bob", [ExpiresAt(NOW + 60)])
    assert unsafe_read(child).subject == "bob"
    assert unsafe_read(child[:-1] + ("A" if child[-1] != "A" else "E")).subject == "bob"


def test_neither_repr_nor_error_shows_a_signature(refused, token):
    child = narrow(token, "bob")
    tail = child.rpartition("~")[2]
    assert tail not in repr(ChainText.parse(child))
    error = refused(child + "~" + tail)
    assert tail not in f"{error!r} {error} {error.details}"


parts = st.text("AQgwxyz019-_", max_size=12)
shaped = st.builds(
    lambda head, payload, hops, tail: "~".join([f"{head}.{payload}", *hops, tail]),
    parts,
    parts,
    st.lists(parts, max_size=4),
    st.text("AQgw", min_size=43, max_size=43),
)


@given(st.text(max_size=60) | shaped)
def test_any_text_is_a_token_or_the_one_exception(text):
    with contextlib.suppress(TokenRefusedError):
        unsafe_read(text)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_hop_or_the_one_exception(data):
    with contextlib.suppress(TokenRefusedError):
        Link.decode(encode_base64url(data))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
members = st.sampled_from(
    [
        "iss",
        "sub",
        "jti",
        "permissions",
        "untainted",
        "exp",
        "nbf",
        "windows",
        "aud",
        "budget",
        "depth",
        "rate",
        "cnf",
        "ext",
        "only_untainted",
        "x",
    ]
)


@given(st.dictionaries(members, json_values, max_size=5))
def test_any_json_is_a_hop_or_the_one_exception(wire):
    hop = {"iss": "alice", "sub": "bob", "jti": "n", **wire}
    with contextlib.suppress(TokenRefusedError):
        Link.decode(encode_base64url(json.dumps(hop).encode()))
