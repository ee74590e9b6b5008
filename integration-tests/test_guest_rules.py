"""WebAssembly guests as a kernel's rules: one decides operations, one is the policy beside it."""

import json

import msgspec
import pytest

from toka.auth import Authenticator
from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.cvm import GuestHandler, GuestPolicy, PureGuest, text_to_binary
from toka.kernel import ExtensionFact, ExtensionRegistry, Kernel, Rejection
from toka.runtime import PolicedKernel, Rejected, open_runtime, replay
from toka.store.sqlite import SqliteStore
from toka.types import Extension, Message, SystemClock

pytestmark = pytest.mark.anyio

# Counts under "n", from 1 to 3. An opcode that begins with "counter.l" loops for ever.
COUNTER = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (import "toka" "reply" (func $reply (param i32 i32) (result i32)))
  (import "toka" "kv_get" (func $get (param i32 i32) (result i32)))
  (import "toka" "kv_put" (func $put (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "n") (data (i32.const 520) "0")
  (data (i32.const 600) "{\\22facts\\22:[{\\22name\\22:\\22counter.raised.v1\\22}]}")
  (data (i32.const 700)
    "{\\22refusal\\22:{\\22code\\22:\\22full\\22,\\22message\\22:\\22No more.\\22}}")
  (func $load
    (if (i32.gt_s (call $get (i32.const 512) (i32.const 1)) (i32.const 0))
      (then (drop (call $reply (i32.const 520) (i32.const 1))))))
  (func (export "decide")
    (drop (call $input (i32.const 0) (i32.const 500)))
    (if (i32.eq (i32.load8_u (i32.const 19)) (i32.const 108)) (then (loop $l (br $l))))
    (call $load)
    (if (i32.eq (i32.load8_u (i32.const 520)) (i32.const 51))
      (then (call $output (i32.const 700) (i32.const 48)))
      (else (call $output (i32.const 600) (i32.const 40)))))
  (func (export "evolve") (local $turns i32)
    (loop $work
      (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
      (br_if $work (i32.lt_u (local.get $turns) (i32.const 3000))))
    (call $load)
    (i32.store8 (i32.const 520) (i32.add (i32.load8_u (i32.const 520)) (i32.const 1)))
    (if (call $put (i32.const 512) (i32.const 1) (i32.const 520) (i32.const 1))
      (then (unreachable)))))"""

# Refuses whatever has a "!" in it.
POLICY = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 60000) "{\\22allow\\22:true}")
  (data (i32.const 60100) "{\\22allow\\22:false,\\22reason\\22:\\22It shouts.\\22}")
  (func (export "judge") (local $at i32) (local $end i32)
    (local.set $end (call $input (i32.const 0) (i32.const 50000)))
    (loop $next
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 33))
        (then (call $output (i32.const 60100) (i32.const 37)) (return)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (call $output (i32.const 60000) (i32.const 14))))"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


def rules(fuel=100_000):
    """Make the rules anew, as another process would."""
    registry = ExtensionRegistry()
    guest = PureGuest(text_to_binary(COUNTER), fuel=fuel)
    registry.register("counter", GuestHandler(guest, ExtensionFact, Rejection))
    return registry


class Desk:
    """Mints tokens that its authenticator accepts."""

    def __init__(self):
        key, clock = Hs256Key.generate(), SystemClock()
        self.authenticator = Authenticator([JwtHs256Validator([key], clock)], clock)
        self._issuer, self._clock, self._count = JwtHs256Issuer(key, clock), clock, 0

    def token(self, *permissions):
        self._count += 1
        now = self._clock.now() // 10**9
        name = f"token-{self._count}"
        return self._issuer.issue(Claims("ada", "toka", permissions, now, now + 600, name))


def raising(token, what="raise", data="one"):
    raw = msgspec.Raw(json.dumps(data).encode())
    return Message(token, Extension(f"counter.{what}.v1", "counter:raise:n", raw))


async def test_a_log_under_guests_is_replayed_to_the_same_state(tmp_path):
    desk = Desk()
    token = desk.token("counter:raise:n")
    policy = GuestPolicy(PureGuest(text_to_binary(POLICY)))
    kernel = PolicedKernel(policy, rules(), about=[Extension])
    store = await SqliteStore.open(str(tmp_path / "log.db"))
    host = desk.token("runtime:host:toka")
    async with open_runtime(store, desk.authenticator, host, kernel=kernel) as runtime:
        for _ in range(3):
            await runtime.submit(raising(token))
        refusals = []
        for message in (raising(token), raising(token, "loop"), raising(token, data="hey!")):
            with pytest.raises(Rejected) as refused:
                await runtime.submit(message)
            refusals.append(refused.value.code)
        # The policy is asked after the kernel, which is full by then.
        assert refusals == ["guest.full", "cvm.out_of_fuel", "guest.full"]
        slot = runtime.state.extensions["counter"]
        assert bytes(slot["n"]) == b"3"
        live = runtime.state.digest()
    for _ in range(2):
        assert (await replay(Kernel(rules()), store, verify=True)).digest == live
    async with open_runtime(store, desk.authenticator, host, kernel=Kernel(rules())) as again:
        assert bytes(again.state.extensions["counter"]["n"]) == b"3"
    await store.aclose()


async def test_the_policy_of_a_guest_refuses_before_anything_is_recorded(tmp_path):
    desk = Desk()
    policy = GuestPolicy(PureGuest(text_to_binary(POLICY)))
    kernel = PolicedKernel(policy, rules(), about=[Extension])
    store = await SqliteStore.open(str(tmp_path / "log.db"))
    host, token = desk.token("runtime:host:toka"), desk.token("counter:raise:n")
    async with open_runtime(store, desk.authenticator, host, kernel=kernel) as runtime:
        with pytest.raises(Rejected, match="It shouts") as refused:
            await runtime.submit(raising(token, data="hey!"))
        assert refused.value.code == "runtime.policy_refused"
        assert "counter" not in runtime.state.extensions
        await runtime.submit(raising(token, data="hey"))
    await store.aclose()


async def test_a_fact_that_needs_more_fuel_than_there_is_is_never_recorded(tmp_path):
    desk = Desk()
    registry = rules(fuel=10_000)  # Enough for `decide`, and not for `evolve`.
    store = await SqliteStore.open(str(tmp_path / "log.db"))
    host, token = desk.token("runtime:host:toka"), desk.token("counter:raise:n")
    async with open_runtime(store, desk.authenticator, host, kernel=Kernel(registry)) as runtime:
        position = runtime.position
        codes = set()
        for _ in range(3):
            with pytest.raises(Rejected) as refused:
                await runtime.submit(raising(token))
            codes.add(refused.value.code)
        assert codes == {"cvm.rule_failed"}
        assert runtime.position == position
    await store.aclose()
