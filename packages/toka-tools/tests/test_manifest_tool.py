"""Manifests as tools: the originals run, in a sandbox that keeps what they say."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import (
    AccessDeniedError,
    FileMissingError,
    InvalidArgumentsError,
    InvalidManifestError,
    RemoteToolError,
    SandboxUnavailableError,
    ToolRegistry,
    ToolTimeoutError,
    load_tool,
)
from toka.tools.manifests import (
    JsonManifestTool,
    ManifestTool,
    check_manifest,
    parse_json_manifest,
)
from toka.tools.manifests._places import fixed_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolContext
    from toka.types import Json, JsonObject

pytestmark = pytest.mark.anyio
linux = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

ORIGINALS = Path(__file__).parents[4] / "shared" / "data" / "original" / "manifests"

REPORT = """
import json, os, sys
def tried(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"
print(json.dumps({
    "argv": sys.argv[1:],
    "stdin": json.load(sys.stdin),
    "reads": tried(lambda: open("docs/a.md").read()),
    "reads_other": tried(lambda: open("secret.txt").read()),
    "writes": tried(lambda: open("out/new.txt", "w").write("x")),
    "writes_docs": tried(lambda: open("docs/new.md", "w").write("x")),
    "environment": sorted(os.environ),
}))
"""

MANIFEST = """
metadata: {name: doc-report, version: "1.2", description: Report., created: "2025-07-06"}
spec:
  executable: {type: python, path: scripts/report.py}
  capabilities: {required: [filesystem-read, filesystem-write]}
  security:
    level: high
    sandbox:
      memory_limit: 256MB
      timeout: 20s
      readonly_paths: ["docs/**/*.md"]
      writable_paths: [out]
  parameters:
    - {name: mode, type: enum, values: [a, b], default: a}
    - {name: count, type: integer}
    - {name: verbose, type: boolean, default: true}
    - {name: quiet, type: boolean, default: false}
    - {name: file_patterns, type: array}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "tools"
    (home / "scripts").mkdir(parents=True)
    (home / "manifests").mkdir()
    (home / "scripts" / "report.py").write_text(REPORT)
    (home / "manifests" / "report.yaml").write_text(MANIFEST)
    return home


@pytest.fixture
def work(workspace) -> Path:
    (workspace.root / "docs").mkdir()
    (workspace.root / "docs" / "a.md").write_text("hello")
    (workspace.root / "secret.txt").write_text("secret")
    return workspace.root


@pytest.fixture
def call(home: Path, work: Path, context_for: Callable[..., ToolContext]):
    async def run(*permissions: str, **arguments: Json) -> Mapping[str, Json]:
        registry = ToolRegistry.of([load_tool(home / "manifests" / "report.yaml")])
        granted = permissions or (f"proc:run:{home}/**", f"fs:*:{work}/**")
        result = await registry.call("doc_report", arguments, context_for(*granted))
        return cast("Mapping[str, Json]", result.value)

    return run


@linux
async def test_the_program_gets_options_and_its_arguments_as_json(call) -> None:
    value = await call(mode="b", count=3, verbose=False, file_patterns=["--x", "y z"])
    output = value["output"]
    assert output["argv"] == [
        "--mode=b",
        "--count=3",
        "--no-verbose",
        "--file-patterns=--x",
        "--file-patterns=y z",
    ]
    assert output["stdin"]["file_patterns"] == ["--x", "y z"]
    assert value["sandbox"] == "landlock"
    plain = (await call())["output"]
    assert plain["argv"] == ["--mode=a", "--verbose"]
    assert plain["stdin"] == {"mode": "a", "verbose": True, "quiet": False}


@linux
async def test_the_sandbox_is_the_manifests(call, work, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    output = (await call())["output"]
    assert output["reads"] == output["writes"] == "done"
    assert output["reads_other"] == output["writes_docs"] == "PermissionError"
    assert "SECRET_KEY" not in output["environment"]
    assert (work / "out" / "new.txt").exists()


@linux
async def test_no_more_opens_than_is_granted(call, home, work) -> None:
    granted = (f"proc:run:{home}/**", f"fs:read:{work}/docs", f"fs:*:{work}/out/**")
    output = (await call(*granted))["output"]
    assert (output["reads"], output["writes"]) == ("PermissionError", "done")


def test_what_it_needs_is_derived(home, work, workspace) -> None:
    found = load_tool(home / "manifests" / "report.yaml")
    assert found.requests({}, workspace) == (
        f"proc:run:{home}/scripts/report.py",
        f"fs:read:{work}/docs",
        f"fs:write:{work}/out",
    )
    assert (found.side_effect, found.taints, found.name) == ("external", True, "doc_report")
    assert found.version.startswith("1.2+")


@pytest.mark.parametrize(
    "missing", ["proc:run:{home}/**", "fs:read:{work}/**", "fs:write:{work}/**"]
)
async def test_each_need_is_demanded(call, home, work, missing: str) -> None:
    needs = ["proc:run:{home}/**", "fs:read:{work}/**", "fs:write:{work}/**"]
    granted = [need.format(home=home, work=work) for need in needs if need != missing]
    with pytest.raises(AccessDeniedError):
        await call(*granted)
    assert not (work / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [{"mode": "c"}, {"count": "3"}, {"verbose": 1}, {"unknown": 1}, {"file_patterns": "x"}],
)
async def test_parameters_are_held_to(call, arguments: JsonObject) -> None:
    with pytest.raises(InvalidArgumentsError):
        await call(**arguments)


@linux
@pytest.mark.parametrize("value", [["a\0b"], ["\ud800"], [{}], [None], [["x"]]])
async def test_what_no_option_can_be_is_refused(call, value: Json) -> None:
    with pytest.raises(InvalidArgumentsError):
        await call(file_patterns=value)


@linux
async def test_time_is_the_smaller_limit(call, home) -> None:
    path = home / "manifests" / "report.yaml"
    path.write_text(MANIFEST.replace("timeout: 20s", "timeout: 300ms"))
    (home / "scripts" / "report.py").write_text("import time\ntime.sleep(60)")
    with pytest.raises(ToolTimeoutError):
        await call()


async def test_a_program_that_is_missing_is_told(call, home) -> None:
    (home / "scripts" / "report.py").unlink()
    with pytest.raises(FileMissingError, match=r"report\.py"):
        await call()


@pytest.mark.parametrize("path", ["../outside.py", "/bin/sh", "scripts/../../x", "link.py"])
def test_a_program_elsewhere_is_refused(home, path: str) -> None:
    (home / "link.py").symlink_to("/bin/sh")
    manifest = home / "manifests" / "report.yaml"
    manifest.write_text(MANIFEST.replace("scripts/report.py", path))
    with pytest.raises(InvalidManifestError, match="not below"):
        load_tool(manifest)


@linux
@pytest.mark.parametrize("kind", ["shell", "rust"])
async def test_other_programs_run_too(call, home, kind: str) -> None:
    script = home / "scripts" / "report.py"
    script.write_text('#!/bin/sh\necho "$@"\n')
    script.chmod(0o755)
    manifest = home / "manifests" / "report.yaml"
    manifest.write_text(MANIFEST.replace("type: python", f"type: {kind}"))
    value = await call(mode="b")
    assert (value["stdout"], value["output"]) == ("--mode=b --verbose\n", None)


def _write(script: Path) -> Path:
    script.parent.mkdir(parents=True)
    script.write_text("import json, sys\nprint(json.dumps({'got': sys.argv[1:]}))")
    return script


@linux
@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="the original's manifests are not here")
@pytest.mark.parametrize(
    "name", ["control-flow-analyzer", "date-validator", "dependency-visualizer"]
)
async def test_the_originals_run(name: str, tmp_path, workspace, context_for) -> None:
    found = load_tool(ORIGINALS / f"{name}.yaml", tmp_path)
    assert isinstance(found, ManifestTool)
    script = _write(Path(found.program))
    registry = ToolRegistry.of([found])
    assert found.requests({}, workspace)[0] == f"proc:run:{script}"
    context = context_for("proc:*:**", f"fs:*:{workspace.root}/**")
    result = await registry.call(found.name, {}, context)
    value = cast("Mapping[str, Json]", result.value)
    assert cast("Mapping[str, list[str]]", value["output"])["got"]
    with pytest.raises(InvalidArgumentsError):
        await registry.call(found.name, {"output_format": "gif", "validation_mode": "x"}, context)


NETWORKED = """
metadata: {name: asker, version: "1", description: Ask., created: "2025-07-06"}
spec:
  executable: {type: shell, path: ask.sh}
  capabilities: {required: [network-access]}
  security: {sandbox: {allow_network: ALLOWED, network_restrictions: ["localhost:8080"]}}
"""


@linux
@pytest.mark.parametrize("allowed", [True, False])
async def test_hosts_that_nothing_keeps_a_program_to_are_refused(
    tmp_path, context_for, allowed: bool
) -> None:
    (tmp_path / "ask.sh").write_text("echo '[1]'")
    path = tmp_path / "ask.yaml"
    path.write_text(NETWORKED.replace("ALLOWED", str(allowed).lower()))
    registry = ToolRegistry.of([load_tool(path)])
    said = check_manifest(path).warnings
    if not allowed:  # It has no network, so it reaches no other host either.
        assert any("is allowed no network" in one for one in said)
        assert await registry.call("asker", {}, context_for("proc:*:**"))
        return
    assert any("calls are refused" in one for one in said)
    with pytest.raises(SandboxUnavailableError, match=r"localhost:8080 alone.*`allow_network: fa"):
        await registry.call("asker", {}, context_for("proc:*:**"))


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [("**/*.md", "."), ("docs/**/*.md", "docs"), ("a/b", "a/b"), ("/data/*", "/data"),
     ("/*", "/"), ("a[b]/c", "."), ("x?/y", "."), ("a/b/*.py", "a/b")],
)  # fmt: skip
def test_patterns_open_the_directory_in_which_they_begin(pattern: str, fixed: str) -> None:
    assert fixed_part(pattern) == fixed


JSON: dict[str, object] = {
    "id": "echo-1",
    "name": "Echo.Tool",
    "version": "2.0",
    "description": "Give it back.",
    "capability": "echo",
    "side_effect": "none",
    "input_schema": json.dumps({"type": "object", "properties": {"text": {"type": "string"}}}),
    "output_schema": {"type": "object", "required": ["text"]},
    "transports": [{"type": "in_process"}],
    "manifest_version": "1.1",
    "protocols": [{"type": "mcp", "function_name": "echo", "version": "1"}],
    "metadata": {"any": ["thing"]},
}


async def _echo(arguments: JsonObject, _: ToolContext) -> Json:
    return arguments


def _load(tmp_path: Path, **changes: object) -> ToolRegistry:
    path = tmp_path / "echo.json"
    path.write_text(json.dumps({**JSON, **changes}))
    return ToolRegistry.of([load_tool(path, handlers={"echo-1": _echo})])


async def test_a_json_manifest_calls_what_the_host_registered(tmp_path, context_for) -> None:
    registry = _load(tmp_path)
    assert (await registry.call("echo_tool", {"text": "x"}, context_for())).value == {"text": "x"}
    with pytest.raises(InvalidArgumentsError):
        await registry.call("echo_tool", {"text": 1}, context_for())
    with pytest.raises(InvalidArgumentsError, match="result of echo_tool"):
        await registry.call("echo_tool", {}, context_for())


PROGRAM = """
import json, sys
request = json.loads(sys.stdin.readline())
print("log line")
answers = {
    "fine": {"result": {"text": request["method"]}},
    "error": {"error": {"code": -1, "message": "no such thing"}},
    "other": {"id": 2, "result": {}},
    "nothing": {},
}
answer = answers[request["params"]["text"]]
print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}))
"""


@linux
async def test_a_program_speaks_json_rpc(tmp_path, context_for) -> None:
    script = tmp_path / "serve.py"
    script.write_text("#!/usr/bin/python3\n" + PROGRAM)
    script.chmod(0o755)
    transport = {"json_rpc_stdio": {"exec": "./serve.py --flag"}}
    registry = _load(tmp_path, transports=[transport], action_id="echo.do")
    context = context_for(f"proc:run:{script}")
    fine = await registry.call("echo_tool", {"text": "fine"}, context)
    assert fine.value == {"text": "echo.do"}
    with pytest.raises(RemoteToolError) as caught:
        await registry.call("echo_tool", {"text": "error"}, context)
    assert "no such thing" in str(caught.value.details["said"])
    for wrong in ("other", "nothing", "crash"):
        with pytest.raises(RemoteToolError):
            await registry.call("echo_tool", {"text": wrong}, context)
    with pytest.raises(AccessDeniedError):
        await registry.call("echo_tool", {"text": "fine"}, context_for("proc:run:python3"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": {"text": "hi"}}'),
        (200, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}'),
        (200, b'{"jsonrpc": "2.0", "id": 1'),
        (200, b"[" * 100_000),
        (500, b"{}"),
        (302, b"{}"),
    ],
)
async def test_a_server_speaks_json_rpc(tmp_path, context_for, status: int, body: bytes) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        asked.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/rpc"
        registry = _load(tmp_path, transports=[{"type": "json_rpc_http", "endpoint": endpoint}])
        context = context_for(f"net:post:{endpoint}")
        if b"result" in body:
            result = await registry.call("echo_tool", {"text": "x"}, context)
            assert result.value == {"text": "hi"}
            assert json.loads(asked[0])["params"] == {"text": "x"}
        else:
            with pytest.raises(RemoteToolError):
                await registry.call("echo_tool", {"text": "x"}, context)
        with pytest.raises(AccessDeniedError):
            await registry.call("echo_tool", {}, context_for("net:get:**"))


def test_a_capability_that_is_a_request_is_demanded(tmp_path, workspace) -> None:
    tool = _load(tmp_path, capability="db:read:people").get("echo_tool")
    assert isinstance(tool, JsonManifestTool)
    assert tool.requests({}, workspace) == ("db:read:people",)
    assert _load(tmp_path).get("echo_tool").requests({}, workspace) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"transports": []}, "$.transports"),
        ({"capability": "db:read:**"}, "a pattern"),
        ({"capability": "db:*:people"}, "a pattern"),
        ({"transports": [{"type": "carrier_pigeon"}]}, "carrier_pigeon"),
        (
            {"transports": [{"type": "json_rpc_http", "endpoint": "file:///x"}]},
            "$.transports[0].endpoint",
        ),
        ({"transports": [{"type": "json_rpc_stdio", "exec": "'x"}]}, "no command"),
        ({"transports": [7]}, "type"),
        ({"side_effect": "harmless"}, "$.side_effect"),
        ({"unknown": 1}, "unknown field `unknown`"),
        ({"input_schema": "{"}, "not JSON"),
        ({"input_schema": {"type": "array"}}, "no schema of an object"),
        ({"input_schema": {"type": "colour"}}, "not JSON Schema"),
        ({"input_schema": {"$ref": "https://evil.example/x"}}, "another document"),
        ({"output_schema": {"items": {"$ref": "file:///etc/passwd"}}}, "another document"),
        ({"input_schema": {"description": "x" * 70_000}}, "longer than 65536"),
        ({"manifest_version": "9"}, "$.manifest_version"),
        ({"name": "!!"}, "cannot name"),
        ({"protocols": JSON["protocols"] * 2}, "twice"),  # type: ignore[operator] # a list
        ({"metadata": 1}, "$.metadata"),
    ],
)
def test_a_bad_json_manifest_is_answered_with_its_place(
    changes: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidManifestError) as caught:
        parse_json_manifest(json.dumps({**JSON, **changes}, indent=1), "m.json")
    assert told in str(caught.value)
    assert str(caught.value).startswith("m.json:")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"[" * 100_000, b" " * 300_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidManifestError):
        parse_json_manifest(data)


def test_schemas_of_draft_7_are_taken(tmp_path) -> None:
    tuple_form = {"type": "object", "properties": {"at": {"items": [{"type": "integer"}]}}}
    registry = _load(tmp_path, input_schema=json.dumps(tuple_form))
    registry.validate("echo_tool", {"at": [1]})
    with pytest.raises(InvalidArgumentsError):
        registry.validate("echo_tool", {"at": ["x"]})


def test_without_a_transport_that_works_it_is_no_tool(tmp_path) -> None:
    path = tmp_path / "echo.json"
    path.write_text(json.dumps(JSON))
    with pytest.raises(InvalidManifestError, match="none of its transports"):
        load_tool(path)
