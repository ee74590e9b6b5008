"""Python in a sandbox: what it may do, and what it may not."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import (
    AccessDeniedError,
    InvalidArgumentsError,
    SandboxUnavailableError,
    ToolTimeoutError,
    effect_of,
)
from toka.tools.sandbox import SandboxLevel, SandboxReport, _proof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolContext, ToolRegistry
    from toka.types import Json

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's"),
]


@pytest.fixture
def run(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def call(code: str, *permissions: str, **arguments: Json) -> Mapping[str, Json]:
        granted = ("proc:run:python", *permissions)
        result = await registry.call(
            "run_python", {"code": code, **arguments}, context_for(*granted)
        )
        return cast("Mapping[str, Json]", result.value)

    return call


async def test_sockets_in_the_file_system_are_closed(run, tmp_path) -> None:
    # Behind one there may be a bus or a daemon that runs what it is told.
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        code = "import socket\nsocket.socket(socket.AF_UNIX).connect(data)"
        value = await run(code, data=str(path))
    assert value["error"]["type"] == "PermissionError"
    paired = await run(
        "import socket\na, b = socket.socketpair()\na.send(b'x')\nb.recv(9).decode()"
    )
    assert paired["value"] == "x"


async def test_the_value_is_that_of_the_last_expression(run) -> None:
    value = await run(
        "import math\nprint('said')\n{'root': math.isqrt(data), 'all': [1, None]}", data=10
    )
    assert value["value"] == {"root": 3, "all": [1, None]}
    assert (value["stdout"], value["exit_code"], value["error"]) == ("said\n", 0, None)
    assert value["sandbox"] == "landlock"


async def test_or_of_the_variable_result(run) -> None:
    assert (await run("result = [1]\nfor _ in (): pass"))["value"] == [1]
    assert (await run("x = 1"))["value"] is None
    assert (await run(""))["value"] is None


async def test_what_is_no_json_is_shown(run) -> None:
    value = await run("{1, 2}")
    assert (value["value"], value["repr"]) == (None, "{1, 2}")
    assert (await run("float('nan')"))["repr"] == "nan"


async def test_an_error_is_a_result_with_its_line(run) -> None:
    value = await run("a = 1\ndef f():\n    return a / 0\nf()")
    assert value["error"] == {"type": "ZeroDivisionError", "message": "division by zero", "line": 3}
    assert value["exit_code"] == 1
    assert "in line 4" in value["stderr"]
    wrong = await run("a = = 1")
    assert (wrong["error"]["type"], wrong["error"]["line"]) == ("SyntaxError", 1)
    assert (await run("raise SystemExit(7)"))["exit_code"] == 7


async def test_it_is_isolated_from_this_program(run, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    value = await run("import os, sys\n[dict(os.environ), sys.flags.isolated, sys.flags.no_site]")
    environment, isolated, no_site = value["value"]
    assert "SECRET_KEY" not in environment
    assert (isolated, no_site) == (1, 1)
    assert (await run("import attrs"))["error"]["type"] == "ModuleNotFoundError"


async def test_its_directory_is_its_own_and_goes_away(run) -> None:
    code = "import os\nopen('a', 'w').write('x')\nos.mkdir('d', 0)\n[os.getcwd(), os.listdir()]"
    where, names = (await run(code))["value"]
    assert sorted(names) == ["a", "d"]
    assert is_gone(where)


def is_gone(path: str) -> bool:
    return not os.path.lexists(path)


ESCAPES = {
    "reading a file": "open('/etc/passwd').read()",
    "reading what is granted": "open(workspace + '/a.txt').read()",
    "writing": "open(workspace + '/b.txt', 'w')",
    "writing over its interpreter": "import sys\nopen(sys.executable, 'r+b')",
    "TCP": "import socket\nsocket.create_connection(('127.0.0.1', data), 1)",
    "UDP": "import socket as s\ns.socket(2, s.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', data))",
    "signals": f"import os\nos.kill({os.getpid()}, 0)",
    "the environment of this process": f"open('/proc/{os.getpid()}/environ').read()",
}


@pytest.mark.parametrize("code", ESCAPES.values(), ids=ESCAPES.keys())
async def test_it_does_not_get_out(run, workspace, code: str) -> None:
    (workspace.root / "a.txt").write_text("inside")
    with socket.create_server(("127.0.0.1", 0)) as server:
        value = await run(code, f"fs:*:{workspace.root}/**", data=server.getsockname()[1])
    assert value["error"] is not None
    assert not (workspace.root / "b.txt").exists()


async def test_files_are_open_as_far_as_asked_and_granted(run, workspace) -> None:
    (workspace.root / "a.txt").write_text("inside")
    granted = f"fs:*:{workspace.root}/**"
    read = "open(workspace + '/a.txt').read()"
    write = "open(workspace + '/b.txt', 'w').write('x')"
    assert (await run(read, granted, access="read"))["value"] == "inside"
    assert (await run(write, granted, access="read"))["error"]["type"] == "PermissionError"
    assert (await run(write, granted, access="write"))["value"] == 1
    assert (await run(read, access="write"))["error"]["type"] == "PermissionError"


def test_the_side_effect_is_that_of_the_access(registry, workspace) -> None:
    tool = registry.get("run_python")
    effects = [effect_of(tool, {"code": "", "access": one}) for one in ("none", "read", "write")]
    assert effects == ["none", "read_only", "external"]
    assert tool.requests({"code": ""}, workspace) == ("proc:run:python",)
    assert tool.taints


async def test_it_is_denied_without_its_permission(registry, context_for) -> None:
    for granted in ("proc:run:python3", "fs:read:/**"):
        with pytest.raises(AccessDeniedError):
            await registry.call("run_python", {"code": "1"}, context_for(granted))


async def test_time_is_limited(run) -> None:
    with pytest.raises(ToolTimeoutError):
        await run("while True: pass", timeout=0.5)
    with pytest.raises(ToolTimeoutError):
        await run(
            "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(60)", timeout=0.5
        )


async def test_memory_is_limited(run) -> None:
    value = await run("len(bytearray(8 << 30))")
    assert value["error"]["type"] == "MemoryError"


async def test_output_is_limited(registry, context_for) -> None:
    context = context_for("proc:run:python", output_limit_bytes=10_000)
    talks = await registry.call("run_python", {"code": "while True: print('x' * 100)"}, context)
    assert talks.truncated
    assert len(cast("Mapping[str, str]", talks.value)["stdout"]) <= 10_000
    leaves = await registry.call("run_python", {"code": "'x' * 20_000"}, context)
    assert (leaves.truncated, cast("Mapping[str, Json]", leaves.value)["value"]) == (True, None)


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.mkfifo('answer.json')",
        "import os\nos.symlink('/etc/passwd', 'answer.json')",
        "import os\nos.mkdir('answer.json')",
        "import os\nopen('answer.json', 'w').write('[' * 100000)\nos._exit(0)",
        "import os\nopen('answer.json', 'w').write('{\"value\": 1')\nos._exit(0)",
        "import os\nopen('answer.json', 'w').write('[1]')\nos._exit(0)",
    ],
)
async def test_an_answer_that_is_none_is_no_answer(run, code: str) -> None:
    value = await run(code)
    assert value["value"] is None
    assert "root:" not in json.dumps(value)


async def test_bad_arguments_are_refused(registry, context_for) -> None:
    context = context_for("proc:run:python")
    for bad in (
        {},
        {"code": 1},
        {"code": "", "access": "all"},
        {"code": "x" * ((1 << 20) + 1)},
        {"code": "\ud800"},
    ):
        with pytest.raises(InvalidArgumentsError):
            await registry.call("run_python", cast("Mapping[str, Json]", bad), context)


async def test_without_a_proven_sandbox_nothing_is_run(run, monkeypatch) -> None:
    report = SandboxReport(SandboxLevel.LANDLOCK, {}, "no landlock here")
    monkeypatch.setattr(_proof, "_reports", {SandboxLevel.LANDLOCK: report})
    with pytest.raises(SandboxUnavailableError):
        await run("1")


async def test_it_runs_as_a_script_does(run) -> None:
    code = """
import asyncio, dataclasses

@dataclasses.dataclass
class One:
    number: int

async def make():
    return One(1).number

asyncio.run(make())
"""
    assert (await run(code))["value"] == 1
    assert (await run("input()"))["error"]["type"] == "EOFError"
