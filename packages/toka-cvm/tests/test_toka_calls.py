import json
import threading
from base64 import b64decode

import pytest

from toka.capability.core import Claims, Denial, PermissionSet
from toka.cvm import (
    Authority,
    AuthorityLostError,
    DeadlineError,
    GuestTrapError,
    HttpReply,
    Limits,
    MemoryKeyValue,
    OutOfFuelError,
    QuotaError,
    Services,
)
from toka.types import SystemClock

ALL = ("kv:*:**", "log:write:**", "clock:read:**", "random:read:**", "net:*:**")

# Every host call under its own name, with its arguments handed through.
EVERY = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (import "toka" "reply" (func $reply (param i32 i32) (result i32)))
  (import "toka" "log" (func $log (param i32 i32 i32)))
  (import "toka" "clock" (func $clock (result i64)))
  (import "toka" "random" (func $random (param i32 i32)))
  (import "toka" "kv_get" (func $kv_get (param i32 i32) (result i32)))
  (import "toka" "kv_put" (func $kv_put (param i32 i32 i32 i32) (result i32)))
  (import "toka" "kv_delete" (func $kv_delete (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (export "input" (func $input)) (export "output" (func $output)) (export "reply" (func $reply))
  (func (export "log") (param i32 i32 i32)
    (call $log (local.get 0) (local.get 1) (local.get 2)))
  (func (export "clock") (result i64) call $clock)
  (func (export "random") (param i32 i32) (call $random (local.get 0) (local.get 1)))
  (func (export "out") (param i32 i32) (call $output (local.get 0) (local.get 1)))
  (func (export "in") (param i32 i32) (result i32) (call $input (local.get 0) (local.get 1)))
  (func (export "fetch") (param i32 i32) (result i32) (call $reply (local.get 0) (local.get 1)))
  (func (export "get") (param i32 i32) (result i32) (call $kv_get (local.get 0) (local.get 1)))
  (func (export "put") (param i32 i32 i32 i32) (result i32)
    (call $kv_put (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "delete") (param i32 i32) (result i32)
    (call $kv_delete (local.get 0) (local.get 1))))"""

HTTP = """(module
  (import "toka" "http" (func $http (param i32 i32) (result i32)))
  (import "toka" "reply" (func $reply (param i32 i32) (result i32)))
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 2)
  (global $status (mut i32) (i32.const 0))
  (func (export "status") (result i32) global.get $status)
  (func (export "_start")
    (global.set $status
      (call $http (i32.const 0) (call $input (i32.const 0) (i32.const 60000))))
    (if (i32.gt_s (global.get $status) (i32.const 0)) (then
      (call $output (i32.const 0) (call $reply (i32.const 0) (i32.const 60000)))))))"""


@pytest.fixture
def every(guest):
    def make(*permissions, text=EVERY, **services):
        services.setdefault("key_value", MemoryKeyValue())
        limits = services.pop("limits", None)
        permissions = permissions or ALL
        return guest(text, *permissions, services=Services(**services), limits=limits)

    return make


def put(one, data, at=0):
    for offset, byte in enumerate(data):
        one.call("poke", at + offset, byte)
    return at, len(data)


def peek(one, at, size):
    return bytes([one.call("peek", at + offset)[0] for offset in range(size)])


def test_keys_and_values(every):
    one = every()
    key, value = put(one, b"k/1"), put(one, b"value", 100)
    assert one.call("get", *key) == (-1,)
    assert one.call("put", *key, *value) == (0,)
    assert one.call("get", *key) == (5,)
    assert one.call("fetch", 200, 100) == (5,)
    assert peek(one, 200, 6) == b"value\0"
    assert one.call("fetch", 300, 2) == (2,)
    assert one.call("delete", *key) == (0,)
    assert one.call("get", *key) == (-1,)


@pytest.mark.parametrize("key", [b"other", b"mine/../other", b"mine//x", b"mine\\x", b""])
def test_a_key_that_is_not_granted_is_denied_and_remembered(every, key):
    rest = ("log:write:**", "clock:read:**", "random:read:**")
    one = every("kv:read:mine/**", "kv:write:mine/**", *rest)
    assert one.call("get", *put(one, key)) == (-2,)
    assert one.call("put", *put(one, key), 0, 1) == (-2,)
    assert one.call("delete", *put(one, key)) == (-2,)
    assert len(one.denied) == 2


def test_a_store_that_fails_is_a_code(every):
    one = every(key_value=MemoryKeyValue(max_bytes=4))
    assert one.call("put", *put(one, b"k"), 0, 100) == (-4,)
    assert one.call("put", *put(one, b"k"), 0, 3) == (0,)
    assert one.call("put", *put(one, b"k"), 0, 4) == (-4,)
    assert one.call("delete", *put(one, b"k")) == (0,)
    assert one.call("put", *put(one, b"j"), 0, 3) == (0,)


def test_a_log_line_is_one_line(every):
    lines = []
    one = every(log=lambda level, text: lines.append((level, text)))
    one.call("log", 2, *put(one, "a\nb\x1b[0mü".encode()))
    assert lines == [(2, "a�b�[0mü")]


def test_time_and_randomness_come_from_the_services(every, step_clock):
    one = every(clock=step_clock(), random=lambda size: b"\7" * size)
    assert one.call("clock") == (1_795_132_800_000_000_000,)
    one.call("random", 0, 3)
    assert peek(one, 0, 4) == b"\7\7\7\0"


def test_input_and_output(guest):
    text = """(module
      (import "toka" "input" (func $input (param i32 i32) (result i32)))
      (import "toka" "output" (func $output (param i32 i32)))
      (memory (export "memory") 1)
      (func (export "_start") (local $n i32)
        (loop
          (local.set $n (call $input (i32.const 0) (i32.const 3)))
          (call $output (i32.const 0) (local.get $n))
          (br_if 0 (local.get $n)))))"""
    assert guest(text).run(data=b"abcdefgh").output == b"abcdefgh"


POINTERS = [
    (-1, 1),
    (0, 2**32 - 1),
    (2**32 - 1, 2**32 - 1),
    (2**31, 2**31),
    (131072, 1),
    (131071, 2),
]


@pytest.mark.parametrize("place", POINTERS)
@pytest.mark.parametrize("call", ["get", "delete", "out", "random", "log", "put", "fetch", "in"])
def test_attack_10_pointers_that_lie_outside_end_the_guest(every, call, place):
    if call in {"fetch", "in"}:
        # These write what there is: nothing is nowhere.
        place = (131073, 1)
    one = every(limits=Limits(transfer_bytes=2**33, io_bytes=2**34, output_bytes=2**33))
    before = {"log": (0,), "put": (0, 1)}.get(call, ())
    with pytest.raises((GuestTrapError, OutOfFuelError)) as caught:
        one.call(call, *before, *place)
    if isinstance(caught.value, GuestTrapError):
        assert caught.value.trap == "bad_pointer"


def test_attack_10_an_empty_place_at_the_end_is_fine(every):
    every().call("out", 131072, 0)


def test_attack_10_text_that_is_not_utf_8_ends_the_guest(every):
    one = every()
    with pytest.raises(GuestTrapError) as caught:
        one.call("log", 0, *put(one, b"\xff\xfe"))
    assert caught.value.trap == "bad_text"


def test_attack_10_a_guest_without_memory_gets_nothing(guest):
    text = """(module (import "toka" "output" (func $o (param i32 i32)))
      (func (export "f") (call $o (i32.const 0) (i32.const 0))))"""
    with pytest.raises(GuestTrapError) as caught:
        guest(text).call("f")
    assert caught.value.trap == "no_memory"


def test_attack_11_quotas(every):
    flood = Limits(output_bytes=1_000)
    for call in (("out", 0, 600), ("log", 0, 0, 600)):
        one = every(limits=flood, log=lambda _level, _text: None)
        one.call(*call)
        with pytest.raises(QuotaError, match="output"):
            one.call(*call)
    with pytest.raises(QuotaError, match="moves"):
        every(limits=Limits(transfer_bytes=100)).call("out", 0, 101)
    one = every(limits=Limits(io_bytes=1_000))
    with pytest.raises(QuotaError, match="moved"):
        repeat(20, one.call, "random", 0, 50)


def repeat(times, call, *arguments):
    for _ in range(times):
        call(*arguments)


def claims(now, *permissions, untainted=()):
    return Claims("agent", "default", permissions, now - 10, now + 10, "id", untainted=untainted)


def test_attack_12_an_expired_capability_ends_the_guest_at_the_next_host_call(guest, step_clock):
    clock = step_clock()
    authority = Authority.of(claims(clock.now() // 10**9, "clock:read:**"), clock)
    one = guest(CLOCK, authority=authority, services=Services(clock=clock))
    one.call("clock")
    clock.time += 11 * 10**9
    assert one.call("plain") == (1,)
    with pytest.raises(AuthorityLostError) as caught:
        one.call("clock")
    assert caught.value.details["code"] == "capability.expired"


CLOCK = """(module (import "toka" "clock" (func $clock (result i64)))
  (func (export "clock") (result i64) call $clock)
  (func (export "plain") (result i32) i32.const 1))"""


def test_attack_12_a_revoked_capability_ends_the_guest_at_the_next_host_call(guest):
    revoked = []
    clock = SystemClock()
    authority = Authority.of(
        claims(clock.now() // 10**9, "clock:read:**"),
        clock,
        revoked=lambda _claims: Denial("capability.revoked") if revoked else None,
    )
    one = guest(CLOCK, authority=authority)
    one.call("clock")
    revoked.append(True)
    with pytest.raises(AuthorityLostError):
        one.call("clock")


def test_what_demands_untainted_does_not_count_for_a_tainted_guest():
    clock = SystemClock()
    ours = claims(clock.now() // 10**9, untainted=("kv:read:**",))
    assert Authority.of(ours, clock).allows("kv", "read", "k")
    assert not Authority.of(ours, clock, tainted=True).allows("kv", "read", "k")
    assert Authority.of(ours, clock, tainted=True).permissions == PermissionSet()


def ask(every, request, *permissions, answer=None, **options):
    seen = []

    def handler(wish, seconds):
        seen.append((wish, seconds))
        if isinstance(answer, Exception):
            raise answer
        return answer or HttpReply(200, (("a", "b"),), b"body")

    one = every(*permissions, text=HTTP, http=handler)
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    outcome = one.run(data=data, **options)
    return one.call("status")[0], outcome.output, seen, one


GET = {"method": "GET", "url": "https://example.com/a?q=1"}


def test_http_by_grant(every):
    status, output, seen, _ = ask(every, GET, "net:get:https://example.com/**")
    reply = json.loads(output)
    assert status == len(output)
    assert (reply["status"], reply["headers"]) == (200, [["a", "b"]])
    assert b64decode(reply["body"]) == b"body"
    assert seen[0][0].url == "https://example.com/a?q=1"
    assert 0 < seen[0][1] <= 10


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://example.org/a"},
        {"url": "http://example.com/a"},
        {"url": "https://example.com/../a"},
        {"url": "https://user@example.com/a"},
        {"url": "https://EXAMPLE.com/a"},
        {"url": "https://example.com\\@evil.org/a"},
        {"url": "https://127.0.0.1/a"},
        {"method": "POST"},
    ],
)
def test_http_that_is_not_granted_is_denied(every, change):
    status, _, seen, one = ask(every, GET | change, "net:get:https://example.com/**")
    assert (status, seen) == (-2, [])
    assert len(one.denied) == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"{",
        b"\xff",
        b"[1]",
        GET | {"more": 1},
        GET | {"method": "TRACE"},
        GET | {"method": "GET\r\nX: y"},
        GET | {"headers": [["a", "b\r\nc: d"]]},
        GET | {"url": "https://example.com/a b"},
        GET | {"url": "https://example.com/a#b"},
        GET | {"body": "not base64!"},
    ],
)
def test_bad_requests_are_a_code(every, request_):
    status, _, seen, _ = ask(every, request_, "net:*:**")
    assert (status, seen) == (-3, [])


def test_http_that_fails_is_a_code_without_text(every):
    status, output, _, _ = ask(every, GET, "net:*:**", answer=OSError("secret host"))
    assert (status, output) == (-4, b"")


def test_http_that_hangs_meets_the_deadline(every):
    hang = threading.Event()

    def handler(_wish, _seconds):
        hang.wait(20)
        return HttpReply(200)

    one = every("net:*:**", text=HTTP, http=handler)
    with pytest.raises(DeadlineError):
        one.run(data=json.dumps(GET).encode(), deadline_seconds=0.05)
    hang.set()
