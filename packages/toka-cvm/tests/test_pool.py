import pytest

from toka.cvm import GuestEndedError, GuestPool, GuestTrapError, Machine, text_to_binary

COUNTER = """(module (global $count (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1))) global.get $count)
  (func (export "trap") unreachable))"""


@pytest.fixture
def pool(machine):
    module = machine.compile(text_to_binary(COUNTER))
    made = GuestPool(lambda: machine.instantiate(module), size=2)
    yield made
    made.close()


def test_every_borrower_gets_a_guest_that_nobody_had(pool):
    for _ in range(5):
        with pool.guest() as guest:
            assert guest.call("next") == (1,)
        with pytest.raises(GuestEndedError):
            guest.call("next")
    assert pool.ready == 2


def test_more_borrowers_than_guests_are_served(pool):
    with pool.guest() as first, pool.guest() as second, pool.guest() as third:
        assert len({id(one) for one in (first, second, third)}) == 3
        assert pool.ready == 0
    assert pool.ready == 2


def test_a_guest_that_trapped_is_replaced(pool):
    with pytest.raises(GuestTrapError), pool.guest() as guest:
        guest.call("trap")
    with pool.guest() as guest:
        assert guest.call("next") == (1,)


def test_a_closed_pool_keeps_none(machine):
    pool = GuestPool(lambda: machine.instantiate(machine.compile(text_to_binary(COUNTER))), size=1)
    with pool.guest() as guest:
        pool.close()
        assert guest.call("next") == (1,)
    assert pool.ready == 0
    assert isinstance(machine, Machine)
