"""`toka cvm`: guests under a token that is made for the one command."""

import http.server
import io
import json
import threading

import pytest

from toka.cvm import text_to_binary

ECHO = """(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1000))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""

OPEN = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "a.txt")
  (func (export "_start") (call $exit
    (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 0)
      (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 16)))))"""

LOOP = '(module (func (export "_start") (loop (br 0))))'

GET = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "http" (func $http (param i32 i32) (result i32)))
  (import "toka" "reply" (func $reply (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $http (i32.const 0) (call $input (i32.const 0) (i32.const 1000))))
    (call $output (i32.const 2000) (call $reply (i32.const 2000) (i32.const 9000)))))"""


@pytest.fixture
def module(tmp_path):
    def write(text):
        path = tmp_path / "guest.wat"
        path.write_text(text)
        return path

    return write


def test_runs_a_program_on_its_input(toka, module, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello")))
    result = toka("cvm", "run", module(ECHO), "--input", "-", "--json")
    assert result.status == 0, result.err
    assert result.json["output"] == "hello"
    assert result.json["fuel_used"] > 0


def test_what_is_not_granted_is_refused_and_named(toka, module, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    result = toka("cvm", "run", module(OPEN))
    assert result.status == 5
    assert "wasi_snapshot_preview1.path_open is not granted" in result.err
    assert "fs:read:" in result.err
    assert toka("cvm", "run", module(OPEN), "--grant", f"fs:read:{tmp_path}/**").status == 0


def test_a_file_beside_the_granted_one_is_denied_and_said(toka, module, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    result = toka("cvm", "run", module(OPEN), "--grant", f"fs:read:{tmp_path}/b.txt")
    assert result.status == 1
    assert f"not granted: fs:read:{tmp_path}/a.txt" in result.err
    assert "status 76" in result.err


def test_fuel_and_time_end_a_guest(toka, module):
    out_of_fuel = toka("cvm", "run", module(LOOP), "--fuel", "1000")
    assert (out_of_fuel.status, "cvm.out_of_fuel" in out_of_fuel.err) == (1, True)
    late = toka("cvm", "run", module(LOOP), "--deadline", "20ms", "--fuel", str(2**40))
    assert (late.status, "cvm.deadline" in late.err) == (1, True)


def test_requests_go_through_the_checks_of_the_tool(toka, module, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/x"
        (tmp_path / "request").write_text(f'{{"method": "GET", "url": "{url}"}}')
        run = ("cvm", "run", module(GET), "--input", tmp_path / "request", "--json", "--grant")
        answered = toka(*run, f"net:get:http://127.0.0.1:{server.server_port}/**")
        assert '"status":200' in answered.json["output"]
        # The pattern of a whole address range names no host: the address is not public.
        wide = toka(*run, "net:get:http://**")
        assert "200" not in wide.json["output"]
        other = toka(*run, "net:get:http://127.0.0.1:1/**")
        assert other.json["denied"] == [f"net:get:{url}"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format, *_):  # noqa: A002 - the name of the base
        pass


def test_inspect_says_what_a_module_needs(toka, module):
    result = toka("cvm", "inspect", module(OPEN), "--json")
    assert result.json["exports"] == ["_start"]
    assert result.json["needs"] == ["fs:read:/directory/**"]
    text = toka("cvm", "inspect", module(OPEN)).out
    assert "imports  wasi_snapshot_preview1.path_open  needs fs:read:/directory/**" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("--env", "NOVALUE"),
        ("--grant", "nonsense"),
        ("--seed", "x"),
        ("--input", "missing"),
        ("--export", "nothing"),
        ("--deadline", "soon"),
    ],
)
def test_wrong_use_is_said(toka, module, arguments):
    result = toka("cvm", "run", module(LOOP), *arguments)
    assert result.status in {1, 2}, result.err
    assert "toka:" in result.err
    assert "Traceback" not in result.err


def test_what_is_no_module_is_said(toka, tmp_path):
    (tmp_path / "x.wasm").write_bytes(b"not wasm")
    result = toka("cvm", "run", tmp_path / "x.wasm")
    assert (result.status, "cvm.invalid_module" in result.err) == (2, True)


TOOL = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $output (i32.const 0) (call $input (i32.const 0) (i32.const 65536)))))"""


@pytest.fixture
def manifest(toka, tmp_path):
    (tmp_path / "echo.wasm").write_bytes(text_to_binary(TOOL))
    facts = {
        "wasm_tool": 1,
        "name": "echo",
        "description": "Give back what it is given.",
        "module": "echo.wasm",
        "sha256": toka("cvm", "inspect", tmp_path / "echo.wasm", "--json").json["sha256"],
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        "permissions": ["fs:read:{path}"],
        "side_effect": "read_only",
    }
    path = tmp_path / "echo.json"
    path.write_text(json.dumps(facts))
    return path


def test_a_tool_that_is_a_guest_is_called_under_its_permissions(toka, manifest, tmp_path):
    path = str(tmp_path / "a.txt")
    arguments = json.dumps({"path": path})
    allowed = f"fs:read:{tmp_path}/**"
    result = toka("cvm", "call", manifest, "--args", arguments, "--allow", allowed)
    assert result.status == 0, result.err
    assert result.json == {"path": path}
    refused = toka("cvm", "call", manifest, "--args", arguments)
    assert refused.status == 5
    assert f"fs:read:{path}" in refused.err


def test_a_tool_whose_module_changed_is_not_called(toka, manifest, tmp_path):
    (tmp_path / "echo.wasm").write_bytes(text_to_binary(LOOP))
    result = toka("cvm", "call", manifest)
    assert result.status != 0
    assert "not the one that its manifest pins" in result.err


PROGRAM = """(component
  (import "toka:host/calls@0.1.0" (instance $host
    (export "output" (func (param "data" (list u8))))
    (export "clock" (func (result u64)))))
  (core module $libc (memory (export "memory") 1) (data (i32.const 0) "hello"))
  (core instance $libc (instantiate $libc))
  (core func $out (canon lower (func $host "output") (memory (core memory $libc "memory"))))
  (core func $clock (canon lower (func $host "clock")))
  (core module $m (import "w" "out" (func $out (param i32 i32)))
    (import "w" "clock" (func $clock (result i64)))
    (func (export "run") (result i32) (drop (call $clock))
      (call $out (i32.const 0) (i32.const 5)) (i32.const 1)))
  (core instance $i (instantiate $m
    (with "w" (instance (export "out" (func $out)) (export "clock" (func $clock))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $program (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $program)))"""


def test_a_component_is_run_and_looked_at(toka, module):
    looked = toka("cvm", "inspect", module(PROGRAM), "--json").json
    assert looked["exports"] == ["wasi:cli/run@0.2.3#run"]
    assert looked["needs"] == ["clock:read:time"]
    assert "toka:host/calls@0.1.0.output" in looked["imports"]
    refused = toka("cvm", "run", module(PROGRAM))
    assert refused.status == 5
    assert "clock:read:time" in refused.err
    result = toka("cvm", "run", module(PROGRAM), "--grant", "clock:read:time", "--json")
    assert (result.status, result.json["status"]) == (1, 1)
    assert result.json["output"] == "hello"
