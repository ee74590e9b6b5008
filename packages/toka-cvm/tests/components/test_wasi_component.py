"""WASI 0.2, called function by function: handles and numbers go in, the raw results come out."""

import os
import struct
from pathlib import Path

import pytest

from toka.cvm import (
    Authority,
    DeadlineError,
    GuestExitError,
    GuestTrapError,
    ImportRefusedError,
    Limits,
    OutOfFuelError,
    QuotaError,
    text_to_binary,
)

IO = """
(import "wasi:io/error@0.2.3" (instance $error
  (export "error" (type (sub resource)))
  (export "[method]error.to-debug-string" (func (param "self" (borrow 0)) (result string)))))
(alias export $error "error" (type $error-type))
(import "wasi:io/poll@0.2.3" (instance $poll
  (export "pollable" (type $pollable (sub resource)))
  (export "[method]pollable.ready" (func (param "self" (borrow $pollable)) (result bool)))
  (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
  (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
(alias export $poll "pollable" (type $pollable-type))
(import "wasi:io/streams@0.2.3" (instance $streams
  (alias outer 1 $error-type (type $error'))
  (export "error" (type $error (eq $error')))
  (alias outer 1 $pollable-type (type $pollable'))
  (export "pollable" (type $pollable (eq $pollable')))
  (type $stream-error'
    (variant (case "last-operation-failed" (own $error)) (case "closed")))
  (export "stream-error" (type $stream-error (eq $stream-error')))
  (export "input-stream" (type $in (sub resource)))
  (export "output-stream" (type $out (sub resource)))
  (export "[method]input-stream.read" (func (param "self" (borrow $in)) (param "len" u64)
    (result (result (list u8) (error $stream-error)))))
  (export "[method]input-stream.skip" (func (param "self" (borrow $in)) (param "len" u64)
    (result (result u64 (error $stream-error)))))
  (export "[method]input-stream.subscribe" (func (param "self" (borrow $in))
    (result (own $pollable))))
  (export "[method]output-stream.check-write" (func (param "self" (borrow $out))
    (result (result u64 (error $stream-error)))))
  (export "[method]output-stream.write" (func (param "self" (borrow $out))
    (param "contents" (list u8)) (result (result (error $stream-error)))))
  (export "[method]output-stream.write-zeroes" (func (param "self" (borrow $out))
    (param "len" u64) (result (result (error $stream-error)))))
  (export "[method]output-stream.splice" (func (param "self" (borrow $out))
    (param "src" (borrow $in)) (param "len" u64) (result (result u64 (error $stream-error)))))))
(alias export $streams "input-stream" (type $in-type))
(alias export $streams "output-stream" (type $out-type))
(import "wasi:cli/stdin@0.2.3" (instance $stdin (alias outer 1 $in-type (type $t))
  (export "input-stream" (type $in (eq $t))) (export "get-stdin" (func (result (own $in))))))
(import "wasi:cli/stdout@0.2.3" (instance $stdout (alias outer 1 $out-type (type $t))
  (export "output-stream" (type $out (eq $t))) (export "get-stdout" (func (result (own $out))))))
(import "wasi:cli/exit@0.2.3" (instance $exit (export "exit" (func (param "status" (result))))))
(import "wasi:cli/environment@0.2.3" (instance $environment
  (export "get-arguments" (func (result (list string))))
  (export "initial-cwd" (func (result (option string))))))
"""
CLOCKS = """
(import "wasi:clocks/monotonic-clock@0.2.3" (instance $monotonic
  (alias outer 1 $pollable-type (type $t)) (export "pollable" (type $pollable (eq $t)))
  (export "now" (func (result u64)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
(import "wasi:clocks/wall-clock@0.2.3" (instance $wall
  (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
  (export "datetime" (type $datetime (eq $datetime')))
  (export "now" (func (result $datetime)))))
(import "wasi:random/random@0.2.3" (instance $random
  (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
  (export "get-random-u64" (func (result u64)))))
"""
FILES = """
(import "wasi:filesystem/types@0.2.3" (instance $files
  (alias outer 1 $in-type (type $in')) (export "input-stream" (type $in (eq $in')))
  (alias outer 1 $out-type (type $out')) (export "output-stream" (type $out (eq $out')))
  (export "descriptor" (type $descriptor (sub resource)))
  (export "directory-entry-stream" (type $entries (sub resource)))
  (type $code' (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota"
    "exist" "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io"
    "is-directory" "loop" "too-many-links" "message-size" "name-too-long" "no-device" "no-entry"
    "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
    "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe"
    "read-only" "invalid-seek" "text-file-busy" "cross-device"))
  (export "error-code" (type $code (eq $code')))
  (type $path' (flags "symlink-follow")) (export "path-flags" (type $path (eq $path')))
  (type $open' (flags "create" "directory" "exclusive" "truncate"))
  (export "open-flags" (type $open (eq $open')))
  (type $flags' (flags "read" "write" "file-integrity-sync" "data-integrity-sync"
    "requested-write-sync" "mutate-directory"))
  (export "descriptor-flags" (type $flags (eq $flags')))
  (type $type' (enum "unknown" "block-device" "character-device" "directory" "fifo"
    "symbolic-link" "regular-file" "socket"))
  (export "descriptor-type" (type $type (eq $type')))
  (type $entry' (record (field "type" $type) (field "name" string)))
  (export "directory-entry" (type $entry (eq $entry')))
  (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor))
    (param "path-flags" $path) (param "path" string) (param "open-flags" $open)
    (param "flags" $flags) (result (result (own $descriptor) (error $code)))))
  (export "[method]descriptor.read" (func (param "self" (borrow $descriptor))
    (param "length" u64) (param "offset" u64)
    (result (result (tuple (list u8) bool) (error $code)))))
  (export "[method]descriptor.write" (func (param "self" (borrow $descriptor))
    (param "buffer" (list u8)) (param "offset" u64) (result (result u64 (error $code)))))
  (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $descriptor))
    (param "offset" u64) (result (result (own $in) (error $code)))))
  (export "[method]descriptor.append-via-stream" (func (param "self" (borrow $descriptor))
    (result (result (own $out) (error $code)))))
  (export "[method]descriptor.set-size" (func (param "self" (borrow $descriptor))
    (param "size" u64) (result (result (error $code)))))
  (export "[method]descriptor.get-type" (func (param "self" (borrow $descriptor))
    (result (result $type (error $code)))))
  (export "[method]descriptor.read-directory" (func (param "self" (borrow $descriptor))
    (result (result (own $entries) (error $code)))))
  (export "[method]directory-entry-stream.read-directory-entry" (func
    (param "self" (borrow $entries)) (result (result (option $entry) (error $code)))))
  (export "[method]descriptor.create-directory-at" (func (param "self" (borrow $descriptor))
    (param "path" string) (result (result (error $code)))))
  (export "[method]descriptor.unlink-file-at" (func (param "self" (borrow $descriptor))
    (param "path" string) (result (result (error $code)))))
  (export "[method]descriptor.rename-at" (func (param "self" (borrow $descriptor))
    (param "old-path" string) (param "new-descriptor" (borrow $descriptor))
    (param "new-path" string) (result (result (error $code)))))
  (export "[method]descriptor.symlink-at" (func (param "self" (borrow $descriptor))
    (param "old-path" string) (param "new-path" string) (result (result (error $code)))))))
(alias export $files "descriptor" (type $descriptor-type))
(import "wasi:filesystem/preopens@0.2.3" (instance $preopens
  (alias outer 1 $descriptor-type (type $t)) (export "descriptor" (type $descriptor (eq $t)))
  (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
"""
CODES = ["access", "would-block", "already", "bad-descriptor", "busy", "deadlock", "quota", "exist"]
IS_DIRECTORY, LOOP, NO_ENTRY, NOT_DIRECTORY, UNSUPPORTED, NOT_PERMITTED = 14, 15, 20, 24, 27, 31

# Export, instance, function, its flat parameters ("h" handle, "s" string or bytes, "l" u64, "i"
# u32) and what it gives: "r" through memory, "i" or "l" at once, "" nothing.
CALLS = {
    "stdin": ("stdin", "get-stdin", "", "i"),
    "stdout": ("stdout", "get-stdout", "", "i"),
    "exit": ("exit", "exit", "i", ""),
    "arguments": ("environment", "get-arguments", "", "r"),
    "cwd": ("environment", "initial-cwd", "", "r"),
    "read": ("streams", "[method]input-stream.read", "hl", "r"),
    "skip": ("streams", "[method]input-stream.skip", "hl", "r"),
    "check": ("streams", "[method]output-stream.check-write", "h", "r"),
    "write": ("streams", "[method]output-stream.write", "hs", "r"),
    "zeroes": ("streams", "[method]output-stream.write-zeroes", "hl", "r"),
    "splice": ("streams", "[method]output-stream.splice", "hhl", "r"),
    "subscribe": ("streams", "[method]input-stream.subscribe", "h", "i"),
    "ready": ("poll", "[method]pollable.ready", "h", "i"),
    "block": ("poll", "[method]pollable.block", "h", ""),
    "poll": ("poll", "poll", "p", "r"),
    "debug": ("error", "[method]error.to-debug-string", "h", "r"),
    "now": ("monotonic", "now", "", "l"),
    "timer": ("monotonic", "subscribe-duration", "l", "i"),
    "wall": ("wall", "now", "", "r"),
    "random": ("random", "get-random-bytes", "l", "r"),
    "number": ("random", "get-random-u64", "", "l"),
    "preopens": ("preopens", "get-directories", "", "r"),
    "open": ("files", "[method]descriptor.open-at", "hisii", "r"),
    "pread": ("files", "[method]descriptor.read", "hll", "r"),
    "pwrite": ("files", "[method]descriptor.write", "hsl", "r"),
    "reading": ("files", "[method]descriptor.read-via-stream", "hl", "r"),
    "appending": ("files", "[method]descriptor.append-via-stream", "h", "r"),
    "resize": ("files", "[method]descriptor.set-size", "hl", "r"),
    "type": ("files", "[method]descriptor.get-type", "h", "r"),
    "listing": ("files", "[method]descriptor.read-directory", "h", "r"),
    "entry": ("files", "[method]directory-entry-stream.read-directory-entry", "h", "r"),
    "mkdir": ("files", "[method]descriptor.create-directory-at", "hs", "r"),
    "unlink": ("files", "[method]descriptor.unlink-file-at", "hs", "r"),
    "rename": ("files", "[method]descriptor.rename-at", "hshs", "r"),
    "symlink": ("files", "[method]descriptor.symlink-at", "hss", "r"),
}
DROPS = {"drop-descriptor": "descriptor-type", "drop-stream": "in-type", "drop-out": "out-type"}
LISTS = {"s": "(list u8)", "p": "(list u32)"}
KINDS = {"h": ("i32", "u32"), "i": ("i32", "u32"), "l": ("i64", "u64")}


def wrapped(*imports):
    """Return a component whose exports are the calls of these imports, through one core module."""
    text = "".join(imports)
    calls = {
        name: one
        for name, one in CALLS.items()
        if f"(instance ${one[0]}\n" in text or (f"(instance ${one[0]} " in text)
    }
    drops = {name: one for name, one in DROPS.items() if f"(type ${one}))" in text}
    lowered, exports, core, bodies, lifts = [], [], [], [], []
    for name, (instance, function, parameters, gives) in calls.items():
        lowered.append(
            f'(core func ${name} (canon lower (func ${instance} "{function}")'
            ' (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))'
        )
        exports.append(f'(export "{name}" (func ${name}))')
        flat = [
            kind
            for one in parameters
            for kind in (["i32", "i32"] if one in "sp" else [KINDS[one][0]])
        ]
        through = ["i32"] if gives == "r" else []
        returns = {"i": " (result i32)", "l": " (result i64)"}.get(gives, "")
        core.append(
            f'(import "w" "{name}" (func ${name} (param {" ".join(flat + through)}){returns}))'
        )
        arguments = " ".join(f"(local.get {at})" for at in range(len(flat)))
        if gives == "r":
            body = (
                f"(call ${name} {arguments} (i32.const 8192))"
                " (i32.store (i32.const 8000) (i32.const 0))"
                " (i32.store (i32.const 8004) (i32.const 65536)) (i32.const 8000)"
            )
            result = "(result i32)"
        else:
            body, result = f"(call ${name} {arguments})", returns
        bodies.append(f'(func (export "{name}") (param {" ".join(flat)}) {result} {body})')
        outer = {"r": "(result (list u8))", "i": "(result u32)", "l": "(result u64)"}.get(gives, "")
        inner = " ".join(
            f'(param "p{at}" {LISTS[one] if one in LISTS else KINDS[one][1]})'
            for at, one in enumerate(parameters)
        )
        lifts.append(
            f'(func (export "{name}") {inner} {outer} (canon lift (core func $i "{name}")'
            ' (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))'
        )
    for name, kind in drops.items():
        lowered.append(f"(core func ${name} (canon resource.drop ${kind}))")
        exports.append(f'(export "{name}" (func ${name}))')
        core.append(f'(import "w" "{name}" (func ${name} (param i32)))')
        bodies.append(f'(func (export "{name}") (param i32) (call ${name} (local.get 0)))')
        lifts.append(
            f'(func (export "{name}") (param "p" u32) (canon lift (core func $i "{name}")))'
        )
    # The memory is four pages; what is allocated lies from 70000 on, and begins anew each time it
    # is nearly full, so that tests can make many calls.
    return f"""(component {text}
      (core module $libc (memory (export "memory") 48)
        (global $next (mut i32) (i32.const 70000))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (if (i32.gt_u (global.get $next) (i32.const 1500000))
            (then (global.set $next (i32.const 70000))))
          (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
          (global.set $next (i32.add (local.get $at) (local.get 3))) (local.get $at)))
      (core instance $libc (instantiate $libc))
      {" ".join(lowered)}
      (core instance $w {" ".join(exports)})
      (core module $m (import "libc" "memory" (memory 48)) {" ".join(core)} {" ".join(bodies)}
        (func (export "peek") (param i32 i32) (result i32)
          (i32.store (i32.const 8000) (local.get 0)) (i32.store (i32.const 8004) (local.get 1))
          (i32.const 8000)))
      (core instance $i (instantiate $m (with "libc" (instance $libc)) (with "w" (instance $w))))
      (func (export "peek") (param "at" u32) (param "size" u32) (result (list u8))
        (canon lift (core func $i "peek") (memory (core memory $libc "memory"))))
      {" ".join(lifts)})"""


ALL = text_to_binary(wrapped(IO, CLOCKS, FILES))
PLAIN = text_to_binary(wrapped(IO, FILES))


class Caller:
    """Calls the exports of such a component, and reads what they left in its memory."""

    def __init__(self, guest):
        self.guest = guest

    def __call__(self, name, *arguments):
        given = [one.encode() if isinstance(one, str) else one for one in arguments]
        value = self.guest.call(name, *given)
        return bytes(value)[8192:] if isinstance(value, bytes) else value

    def word(self, data, at=4):
        return struct.unpack_from("<I", data, at)[0]

    def number(self, data, at=8):
        return struct.unpack_from("<Q", data, at)[0]

    def list(self, data, at=4):
        begin, size = struct.unpack_from("<II", data, at)
        return self.guest.call("peek", begin, size) if size else b""

    def ok(self, data):
        assert data[0] == 0, f"error {data[4]}"
        return data

    def code(self, data, at=4):
        """The code of an error; of a result with 64-bit numbers, it lies at 8."""
        assert data[0] == 1, "no error"
        return data[at]


@pytest.fixture
def caller(machine):
    made = []

    def make(wasm, *permissions, on=machine, **options):
        authority = Authority.parse(*permissions)
        guest = on.instantiate_component(on.compile_component(wasm), authority, **options)
        made.append(guest)
        return Caller(guest)

    yield make
    for one in made:
        one.close()


@pytest.fixture
def files(caller, folder):
    def make(*actions, **options):
        permissions = [f"fs:{action}:{folder}/**" for action in actions or ("read", "write")]
        call = caller(PLAIN, *permissions, **options)
        listed = call("preopens")
        begin, count = struct.unpack_from("<II", listed, 0)
        assert count == 1
        (handle,) = struct.unpack("<I", call.guest.call("peek", begin, 4))
        return call, handle

    return make


def opened(call, base, name, how=0, flags=1):
    return call.word(call.ok(call("open", base, 0, name, how, flags)))


CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
READ, WRITE = 1, 2


# --- Streams, arguments, waiting ---


def test_the_streams_are_those_of_the_run(caller):
    call = caller(PLAIN)
    call.guest._session.give(["name", "first"], b"input of the guest", {})
    stdin, stdout = call("stdin"), call("stdout")
    assert call.list(call.ok(call("read", stdin, 5))) == b"input"
    assert call.number(call.ok(call("skip", stdin, 4))) == 4
    assert call.list(call.ok(call("read", stdin, 100))) == b"the guest"
    ended = call("read", stdin, 1)
    assert (ended[0], ended[4]) == (1, 1)  # closed
    assert call.number(call.ok(call("check", stdout))) > 0
    call.ok(call("write", stdout, b"out"))
    call.ok(call("zeroes", stdout, 2))
    assert call.guest.take_output()[0] == b"out\0\0"
    assert call("cwd")[0] == 0


def test_bytes_go_from_stream_to_stream(caller):
    call = caller(PLAIN)
    call.guest._session.give([], b"hello", {})
    assert call.number(call.ok(call("splice", call("stdout"), call("stdin"), 4))) == 4
    assert call.guest.take_output()[0] == b"hell"


def test_exit_ends_a_program_with_its_status(caller):
    for flag, status in ((0, 0), (1, 1)):
        call = caller(text_to_binary(wrapped(IO)))
        with pytest.raises(GuestExitError) as exited:
            call("exit", flag)
        assert exited.value.status == status


def test_output_has_its_quota(caller):
    call = caller(PLAIN, limits=Limits(output_bytes=10))
    with pytest.raises(QuotaError):
        call("write", call("stdout"), b"x" * 11)
    call = caller(PLAIN)
    with pytest.raises(QuotaError):
        call("zeroes", call("stdout"), 1 << 40)


def test_timers_are_waited_for_and_deadlines_hold(caller):
    grants = ("clock:read:time", "random:read:bytes")
    call = caller(ALL, *grants)
    first = call("now")
    call("block", call("timer", 5_000_000))
    assert call("now") - first >= 5_000_000
    far, stdin = call("timer", 3600 * 10**9), call("subscribe", call("stdin"))
    assert (call("ready", far), call("ready", stdin)) == (0, 1)
    call.guest.call("poll", [far, stdin])
    assert call.number(call("wall"), 0) > 1_700_000_000
    with pytest.raises(DeadlineError):
        call.guest.call("block", far, deadline_seconds=0.05)


def test_clocks_and_randomness_are_granted_or_not_linked(caller):
    with pytest.raises(ImportRefusedError) as refused:
        caller(ALL)
    assert refused.value.details["missing"] == ["clock:read:time", "random:read:bytes"]
    call = caller(ALL, "clock:read:time", "random:read:bytes")
    assert len(call.list(call("random", 16), 0)) == 16
    assert call("number") != call("number")
    with pytest.raises(QuotaError):
        call("random", 1 << 40)


def test_a_deterministic_machine_has_a_made_up_clock_and_random_bytes_of_its_seed(
    caller, deterministic
):
    def run(seed):
        call = caller(ALL, "clock:read:time", "random:read:bytes", on=deterministic, seed=seed)
        call("block", call("timer", 10**18))  # Waits for nothing.
        return call("now"), call("number"), call("wall")[:12], call.guest.fuel_used

    assert run(b"a") == run(b"a")
    assert run(b"a")[1] != run(b"b")[1]


# --- Handles ---


@pytest.mark.parametrize("handle", [0, 1, 77, 0xFFFF_FFFF])
def test_a_handle_that_was_never_given_is_a_trap(caller, handle):
    call = caller(PLAIN)
    with pytest.raises(GuestTrapError):
        call("read", handle, 1)


def test_a_handle_of_another_kind_or_that_was_dropped_is_a_trap(caller):
    call = caller(PLAIN)
    with pytest.raises(GuestTrapError):
        call("read", call("stdout"), 1)
    call = caller(PLAIN)
    stdin = call("stdin")
    call("drop-stream", stdin)
    with pytest.raises(GuestTrapError):
        call("read", stdin, 1)


def test_a_guest_holds_only_so_many(caller):
    call = caller(PLAIN, limits=Limits(open_files=10))
    for _ in range(30):
        call("drop-stream", call("stdin"))
    for _ in range(10):
        call("stdin")
    with pytest.raises(QuotaError):
        call("stdin")


# --- Files ---


def test_without_a_grant_there_is_no_directory(caller):
    call = caller(PLAIN)
    assert struct.unpack_from("<I", call("preopens"), 4) == (0,)


def test_files_are_read_and_written(files, folder):
    call, base = files()
    file = opened(call, base, "a.txt")
    data = call.ok(call("pread", file, 100, 1))
    assert (call.list(data), data[12]) == (b"ello", 1)
    made = opened(call, base, "new.txt", CREATE, READ | WRITE)
    assert call.number(call.ok(call("pwrite", made, b"abc", 0))) == 3
    stream = call.word(call.ok(call("appending", made)))
    call.ok(call("write", stream, b"def"))
    call.ok(call("write", stream, b"g"))
    assert (folder / "new.txt").read_bytes() == b"abcdefg"
    call.ok(call("resize", made, 4))
    reading = call.word(call.ok(call("reading", made, 1)))
    call("drop-descriptor", made)
    # The stream has a descriptor of its own, so the number that became free means nothing to it.
    opened(call, base, "a.txt")
    assert call.list(call.ok(call("read", reading, 100))) == b"bcd"
    ended = call("read", reading, 1)
    assert (ended[0], ended[4]) == (1, 1)


def test_what_is_not_granted_is_refused_at_each_use(files, folder):
    call, base = files("read")
    (folder / "sub").mkdir()
    file = opened(call, base, "a.txt")
    assert call.code(call("pwrite", file, b"x", 0), 8) == CODES.index("bad-descriptor")
    for answer in (
        call("open", base, 0, "a.txt", 0, WRITE),
        call("open", base, 0, "new", CREATE, READ),
        call("open", base, 0, "a.txt", TRUNCATE, READ),
    ):
        assert call.code(answer) == NOT_PERMITTED
    for answer in (
        call("unlink", base, "a.txt"),
        call("mkdir", base, "made"),
        call("rename", base, "a.txt", base, "b.txt"),
        call("symlink", base, "a.txt", "link"),
    ):
        assert answer[0] == 1
        assert answer[1] == NOT_PERMITTED
    assert sorted(one.name for one in folder.iterdir()) == ["a.txt", "sub"]
    assert any("fs:write" in one for one in call.guest.denied)


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.txt", "/etc/passwd", "sub/../../secret.txt", "link", "up/secret.txt", ""),
        *("a.txt\0", "a//b", "./../secret.txt", "pipe", "twice", "a" * 5_000),
    ],
)
def test_there_is_no_way_out(files, folder, name):
    (folder / "link").symlink_to("../secret.txt")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    os.link(folder.parent / "secret.txt", folder / "twice")
    (folder / "sub").mkdir()
    call, base = files()
    for how, flags in ((0, READ), (CREATE, READ | WRITE), (TRUNCATE, WRITE)):
        assert call("open", base, 0, name.encode(), how, flags)[0] == 1
        assert call("open", base, 1, name.encode(), how, flags)[0] == 1  # with symlink-follow
    assert (folder.parent / "secret.txt").read_text() == "secret"


def test_directories_are_listed_made_and_left(files, folder):
    call, base = files()
    (folder / "link").symlink_to("../secret.txt")
    assert call("mkdir", base, "made")[0] == 0
    listing = call.word(call.ok(call("listing", base)))
    seen = []
    while True:
        data = call.ok(call("entry", listing))
        if not data[4]:
            break
        seen.append((data[8], call.list(data, 12)))
    assert seen == [(6, b"a.txt"), (5, b"link"), (3, b"made")]
    inner = opened(call, base, "made", DIRECTORY)
    assert call.ok(call("type", inner))[1] == 3
    opened(call, inner, "deep.txt", CREATE | EXCLUSIVE, WRITE)
    assert call.code(call("open", inner, 0, "deep.txt", CREATE | EXCLUSIVE, WRITE)) == (
        CODES.index("exist")
    )
    assert call("rename", inner, "deep.txt", base, "b.txt")[0] == 0
    assert call("rename", base, "made", base, "moved")[1] == UNSUPPORTED
    assert call("unlink", base, "b.txt")[0] == 0
    assert call.code(call("open", base, 0, "b.txt", 0, READ)) == NO_ENTRY


def test_descriptors_are_given_back(files):
    def held():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    call, base = files(limits=Limits(open_files=12))
    _repeat(call, "open", base, 0, "a.txt", 0, READ)
    call.guest.close()
    assert held() == before
    call, base = files(limits=Limits(open_files=3))
    _repeat(call, "preopens")
    call.guest.close()
    assert held() == before


def _repeat(call, name, *arguments):
    """Call until the guest holds too much."""
    for _ in range(100):
        try:
            call(name, *arguments)
        except QuotaError:
            return
    pytest.fail("The guest was never ended.")


def test_host_calls_cost_fuel(caller):
    call = caller(PLAIN)
    with pytest.raises(OutOfFuelError):
        call.guest.call("stdin", fuel=100)
