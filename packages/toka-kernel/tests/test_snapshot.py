"""States as bytes."""

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpds import HashTrieMap

from toka.kernel import EMPTY_STATE, SnapshotError, restore, snapshot
from toka.types import Amounts, RequestApproval, SendMessage, digest

MAGIC = len(b"toka.kernel.state 1\n")


@pytest.fixture
def full(world, agent):
    world.open()
    world.running(agent)
    world.start(world.running(agent), effect="external", estimate=Amounts(1, 2, 3))
    other = world.running(agent)
    world.do(world.finish(world.step(other), taint=("web:a",), spent=Amounts(5)))
    world.do(RequestApproval(other, 1, "pay", digest(b""), "?", world.now + 1))
    world.do(SendMessage(agent, msgspec.Raw(b"1")))
    return world.state


def test_a_state_comes_back_as_it_was(full):
    again = restore(snapshot(full))
    assert again == full
    assert snapshot(again) == snapshot(full)
    assert again.digest() == full.digest()


def test_an_empty_state_too():
    assert restore(snapshot(EMPTY_STATE)) == EMPTY_STATE


def test_a_restored_state_is_persistent_like_any_other(world, full, agent):
    state = restore(snapshot(full))
    for event in world.ask(SendMessage(agent, msgspec.Raw(b"2"))):
        state = world.kernel.evolve(state, event)
    assert state.digest() == world.state.digest()


def test_the_digest_does_not_depend_on_the_order_of_insertion(full):
    [(root, family)] = full.families.items()
    agents = list(family.agents.items())
    assert len(agents) > 1
    for ordered in (agents, agents[::-1]):
        rebuilt = attrs.evolve(family, agents=HashTrieMap(ordered))
        state = attrs.evolve(full, families=HashTrieMap({root: rebuilt}))
        assert state.digest() == full.digest()


def test_any_flipped_bit_is_found(full):
    data = snapshot(full)
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 1
        with pytest.raises(SnapshotError):
            restore(bytes(damaged))


def test_a_cut_snapshot_is_found(full):
    data = snapshot(full)
    for length in (0, 5, MAGIC, MAGIC + 31, MAGIC + 32, len(data) - 1):
        with pytest.raises(SnapshotError):
            restore(data[:length])


def test_a_snapshot_of_another_version_is_told_apart():
    with pytest.raises(SnapshotError, match="version 2"):
        restore(b"toka.kernel.state 2\n" + bytes(40))


def test_a_snapshot_that_holds_something_else_is_refused():
    body = b'{"families":3}'
    with pytest.raises(SnapshotError, match="does not hold a state"):
        restore(b"toka.kernel.state 1\n" + digest(body) + body)


@given(st.binary(max_size=80))
def test_no_bytes_do_anything_but_be_refused(data):
    with pytest.raises(SnapshotError):
        restore(b"toka.kernel.state 1\n" + data)
