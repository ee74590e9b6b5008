import math
import threading

import anyio
import pytest

from toka.cvm import (
    CancelledError,
    DeadlineError,
    GuestBusyError,
    GuestCallError,
    GuestEndedError,
    GuestTrapError,
    HostFaultError,
    Limits,
    Machine,
    MemoryKeyValue,
    OutOfFuelError,
    QuotaError,
    Services,
    _native,
    text_to_binary,
)

pytestmark = pytest.mark.anyio

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'
LOOP = '(module (func (export "loop") (loop (br 0))))'


class Reading:
    """Keys and values behind which a test looks."""

    def __init__(self, get):
        self._get = get

    def get(self, key):
        return self._get(key)

    def put(self, key, value):
        self._get((key, value))

    def delete(self, key):
        self._get(key)


def raising(error):
    def get(_key):
        raise error

    return Services(key_value=Reading(get))


def test_calls_an_export(guest):
    one = guest(ADD)
    assert one.call("add", 2, 3) == (5,)
    assert one.call("add", -2, 1) == (-1,)
    assert one.fuel_used > 0


def test_numbers_of_every_kind_go_in_and_out(guest):
    one = guest(
        """(module (func (export "all") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
          local.get 3 local.get 2 local.get 1 local.get 0))"""
    )
    assert one.call("all", 2**32 - 1, 2**64 - 1, 0.5, math.pi) == (math.pi, 0.5, -1, -1)


@pytest.mark.parametrize("arguments", [(1,), (1, 2, 3), (2**32, 0), (-(2**31) - 1, 0), (1.5, 2)])
def test_arguments_that_do_not_fit_are_refused_and_the_guest_goes_on(guest, arguments):
    one = guest(ADD)
    with pytest.raises(GuestCallError):
        one.call("add", *arguments)
    assert one.call("add", 1, 1) == (2,)


def test_an_unknown_export_says_what_there_is(guest):
    with pytest.raises(GuestCallError, match="add"):
        guest(ADD).call("sub")


def test_attack_1_an_endless_loop_runs_out_of_fuel(guest):
    one = guest(LOOP)
    with pytest.raises(OutOfFuelError):
        one.call("loop", fuel=100_000)
    assert one.ended
    with pytest.raises(GuestEndedError, match="over"):
        one.call("loop")


def test_attack_1_an_endless_loop_meets_its_deadline(guest):
    with pytest.raises(DeadlineError):
        guest(LOOP).call("loop", fuel=2**62, deadline_seconds=0.05)


def test_attack_1_a_sleep_in_the_host_meets_the_deadline(guest):
    one = guest(
        """(module
          (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "sleep") (result i32)
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 3600000000000))
            (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))"""
    )
    with pytest.raises(DeadlineError):
        one.call("sleep", deadline_seconds=0.05)


def test_attack_1_a_service_that_hangs_is_left_behind(guest):
    hang = threading.Event()
    one = guest(KEYS, "kv:read:**", services=Services(key_value=Reading(lambda _: hang.wait(20))))
    with pytest.raises(DeadlineError):
        one.call("get", deadline_seconds=0.05)
    hang.set()


KEYS = """(module
  (import "toka" "kv_get" (func $get (param i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "key")
  (func (export "get") (result i32) (call $get (i32.const 0) (i32.const 3))))"""


def test_attack_2_memory_is_bounded(guest):
    one = guest(
        """(module (memory 1) (func (export "grow") (result i32)
             (memory.grow (i32.const 65535)))
             (func (export "some") (result i32) (memory.grow (i32.const 15))))""",
        limits=Limits(memory_bytes=1 << 20),
    )
    assert one.call("grow") == (-1,)
    assert one.call("some") == (1,)


@pytest.mark.parametrize(
    "text",
    [
        "(module (memory 65536))",
        "(module (table 10000000 funcref))",
        "(module" + 5 * " (table 1 funcref)" + ")",
    ],
)
def test_attack_2_more_than_the_limits_from_the_start_is_refused(guest, text):
    with pytest.raises(GuestEndedError):
        guest(text)


def test_attack_3_a_giant_fill_is_bounded_by_the_memory(guest):
    one = guest(
        """(module (memory 16) (func (export "fill")
             (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x7fffffff))))"""
    )
    with pytest.raises(GuestTrapError) as caught:
        one.call("fill")
    assert caught.value.trap == "memory_out_of_bounds"


def test_attack_4_endless_recursion_is_a_trap(guest):
    one = guest('(module (func $f (export "f") call $f))')
    with pytest.raises(GuestTrapError) as caught:
        one.call("f")
    assert caught.value.trap == "stack_overflow"


def test_attack_4_a_host_call_cannot_come_back_into_its_guest(guest):
    guests = []
    services = Services(key_value=Reading(lambda _: guests[0].call("get")))
    guests.append(guest(KEYS, "kv:read:**", services=services))
    with pytest.raises(HostFaultError) as caught:
        guests[0].call("get")
    assert isinstance(caught.value.__cause__, GuestBusyError)
    assert guests[0].ended


def test_attack_5_the_start_function_is_bounded(guest):
    text = "(module (func $f (loop (br 0))) (start $f))"
    with pytest.raises(OutOfFuelError):
        guest(text, limits=Limits(fuel=100_000))
    with pytest.raises(DeadlineError):
        guest(text, limits=Limits(fuel=2**62, deadline_seconds=0.05))


def test_attack_16_tenants_share_nothing(guest):
    text = """(module (memory (export "memory") 1)
      (func (export "put") (i32.store (i32.const 0) (i32.const 7)))
      (func (export "get") (result i32) (i32.load (i32.const 0)))
      (func (export "loop") (loop (br 0))))"""
    one, other = guest(text), guest(text)
    one.call("put")
    assert other.call("get") == (0,)
    ends = []

    def run(which, seconds):
        try:
            which.call("loop", fuel=2**62, deadline_seconds=seconds)
        except GuestEndedError as error:
            ends.append((seconds, type(error)))

    threads = [threading.Thread(target=run, args=(w, s)) for w, s in ((one, 0.05), (other, 0.25))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [(0.05, DeadlineError), (0.25, DeadlineError)]


def test_attack_17_a_host_exception_is_wrapped(guest):
    one = guest(KEYS, "kv:read:**", services=raising(KeyError("chosen by the guest")))
    with pytest.raises(HostFaultError) as caught:
        one.call("get")
    assert isinstance(caught.value.__cause__, KeyError)
    assert "chosen" not in str(caught.value)


def test_attack_17_endings_in_two_threads_stay_apart(guest):
    guests = [guest(KEYS, "kv:read:**", services=raising(KeyError(number))) for number in range(8)]
    seen = [""] * 8

    def run(number):
        try:
            guests[number].call("get")
        except HostFaultError as error:
            seen[number] = str(error.__cause__)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [str(number) for number in range(8)]


@pytest.mark.parametrize(
    ("code", "trap"),
    [
        ("unreachable", "unreachable"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer_division_by_zero"),
        ("(drop (i32.load (i32.const 65536)))", "memory_out_of_bounds"),
        ("(call_indirect (i32.const 0))", "indirect_call_to_null"),
        ("(drop (i32.trunc_f32_u (f32.const -5)))", "integer_overflow"),
    ],
)
def test_traps_have_names_and_places(guest, code, trap):
    one = guest(f'(module (memory 1) (table 1 funcref) (func (export "f") {code}))')
    with pytest.raises(GuestTrapError) as caught:
        one.call("f")
    assert caught.value.trap == trap
    assert caught.value.details["function"] == 0
    assert caught.value.details["offset"]


def test_attack_11_too_many_host_calls_are_a_quota(guest):
    text = KEYS.replace(
        '(func (export "get")',
        '(func (export "all") (loop (drop (call 0 (i32.const 0)'
        ' (i32.const 3))) (br 0))) (func (export "get")',
    )
    services = Services(key_value=MemoryKeyValue())
    with pytest.raises(QuotaError, match="host calls"):
        guest(text, "kv:read:**", services=services, limits=Limits(host_calls=100)).call("all")
    with pytest.raises(OutOfFuelError):
        guest(text, "kv:read:**", services=services).call("all", fuel=20_000)


def test_one_call_at_a_time(guest):
    one = guest(LOOP)
    seen = []

    def run():
        with pytest.raises(CancelledError) as caught:
            one.call("loop", fuel=2**62)
        seen.append(caught)

    thread = threading.Thread(target=run)
    thread.start()
    while not one._lock.locked():
        pass
    with pytest.raises(GuestBusyError):
        one.call("loop")
    with pytest.raises(GuestBusyError):
        one.close()
    one.cancel()
    thread.join()
    assert seen


async def test_cancelling_a_task_ends_the_guest(guest):
    one = guest(LOOP)
    with anyio.move_on_after(0.05) as scope:
        await one.acall("loop", fuel=2**62, deadline_seconds=60)
    assert scope.cancelled_caught
    assert one.ended


async def test_calls_on_a_worker_thread(guest):
    assert await guest(ADD).acall("add", 1, 2) == (3,)
    with pytest.raises(OutOfFuelError):
        await guest(LOOP).acall("loop", fuel=1_000)


def test_a_closed_guest_is_over(guest):
    one = guest(ADD)
    one.close()
    one.close()
    with pytest.raises(GuestEndedError):
        one.call("add", 1, 2)


def test_what_is_left_out_is_given_back():
    machine = Machine()
    module = machine.compile(text_to_binary("(module (memory 16))"))
    for _ in range(200):
        machine.instantiate(module)
    assert len(_native._sessions) < 100
