import anyio
import anyio.lowlevel
import pytest

from toka.key_rotation import (
    AuditKind,
    KeyAlgorithm,
    KeyRing,
    KeyState,
    KeyStoreError,
    KeyStoreMissing,
    NoSigningKey,
    NotPublishedYet,
    RotationPolicy,
)


def _kinds(heard):
    return [event.kind for event in heard]


def test_a_new_ring_signs_with_its_first_generation(ring, heard):
    active = ring.state.active
    assert active.generation == 1
    assert ring.signing_key().kid == active.kid
    assert [(event.kind, event.generation) for event in heard] == [
        (AuditKind.KEY_GENERATED, 1),
        (AuditKind.KEY_GENERATED, 2),
    ]


def test_a_ring_that_is_there_is_opened(ring, store, policy, clock, heard):
    again = KeyRing.create(store, policy, clock, audit=heard.append)
    assert again.signing_key() == ring.signing_key()
    assert len(heard) == 2


def test_a_ring_that_is_not_there_is_not_made_by_opening(store, policy, clock):
    with pytest.raises(KeyStoreMissing):
        KeyRing(store, policy, clock)


def test_a_rotation_is_told_with_both_generations(ring, clock, heard):
    before = ring.signing_key()
    clock.advance(100)
    ring.rotate()
    event = heard[-1]
    assert (event.kind, event.generation, event.previous) == (AuditKind.KEY_ROTATED, 2, 1)
    assert event.kids == (before.kid, ring.signing_key().kid)


def test_a_rotation_waits_for_publication_unless_it_is_an_emergency(ring):
    with pytest.raises(NotPublishedYet):
        ring.rotate()
    assert ring.rotate(emergency=True).active.generation == 2


def test_maintenance_does_what_is_due_and_nothing_else(ring, clock, heard):
    assert ring.maintain() is not None
    assert len(heard) == 2
    clock.advance(3_600)
    assert ring.maintain().active.generation == 2
    clock.advance(1_000)
    assert ring.maintain().records[0].state is KeyState.RETIRED
    assert _kinds(heard)[2:] == [
        AuditKind.KEY_GENERATED,
        AuditKind.KEY_ROTATED,
        AuditKind.KEYS_CLEANED_UP,
    ]


def test_a_floor_ends_older_generations_at_once(ring, clock):
    first = ring.signing_key()
    clock.advance(100)
    ring.rotate()
    assert first in ring.verification_keys()
    ring.raise_floor(2)
    assert first not in ring.verification_keys()


def test_a_key_that_signed_for_too_long_signs_no_more(ring, clock):
    clock.advance(7_200)
    with pytest.raises(NoSigningKey):
        ring.signing_key()
    ring.maintain()
    assert ring.signing_key() is not None


def test_another_process_is_heard_within_a_second(ring, store, policy, clock):
    other = KeyRing(store, policy, clock)
    ring.taint(ring.signing_key().kid)
    clock.advance(1)
    assert other.signing_key() == ring.signing_key()
    assert other.state == ring.state


@pytest.mark.parametrize("kind", [KeyAlgorithm.EDDSA, KeyAlgorithm.ES256])
def test_public_keys_are_published_before_they_sign(store, clock, kind):
    policy = RotationPolicy(algorithm=kind)
    ring = KeyRing.create(store, policy, clock)
    published = ring.jwks()["keys"]
    assert [jwk["kid"] for jwk in published] == [r.kid for r in ring.state.records]
    assert all(jwk["alg"] == kind.value for jwk in published)
    clock.advance(360)
    ring.rotate()
    assert ring.signing_key().kid == published[1]["kid"]


@pytest.mark.anyio
async def test_the_task_rotates_for_as_long_as_it_runs(ring):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ring.run)
        with anyio.fail_after(20):
            while ring.state.generation < 5:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    states = [record.state for record in ring.state.records]
    assert states.count(KeyState.ACTIVE) == 1
    assert KeyState.RETIRED in states


@pytest.mark.anyio
async def test_the_task_tells_of_failures_and_goes_on(ring, monkeypatch, heard, clock):
    real, calls = ring._store, []

    class Failing:
        def __getattr__(self, name):
            return getattr(real, name)

        def update(self, change):
            calls.append(change)
            if len(calls) < 3:
                raise KeyStoreError("no space")
            return real.update(change)

    monkeypatch.setattr(ring, "_store", Failing())
    clock.advance(3_600)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ring.run)
        with anyio.fail_after(20):
            while ring.state.active.generation < 2:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert _kinds(heard).count(AuditKind.ROTATION_FAILED) == 2


def test_events_are_logged_where_there_is_no_audit(store, policy, clock, caplog):
    with caplog.at_level("INFO", logger="toka.key_rotation"):
        KeyRing.create(store, policy, clock)
    assert "key_generated" in caplog.text
