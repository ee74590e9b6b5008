"""The whole family at once: keys that rotate, chains, revocation that lasts, and what is cached."""

import pytest

from toka.auth import AuthenticationError, Authenticator, StoredRevocations
from toka.capability.core import Claims, OnlyPermissions
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.key_rotation import (
    FileStore,
    KeyRing,
    RotatingIssuer,
    RotatingValidator,
    RotationPolicy,
    WrappingKey,
)
from toka.revocation import MemoryLog, Revocation, Revocations

pytestmark = pytest.mark.anyio

WISH = "fs:read:/data/a"
POLICY = RotationPolicy(interval=3_600, longest_token=900, skew=5, cache=60, grace=1_000)


def secret_of(key):
    return Hs256Key.from_bytes(key.unsafe_secret())


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "ring", WrappingKey.generate())


@pytest.fixture
def ring(store, clock):
    return KeyRing.create(store, POLICY, clock)


@pytest.fixture
def node(clock):
    """Makes an authenticator as on another node: its own view of the ring and of revocations."""

    async def make(log, ring):
        validator = RotatingValidator(
            ring, lambda keys: DelegatedValidator(JwtHs256Validator(map(secret_of, keys), clock))
        )
        revocations = await Revocations.open(log, clock, max_staleness_seconds=10)
        authenticator = Authenticator(
            [validator],
            clock,
            revoked=StoredRevocations(revocations),
            key_epoch=lambda: tuple(key.kid for key in ring.verification_keys()),
            audit=lambda _: None,
        )
        return authenticator, revocations

    return make


@pytest.fixture
def issue(ring, clock):
    issuer = RotatingIssuer(ring, lambda key: JwtHs256Issuer(secret_of(key), clock))

    def make(name):
        return issuer.issue(
            Claims("alice", "default", ("fs:read:/data/**",), clock.wall, clock.wall + 900, name)
        )

    return make


def chain_of(token):
    for_bob = narrow(token, "bob", [OnlyPermissions(("fs:read:/data/*",))])
    return [token, for_bob, narrow(for_bob, "carol", [OnlyPermissions((WISH,))])]


def accepted(authenticator, tokens):
    found = []
    for token in tokens:
        try:
            found.append(authenticator.authenticate(token).granted.covers(WISH) is not None)
        except AuthenticationError:
            found.append(False)
    return found


async def test_keys_rotate_under_living_chains_and_no_verification_fails(ring, node, issue, clock):
    authenticator, _ = await node(MemoryLog(), ring)
    living = []
    for number in range(40):
        clock.advance(300)
        ring.maintain()
        await refresh(authenticator)
        living.append((chain_of(issue(f"t{number}")), clock.wall + 900))
        living = [(chain, end) for chain, end in living if clock.wall < end]
        for chain, _end in living:
            assert accepted(authenticator, chain) == [True] * 3
    assert ring.state.generation > 3


async def refresh(authenticator):
    await authenticator._revoked._revocations.refresh()


async def test_tainting_a_key_fells_its_chains_at_once_cached_or_not(ring, node, issue):
    authenticator, _ = await node(MemoryLog(), ring)
    old = chain_of(issue("t1"))
    assert accepted(authenticator, old) == [True] * 3
    ring.taint(ring.signing_key().kid)
    assert accepted(authenticator, old) == [False] * 3
    assert accepted(authenticator, chain_of(issue("t2"))) == [True] * 3


async def test_another_node_refuses_a_tainted_key_within_its_cache(ring, store, node, issue, clock):
    elsewhere = KeyRing(store, POLICY, clock)
    authenticator, _ = await node(MemoryLog(), elsewhere)
    old = chain_of(issue("t1"))
    assert accepted(authenticator, old) == [True] * 3
    ring.taint(ring.signing_key().kid)
    for _ in range(POLICY.cache):
        clock.advance(1)
        await refresh(authenticator)
        accepted(authenticator, old)
    assert accepted(authenticator, old) == [False] * 3


async def test_revoking_a_hop_fells_its_subtree_on_every_node_within_the_bound(ring, node, issue):
    log = MemoryLog()
    here, revocations = await node(log, ring)
    there, known_there = await node(log, ring)
    root, for_bob, for_carol = chain_of(issue("t1"))
    sibling = narrow(root, "dave")
    everything = [root, for_bob, for_carol, sibling]
    for authenticator in (here, there):
        assert accepted(authenticator, everything) == [True] * 4
    hop = here.identify(for_bob)
    await revocations.revoke(Revocation.of_token(hop.token_id, expires_at=hop.expires_at))
    assert accepted(here, everything) == [True, False, False, True]
    await known_there.refresh()
    assert accepted(there, everything) == [True, False, False, True]


async def test_a_node_that_hears_nothing_refuses_all_after_its_bound(ring, node, issue, clock):
    log = MemoryLog()
    here, revocations = await node(log, ring)
    there, _ = await node(log, ring)
    chain = chain_of(issue("t1"))
    assert accepted(there, chain) == [True] * 3
    await revocations.revoke(Revocation.of_token("t1"))
    clock.advance(10)
    assert accepted(there, chain) == [True] * 3  # cached, and within the stated staleness
    clock.advance(1)
    assert accepted(there, chain) == [False] * 3
    assert accepted(here, chain) == [False] * 3


async def test_revoking_a_key_by_name_fells_what_it_signed(ring, node, issue, clock):
    authenticator, revocations = await node(MemoryLog(), ring)
    chain = chain_of(issue("t1"))
    kid = authenticator.identify(chain[0]).key_id
    assert kid == ring.signing_key().kid
    await revocations.revoke(Revocation.of_key(kid, issued_until=clock.wall))
    assert accepted(authenticator, chain) == [False] * 3
