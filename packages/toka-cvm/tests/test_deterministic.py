"""A deterministic machine: the same module, input and seed give the same output, fuel and end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.cvm import Authority, GuestEndedError, Limits, Machine, Services, text_to_binary

# Hashes its input together with time, randomness and a float that may be any NaN, for ever.
MIXER = text_to_binary("""(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (import "toka" "clock" (func $clock (result i64)))
  (import "toka" "random" (func $random (param i32 i32)))
  (memory (export "memory") 1)
  (global $zero (mut f64) (f64.const 0))
  (func (export "_start") (local $at i32) (local $left i32)
    (local.set $left (call $input (i32.const 64) (i32.const 1000)))
    (loop $again
      (i64.store (i32.const 0) (call $clock))
      (call $random (i32.const 8) (i32.const 8))
      (f64.store (i32.const 16) (f64.div (global.get $zero) (global.get $zero)))
      (i64.store (i32.const 24) (i64.xor (i64.load (i32.const 8))
        (i64.load (i32.add (i32.const 64) (local.get $at)))))
      (call $output (i32.const 0) (i32.const 32))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $at) (local.get $left)))
      (br_if $again (i32.eqz (local.get $left))))))""")


class Telling:
    """A clock that nobody may ask."""

    def now(self):
        raise AssertionError

    def monotonic(self):
        return 0

    async def sleep(self, nanoseconds):
        raise AssertionError(nanoseconds)


def refuse(_size):
    raise AssertionError


@pytest.fixture(scope="module")
def machines():
    return Machine(deterministic=True), Machine(deterministic=True)


def trace(machine, data, seed, fuel):
    guest = machine.instantiate(
        machine.compile(MIXER),
        Authority.parse("clock:read:**", "random:read:**"),
        services=Services(clock=Telling(), random=refuse),
        seed=seed,
        limits=Limits(fuel=fuel),
    )
    end = ""
    try:
        outcome = guest.run(data=data)
        output = outcome.output
    except GuestEndedError as ended:
        end, output = f"{ended.code} {ended.details}", guest.take_output()[0]
    guest.close()
    return output, guest.fuel_used, end


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=8), st.integers(0, 60_000))
def test_attack_15_the_same_goes_in_and_the_same_comes_out(machines, data, seed, fuel):
    first, second = (trace(machine, data, seed, fuel) for machine in machines)
    assert first == second
    assert first == trace(machines[0], data, seed, fuel)


def test_attack_15_another_seed_gives_another_output(machines):
    outputs = {trace(machines[0], b"input", bytes([seed]), 100_000)[0] for seed in range(8)}
    assert len(outputs) == 8


def test_attack_15_out_of_fuel_is_at_the_same_place(machines):
    output, used, end = trace(machines[0], b"", b"s", 50_000)
    assert end.startswith("cvm.out_of_fuel")
    assert (output, used, end) == trace(machines[1], b"", b"s", 50_000)
