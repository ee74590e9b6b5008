"""Laws of the ring, over random steps."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.key_rotation import (
    InvalidKeyRingError,
    KeyAlgorithm,
    KeyState,
    NotPublishedYet,
    RingKey,
    RingState,
    RotationPolicy,
)
from toka.key_rotation._state import MAX_RETIRED, _next, begin, raise_floor, retire, rotate, taint

POLICY = RotationPolicy(interval=3_600, longest_token=900, skew=5, cache=60, grace=1_000)
NOW = 1_000_000


def _key(kind=KeyAlgorithm.HS256):
    return RingKey.generate(kind)


def _ring():
    return begin(POLICY, (_key(), _key()), NOW)


steps = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "emergency", "retire", "taint", "floor"]),
        st.integers(-4_000, 4_000),
        st.integers(0, 10),
    ),
    max_size=25,
)


def _step(state, kind, now, choice):
    if kind == "retire":
        return retire(state, now)
    if kind == "taint":
        kid = state.records[choice % len(state.records)].kid
        return taint(state, POLICY, kid, _key(), now)
    if kind == "floor":
        return raise_floor(state, choice, now)
    return rotate(state, POLICY, _key(), now, emergency=kind == "emergency")


@given(steps)
def test_after_any_steps_one_key_signs_and_one_is_prepared(taken):
    state, now, tainted, ended = _ring(), NOW, set(), {}
    for kind, delta, choice in taken:
        now += delta
        try:
            after = _step(state, kind, now, choice)
        except (NotPublishedYet, InvalidKeyRingError):
            continue
        assert after is state or after.version > state.version
        state = after
        assert state.active is not None
        assert state.prepared is not None
        assert state.latest >= NOW
        generations = [record.generation for record in state.records]
        assert generations == list(range(1, len(generations) + 1))
        tainted |= {r.kid for r in state.records if r.state is KeyState.TAINTED}
        for record in state.records:
            assert record.verifies == (record.key is not None)
            assert not (record.generation < state.floor and record.verifies)
            if record.kid in ended:
                assert not record.verifies
            if not record.verifies:
                ended[record.kid] = record.generation
    assert tainted == {r.kid for r in state.records if r.state is KeyState.TAINTED}


def test_a_key_signs_only_after_it_was_published():
    state = _ring()
    with pytest.raises(NotPublishedYet):
        rotate(state, POLICY, _key(), NOW + 64)
    after = rotate(state, POLICY, _key(), NOW + 65)
    assert after.active == attrs.evolve(
        state.records[1], state=KeyState.ACTIVE, activated_at=NOW + 65
    )
    assert [record.state for record in after.records] == [
        KeyState.RETIRING,
        KeyState.ACTIVE,
        KeyState.PREPARED,
    ]


def test_nothing_to_retire_is_the_same_ring():
    state = _ring()
    assert retire(state, NOW + 10**6) is state


def test_a_tainted_prepared_key_is_replaced():
    state = _ring()
    after = taint(state, POLICY, state.records[1].kid, _key(), NOW)
    assert after.prepared is not None
    assert after.prepared.generation == 3
    assert taint(after, POLICY, state.records[1].kid, _key(), NOW) is after


def test_an_unknown_key_cannot_be_tainted():
    with pytest.raises(InvalidKeyRingError):
        taint(_ring(), POLICY, "nobody", _key(), NOW)


def test_the_floor_stays_below_the_key_that_signs():
    state = rotate(_ring(), POLICY, _key(), NOW + 100)
    with pytest.raises(InvalidKeyRingError):
        raise_floor(state, 3, NOW + 100)
    after = raise_floor(state, 2, NOW + 100)
    assert not after.records[0].verifies
    assert raise_floor(after, 1, NOW + 100) is after


def test_old_retired_keys_are_forgotten_and_tainted_ones_are_not():
    state = _ring()
    retired = [
        attrs.evolve(state.records[0], kid=f"r{n}", generation=n, state=KeyState.RETIRED, key=None)
        for n in range(1, MAX_RETIRED + 3)
    ]
    tainted = attrs.evolve(retired[0], kid="tainted", generation=0, state=KeyState.TAINTED)
    after = _next(state, [tainted, *retired], NOW)
    assert len(after.records) == MAX_RETIRED + 1
    assert after.find("tainted") is not None
    assert after.find("r1") is None


def test_records_that_contradict_one_another_make_no_ring():
    first, second = _ring().records
    active = {"state": KeyState.ACTIVE, "activated_at": NOW}
    for records in (
        (first, attrs.evolve(second, **active)),
        (attrs.evolve(first, state=KeyState.PREPARED), second),
        (first, attrs.evolve(second, generation=1)),
        (first, attrs.evolve(second, kid="other")),
        (first, attrs.evolve(second, key=None)),
        (first, attrs.evolve(second, state=KeyState.RETIRED)),
        (first, attrs.evolve(second, state=KeyState.RETIRING)),
        (attrs.evolve(first, activated_at=None), second),
    ):
        with pytest.raises(InvalidKeyRingError):
            RingState(records)
