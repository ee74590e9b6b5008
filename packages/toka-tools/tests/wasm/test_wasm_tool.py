"""Guests as tools: what a call needs, what its guest can do, and how it ends."""

import json
import threading
from base64 import b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer

import anyio
import pytest

from toka.capability.core import PermissionSet
from toka.cvm import Machine, MemoryKeyValue, ModuleLimits, text_to_binary
from toka.tools import (
    AccessDeniedError,
    AddressDeniedError,
    InvalidArgumentsError,
    InvalidManifestError,
    InvalidToolError,
    PathDeniedError,
    ToolContext,
    ToolRegistry,
    ToolTimeoutError,
    Workspace,
    load_tool,
)
from toka.tools.manifests._load import read_tool
from toka.tools.wasm import (
    GuestFailedError,
    WasmTool,
    load_wasm_tool,
    parse_wasm_manifest,
)

pytestmark = pytest.mark.anyio

ECHO = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $output (i32.const 0) (call $input (i32.const 0) (i32.const 65536)))))"""

# Opens the name at 16 in each of its directories and says in JSON what it read, or the errno.
READER = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "%(name)s")
  (data (i32.const 100) "\\22")
  (data (i32.const 110) "denied")
  (data (i32.const 200) "\\00\\02\\00\\00\\40\\00\\00\\00")
  (func (export "_start")
    (call $output (i32.const 100) (i32.const 1))
    (if (call $open (i32.const %(handle)d) (i32.const 0) (i32.const 16) (i32.const %(size)d)
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 300))
      (then (call $output (i32.const 110) (i32.const 6)))
      (else
        (drop (call $read (i32.load (i32.const 300)) (i32.const 200) (i32.const 1) (i32.const 304)))
        (call $output (i32.const 512) (i32.load (i32.const 304)))))
    (call $output (i32.const 100) (i32.const 1))))"""

LOOP = '(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))'
KV = """(module
  (import "toka" "kv_put" (func $put (param i32 i32 i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "notes/a")
  (func (export "_start")
    (i32.store8 (i32.const 50)
      (i32.sub (i32.const 48) (call $put (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 5))))
    (call $output (i32.const 50) (i32.const 1))))"""


def reader(name, handle=3):
    return READER % {"name": name, "size": len(name), "handle": handle}


def manifest(text, **changes):
    wasm = text_to_binary(text)
    facts = {
        "wasm_tool": 1,
        "name": "guest",
        "description": "A guest.",
        "module": "guest.wasm",
        "sha256": sha256(wasm).hexdigest(),
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        "side_effect": "read_only",
        **changes,
    }
    return json.dumps(facts), wasm


def made(text, *, key_value=None, machine=None, **changes):
    source, wasm = manifest(text, **changes)
    return WasmTool(parse_wasm_manifest(source), wasm, key_value=key_value, machine=machine)


@pytest.fixture
def workspace(tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.txt").write_text("alpha")
    (root / "b.txt").write_text("beta")
    (tmp_path / "secret.txt").write_text("secret")
    return Workspace(root.resolve())


@pytest.fixture
def call(workspace):
    async def run(tool, arguments, *permissions, **options):
        context = ToolContext(
            options.pop("workspace", workspace), PermissionSet.parse(permissions), **options
        )
        return await ToolRegistry.of([tool]).call(tool.name, arguments, context)

    return run


async def test_a_guest_is_given_the_arguments_and_gives_back_json(call):
    result = await call(made(ECHO), {"path": "x", "more": [1, 2.5, None]})
    assert result.value == {"path": "x", "more": [1, 2.5, None]}


async def test_a_manifest_and_its_module_are_loaded_from_files(call, tmp_path):
    source, wasm = manifest(ECHO)
    (tmp_path / "tool.json").write_text(source)
    (tmp_path / "guest.wasm").write_bytes(wasm)
    tool = load_wasm_tool(tmp_path / "tool.json")
    assert (await call(tool, {"path": "x"})).value == {"path": "x"}
    assert tool.version == f"1+{sha256(wasm).hexdigest()[:12]}"


async def test_a_changed_module_is_refused(tmp_path):
    source, wasm = manifest(ECHO)
    (tmp_path / "tool.json").write_text(source)
    (tmp_path / "guest.wasm").write_bytes(wasm + b"\0\1\0")
    with pytest.raises(InvalidManifestError, match="not the one") as refused:
        load_wasm_tool(tmp_path / "tool.json")
    assert refused.value.details["found"] == sha256(wasm + b"\0\1\0").hexdigest()


async def test_what_a_call_needs_comes_from_its_arguments(workspace):
    tool = made(
        reader("a.txt"),
        permissions=["fs:read:{path}", "net:get:{url}", "kv:read:notes/{keys}", "log:write:guest"],
        parameters={
            "type": "object",
            "properties": {"path": {}, "url": {}, "keys": {"type": "array"}},
        },
    )
    root = workspace.root
    (root / "link").symlink_to(root / "a.txt")
    assert tool.requests({"path": "link", "keys": ["a", "b*"]}, workspace) == (
        f"fs:read:{root}/a.txt",
        "kv:read:notes/a",
        "kv:read:notes/b%2A",
        "log:write:guest",
    )
    assert tool.requests({"url": "HTTP://Example.com:80/a?b=c"}, workspace) == (
        "net:get:http://example.com/a",
        "log:write:guest",
    )
    assert tool.actions == ("fs:read", "kv:read", "log:write", "net:get")


async def test_a_guest_reads_what_its_call_names_and_nothing_else(call, workspace):
    granted = f"fs:read:{workspace.root}/**"
    for name in ("a.txt", "b.txt"):
        tool = made(reader(name), permissions=["fs:read:{path}"])
        result = await call(tool, {"path": "a.txt"}, granted)
        assert result.value == ("alpha" if name == "a.txt" else "denied")


async def test_a_call_that_is_not_granted_does_not_start(call, workspace):
    tool = made(reader("a.txt"), permissions=["fs:read:{path}"])
    with pytest.raises(AccessDeniedError, match=r"a\.txt"):
        await call(tool, {"path": "a.txt"}, f"fs:read:{workspace.root}/b.txt")
    context = ToolContext(workspace, PermissionSet())
    with pytest.raises(AccessDeniedError):  # Asked again without the registry, too.
        await tool.call({"path": "a.txt"}, context)


async def test_beneath_a_directory_each_use_is_asked_of_the_grant(call, workspace):
    root = workspace.root
    tools = {
        name: made(reader(name), permissions=["fs:read:{path}/**"]) for name in ("a.txt", "b.txt")
    }
    granted = (f"fs:read:{root}", f"fs:read:{root}/a.txt")
    assert (await call(tools["a.txt"], {"path": "."}, *granted, f"fs:read:{root}/**")).value
    values = [
        (await call(tool, {"path": "."}, *granted)).value
        # The first of two preopened directories is the one above.
        for tool in (
            made(reader(name, handle), permissions=["fs:read:{path}/**"])
            for name in ("a.txt", "b.txt")
            for handle in (3, 4)
        )
    ]
    assert "alpha" in values
    assert "beta" not in values


async def test_protected_places_are_not_touched(call, workspace):
    root = workspace.root
    guarded = Workspace(root, protected=(root / "a.txt",))
    tool = made(reader("a.txt", 4), permissions=["fs:read:{path}/**"])
    granted = (f"fs:read:{root}", f"fs:read:{root}/**")
    assert (await call(tool, {"path": "."}, *granted)).value == "alpha"
    assert (await call(tool, {"path": "."}, *granted, workspace=guarded)).value == "denied"
    exact = made(reader("a.txt"), permissions=["fs:read:{path}"])
    with pytest.raises(PathDeniedError):
        await call(exact, {"path": "a.txt"}, *granted, workspace=guarded)


async def test_a_link_that_is_swapped_in_leads_nowhere(workspace, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("stolen")
    inner = workspace.root / "inner"
    inner.mkdir()
    (inner / "a.txt").write_text("mine")
    tool = made(reader("a.txt"), permissions=["fs:read:{path}"])

    class Swapping(PermissionSet):
        """Swaps the directory after the path was resolved, as an attacker would."""

        def covers(self, item):
            if not inner.is_symlink():
                inner.rename(tmp_path / "gone")
                inner.symlink_to(outside)
            return super().covers(item)

    granted = Swapping(PermissionSet.parse([f"fs:read:{workspace.root}/**"]).permissions)
    result = await tool.call({"path": "inner/a.txt"}, ToolContext(workspace, granted))
    assert result.value == "denied"
    assert inner.is_symlink()


async def test_a_grant_that_is_taken_back_ends_the_guest(workspace):
    class Fading(PermissionSet):
        asked = 0

        def covers(self, item):
            type(self).asked += 1
            return super().covers(item) if type(self).asked < 2 else None

    granted = Fading(PermissionSet.parse([f"fs:read:{workspace.root}/**"]).permissions)
    tool = made(reader("a.txt"), permissions=["fs:read:{path}"])
    with pytest.raises(AccessDeniedError) as refused:
        await tool.call({"path": "a.txt"}, ToolContext(workspace, granted))
    assert refused.value.details["code"] == "tools.access_denied"
    assert "no longer holds" in str(refused.value)


async def test_keys_and_values_are_those_of_the_call(call):
    store = MemoryKeyValue()
    parameters = {"type": "object", "properties": {"key": {"type": "string"}}}
    tool = made(KV, permissions=["kv:write:notes/{key}"], parameters=parameters, key_value=store)
    assert (await call(tool, {"key": "a"}, "kv:write:**")).value == 0
    assert store.get("notes/a") == b"notes"
    assert (await call(tool, {"key": "b"}, "kv:write:**")).value == 2
    unserved = made(KV, permissions=["kv:write:notes/{key}"], parameters=parameters)
    with pytest.raises(AccessDeniedError, match="kv_put"):
        await call(unserved, {"key": "a"}, "kv:write:**")


async def test_an_import_that_no_call_is_granted_is_found_when_the_tool_is_made():
    with pytest.raises(InvalidManifestError, match="path_open") as refused:
        made(reader("a.txt"))
    assert "fs:read:/directory/**" in refused.value.hint


async def test_an_endless_guest_ends(call):
    with pytest.raises(GuestFailedError) as failed:
        await call(made(LOOP, limits={"fuel": 100_000}), {})
    assert failed.value.details["code"] == "cvm.out_of_fuel"
    with pytest.raises(ToolTimeoutError):
        await call(made(LOOP, limits={"fuel": 1 << 60}), {}, timeout_ns=30_000_000)


async def test_a_cancelled_call_ends_its_guest(call):
    tool = made(LOOP, limits={"fuel": 1 << 60, "deadline_seconds": 600})
    with anyio.move_on_after(0.1) as scope:
        await call(tool, {}, timeout_ns=10**12)
    assert scope.cancelled_caught


async def test_too_much_output_is_an_error_and_not_a_cut_value(call):
    with pytest.raises(GuestFailedError) as failed:
        await call(made(ECHO), {"path": "x" * 1_000}, output_limit_bytes=100)
    assert failed.value.details["code"] == "cvm.quota"


EXIT = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 3))))"""
SILENT = '(module (memory (export "memory") 1) (func (export "_start")))'
DEEP = """(module (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1) (data (i32.const 0) "[")
  (func (export "_start") (local $n i32)
    (loop $l (call $output (i32.const 0) (i32.const 1))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
        (i32.const 5000))))))"""


@pytest.mark.parametrize("text", [EXIT, SILENT, DEEP])
async def test_a_guest_without_a_result_has_failed(call, text):
    with pytest.raises(GuestFailedError) as failed:
        await call(made(text), {})
    assert failed.value.details["status"] == (3 if text is EXIT else 0)


async def test_text_is_a_result_where_the_manifest_says_so(call):
    assert (await call(made(ECHO, output="text"), {"path": "x"})).value == '{"path":"x"}'


async def test_the_idempotency_key_is_a_variable_of_the_guest(call):
    tool = made(
        """(module
      (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
      (import "toka" "output" (func $output (param i32 i32)))
      (memory (export "memory") 1)
      (func (export "_start") (drop (call $get (i32.const 0) (i32.const 100)))
        (call $output (i32.const 100) (i32.const 26))))""",
        output="text",
    )
    result = await call(tool, {}, idempotency_key="step1")
    assert result.value == "TOKA_IDEMPOTENCY_KEY=step1"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"path": "../../etc/passwd\0"}, PathDeniedError),
        ({"path": ""}, PathDeniedError),
        ({"path": "/proc/self/environ"}, PathDeniedError),
        ({"path": {"a": 1}}, InvalidArgumentsError),
        ({"url": "http://user:pw@example.com/"}, AddressDeniedError),
        ({"key": "../x"}, AccessDeniedError),
        ({"key": ""}, AccessDeniedError),
    ],
)
async def test_what_can_never_be_granted_is_refused_before_anything_runs(call, arguments, error):
    tool = made(
        ECHO,
        permissions=["fs:read:{path}", "net:get:{url}", "kv:read:{key}"],
        parameters={"type": "object", "properties": {"path": {}, "url": {}, "key": {}}},
    )
    with pytest.raises(error):
        await call(tool, arguments, "fs:read:/**", "kv:read:**")


@pytest.mark.parametrize(
    "changes",
    [
        {"permissions": ["fs:read:{other}"]},
        {"permissions": ["fs:read:{path}.txt"]},
        {"permissions": ["fs:read:/data/{path}"]},
        {"permissions": ["net:get:https://{path}/"]},
        {"permissions": ["kv:read:**"]},
        {"permissions": ["kv:read:{path"]},
        {"permissions": ["nonsense"]},
        {"permissions": ["{path}:read:x"]},
        {"parameters": {"type": "string"}},
        {"parameters": {"type": "object", "properties": 5}},
        {"module": "../guest.wasm"},
        {"module": "/guest.wasm"},
        {"name": "No Name"},
        {"sha256": "00"},
        {"side_effect": "some"},
        {"wasm_tool": 2},
        {"unknown": 1},
        {"limits": {"fuel": 0}},
    ],
)
async def test_a_manifest_that_is_not_in_the_format_is_refused(changes):
    source, _ = manifest(ECHO, **changes)
    with pytest.raises(InvalidManifestError):
        parse_wasm_manifest(source)


@pytest.mark.parametrize("source", [b"", b"\xff", "[" * 5_000, "{}", "x" * 300_000])
async def test_what_is_no_manifest_is_refused(source):
    with pytest.raises(InvalidManifestError):
        parse_wasm_manifest(source)


async def test_bytes_that_are_no_module_are_refused():
    source, _ = manifest(ECHO, sha256=sha256(b"\0asm").hexdigest())
    with pytest.raises(InvalidToolError):
        WasmTool(parse_wasm_manifest(source), b"\0asm")


async def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InvalidManifestError, match="cannot be read"):
        load_wasm_tool(tmp_path / "tool.json")


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format, *_):  # noqa: A002 - as the base has it
        """Print nothing."""


@pytest.fixture
def origin():
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def asks(url):
    request = json.dumps({"method": "GET", "url": url}).replace('"', "\\22")
    size = len(json.dumps({"method": "GET", "url": url}))
    return f"""(module
      (import "toka" "http" (func $http (param i32 i32) (result i32)))
      (import "toka" "reply" (func $reply (param i32 i32) (result i32)))
      (import "toka" "output" (func $output (param i32 i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "{request}")
      (func (export "_start") (local $size i32)
        (local.set $size (call $http (i32.const 0) (i32.const {size})))
        (if (i32.lt_s (local.get $size) (i32.const 0))
          (then
            (i32.store8 (i32.const 900) (i32.sub (i32.const 48) (local.get $size)))
            (call $output (i32.const 900) (i32.const 1)))
          (else
            (drop (call $reply (i32.const 1000) (local.get $size)))
            (call $output (i32.const 1000) (local.get $size))))))"""


async def test_a_guest_reaches_the_url_of_its_call_through_the_checked_client(call, origin):
    url = f"{origin}/a"
    parameters = {"type": "object", "properties": {"url": {"type": "string"}}}
    tool = made(asks(url), permissions=["net:get:{url}"], parameters=parameters)
    reply = (await call(tool, {"url": url}, f"net:get:{origin}/**")).value
    assert reply["status"] == 200
    assert reply["body"] == b64encode(b"hello").decode()
    denied, failed = 2, 4
    assert (await call(tool, {"url": f"{origin}/b"}, f"net:get:{origin}/**")).value == denied
    # A private address that no grant names is refused by the client.
    assert (await call(tool, {"url": url}, "net:get:**")).value == failed


COMPONENT = """(component
  (import "toka:host/calls@0.1.0" (instance $host
    (export "input" (func (param "size" u32) (result (list u8))))
    (export "output" (func (param "data" (list u8))))))
  (core module $libc (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $in (canon lower (func $host "input")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $out (canon lower (func $host "output") (memory (core memory $libc "memory"))))
  (core module $m (import "w" "in" (func $in (param i32 i32)))
    (import "w" "out" (func $out (param i32 i32))) (import "libc" "memory" (memory 2))
    (func (export "run") (result i32)
      (call $in (i32.const 60000) (i32.const 16))
      (call $out (i32.load (i32.const 16)) (i32.load (i32.const 20))) (i32.const 0)))
  (core instance $i (instantiate $m (with "libc" (instance $libc))
    (with "w" (instance (export "in" (func $in)) (export "out" (func $out))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $program (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $program)))"""


async def test_a_component_is_a_tool_too(call):
    assert (await call(made(COMPONENT), {"path": "x"})).value == {"path": "x"}


async def test_one_machine_may_be_given(call):
    assert (await call(made(ECHO, machine=Machine()), {"path": "x"})).value == {"path": "x"}


@pytest.fixture
def named(tmp_path):
    """Return the path of a JSON manifest of version 1.1 that names a guest beside it."""
    facts = {
        "id": "guest-1",
        "name": "guest",
        "version": "1.0",
        "description": "Give it back.",
        "capability": "echo",
        "side_effect": "none",
        "input_schema": {"type": "object"},
        "transports": [{"type": "wasm", "path": "guest.wasm"}],
        "manifest_version": "1.1",
    }
    path = tmp_path / "guest.json"
    path.write_text(json.dumps(facts))
    return path


def test_a_manifest_is_read_once(tmp_path):
    source, wasm = manifest(ECHO)
    path = tmp_path / "echo.json"
    (tmp_path / json.loads(source)["module"]).write_bytes(wasm)
    path.write_text(json.dumps({**json.loads(source), "name": "another"}))
    # Whoever replaces the file after it was looked at is too late.
    assert read_tool(path, source.encode(), None).name == json.loads(source)["name"]


async def test_a_guest_may_be_named_by_a_json_manifest(named, call):
    named.with_suffix(".wasm").write_bytes(text_to_binary(ECHO))
    assert (await call(load_tool(named), {"path": "x"})).value == {"path": "x"}


def test_a_module_of_any_size_is_not_read(named):
    with named.with_suffix(".wasm").open("wb") as file:
        file.truncate(ModuleLimits().module_bytes + 1)
    with pytest.raises(InvalidManifestError, match="longer"):
        load_tool(named)
