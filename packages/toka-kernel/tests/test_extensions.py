"""Families of operations of others."""

import msgspec
import pytest

from toka.kernel import (
    EMPTY_STATE,
    ExtensionConflictError,
    ExtensionFact,
    ExtensionRegistry,
    Kernel,
    Rejection,
    ReplayError,
    restore,
    snapshot,
)
from toka.types import Extension


class Ledger:
    """Mints coins, at most ten at a time."""

    def decide(self, _slot, operation, _claims, _now, _ids):
        amount = msgspec.json.decode(operation.data)
        if amount > 10:
            return Rejection("ledger.too_much", "At most ten at a time.")
        return (ExtensionFact("ledger.minted.v1", msgspec.Raw(b"%d" % amount)),)

    def evolve(self, slot, fact):
        coins = int(bytes(slot.get("coins", msgspec.Raw(b"0")))) + int(bytes(fact.data))
        return slot.insert("coins", msgspec.Raw(b"%d" % coins))


@pytest.fixture
def kernel():
    registry = ExtensionRegistry()
    registry.register("ledger", Ledger())
    return Kernel(registry)


@pytest.fixture
def ledger(make_world, kernel):
    return make_world(kernel)


def mint(amount):
    return Extension("ledger.mint.v1", "ledger:mint:gold", msgspec.Raw(b"%d" % amount))


def coins(state):
    return bytes(state.extensions["ledger"]["coins"])


def test_a_family_decides_and_keeps_its_own_state(ledger):
    ledger.do(mint(3))
    event = ledger.do(mint(4))
    assert (event.kind, event.stream) == ("extension.recorded.v1", "extensions/ledger")
    assert coins(ledger.state) == b"7"
    assert ledger.replayed() == ledger.state


def test_its_state_is_in_the_snapshot_and_in_the_digest(ledger, make_world, kernel):
    ledger.do(mint(3))
    again = restore(snapshot(ledger.state))
    assert coins(again) == b"3"
    assert again.digest() == ledger.state.digest()
    other = make_world(kernel)
    other.do(mint(4))
    assert other.state.digest() != ledger.state.digest()


def test_its_rejections_are_the_kernels_answers(ledger):
    assert ledger.refused(mint(11)).code == "ledger.too_much"


def test_its_operations_need_the_permission_for_their_target(ledger):
    poor = ledger.claims("eve", "ledger:mint:silver")
    assert ledger.refused(mint(1), poor).needed == "ledger:mint:gold"


def test_opcodes_of_other_families_are_unknown(ledger):
    for opcode in ("ledgers.mint.v1", "ledger", "mint", ""):
        operation = Extension(opcode, "ledger:mint:gold", msgspec.Raw(b"1"))
        assert ledger.refused(operation).code == "kernel.unknown_opcode"


def test_data_of_an_operation_is_bounded(ledger):
    data = msgspec.Raw(b'"' + b"x" * 1_048_576 + b'"')
    operation = Extension("ledger.mint.v1", "ledger:mint:gold", data)
    assert ledger.refused(operation).code == "kernel.limit_exceeded"


def test_registries_belong_to_one_kernel(ledger, world):
    assert world.refused(mint(1)).code == "kernel.unknown_opcode"
    ledger.do(mint(1))


@pytest.mark.parametrize("prefix", ["ledger", "ledger.coins"])
def test_a_family_has_one_handler(prefix):
    registry = ExtensionRegistry()
    registry.register("ledger", Ledger())
    with pytest.raises(ExtensionConflictError):
        registry.register(prefix, Ledger())
    registry.register("ledgers", Ledger())
    assert list(registry) == ["ledger", "ledgers"]
    assert len(registry) == 2


@pytest.mark.parametrize("prefix", ["", "Ledger", "a..b", ".a", "a.", "a b"])
def test_a_prefix_is_a_dotted_name(prefix):
    with pytest.raises(ExtensionConflictError):
        ExtensionRegistry().register(prefix, Ledger())


def test_a_log_is_not_replayed_without_the_extension_that_wrote_it(ledger):
    ledger.do(mint(1))
    plain = Kernel()
    admitted, minted = ledger.log
    state = plain.evolve(EMPTY_STATE, admitted)
    with pytest.raises(ReplayError, match="ledger"):
        plain.evolve(state, minted)
