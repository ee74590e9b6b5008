"""Levels of the sandbox: each holds, the proof notices where one does not, and attacks."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import attrs
import pytest

from toka.capability.core import PermissionSet
from toka.tools import (
    ResourceLimits,
    SandboxLevel,
    SandboxPolicy,
    SandboxUnavailableError,
    ToolContext,
    ToolRegistry,
    Workspace,
)
from toka.tools.sandbox import SandboxReport, _proof, prove

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types import Json

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="Landlock and namespaces are Linux's"),
]

CONFINED = (SandboxLevel.LANDLOCK, SandboxLevel.NAMESPACES)
PROGRAM = os.path.realpath(sys.executable)
PYTHON = (Path(sys.base_prefix), Path(sys.prefix))


@pytest.fixture(params=CONFINED)
async def level(request) -> SandboxLevel:
    """Each level that confines, where this machine proves it; CI must prove both."""
    report = await prove(request.param)
    if not report.proven and os.environ.get("CI") != "true":
        pytest.skip(f"this machine does not prove {request.param}: {report.weaknesses}")
    assert report.proven, report.weaknesses
    return request.param


@pytest.fixture
def run(registry: ToolRegistry, workspace: Workspace, level: SandboxLevel):
    """Run a command at a level, with grants of every program and of the workspace."""

    async def call(*argv: str, granted: tuple[str, ...] = (), **changes: object):
        texts = ("proc:run:*", f"fs:*:{workspace.root}/**", *granted)
        context = ToolContext(
            workspace, PermissionSet.parse(texts), sandbox=SandboxPolicy(level, PYTHON)
        )
        context = attrs.evolve(context, **changes)
        result = await registry.call("run_command", {"argv": list(argv)}, context)
        return cast("Mapping[str, Json]", result.value)

    return call


@pytest.mark.parametrize("level", SandboxLevel)
async def test_every_level_is_proven_here(level: SandboxLevel) -> None:
    report = await prove(level)
    assert report.proven, report.weaknesses


@pytest.mark.parametrize("level", CONFINED)
async def test_the_proof_notices_a_level_that_does_not_hold(level, monkeypatch) -> None:
    monkeypatch.setattr(_proof, "confinement", lambda *_args, **_more: None)
    report = await _proof._try(level)
    assert not report.proven
    missed = {name for name, held in report.facts.items() if not held}
    assert missed >= {
        "files outside are not read",
        "files outside are not replaced",
        "links to the outside are not followed",
        "other processes are not signalled",
        "other environments are not read",
        "no namespaces are made",
        "TCP is closed",
        "UDP is closed",
        "abstract sockets are closed",
    }


async def test_limits_are_noticed_if_they_are_not_set(monkeypatch) -> None:
    monkeypatch.setattr(_proof, "ResourceLimits", lambda **_: None)
    report = await _proof._try(SandboxLevel.LIMITS)
    assert "open files are limited" in report.weaknesses


@pytest.mark.parametrize("level", CONFINED)
async def test_a_machine_that_does_not_prove_the_level_runs_nothing(
    level, registry, workspace, monkeypatch
) -> None:
    weak = SandboxReport(level, {"UDP is closed": False, "TCP is closed": True})
    monkeypatch.setitem(_proof._reports, level, weak)
    context = ToolContext(
        workspace,
        PermissionSet.parse(["proc:run:*", f"fs:*:{workspace.root}/**"]),
        sandbox=SandboxPolicy(level),
    )
    with pytest.raises(SandboxUnavailableError, match="UDP is closed") as refused:
        await registry.call("run_command", {"argv": ["touch", "made"]}, context)
    assert refused.value.code == "tools.sandbox_unavailable"
    assert not (workspace.root / "made").exists()


@pytest.mark.parametrize("level", SandboxLevel)
async def test_the_level_is_in_the_result(level, registry, workspace) -> None:
    granted = PermissionSet.parse(["proc:run:true"])
    context = ToolContext(workspace, granted, sandbox=SandboxPolicy(level))
    result = await registry.call("run_command", {"argv": ["true"]}, context)
    assert cast("Mapping[str, Json]", result.value)["sandbox"] == level


async def test_what_is_granted_works(run, workspace) -> None:
    (workspace.root / "in").write_text("b\na\n")
    done = await run("sh", "-c", "sort in > out && mkdir d && mv out d/out && cat d/out")
    assert (done["exit_code"], done["stdout"], done["stderr"]) == (0, "a\nb\n", "")


async def test_attack_4_7_files_outside_are_closed(run, workspace, tmp_path) -> None:
    (tmp_path / "w-evil").mkdir()
    (tmp_path / "w-evil" / "secret").write_text("s3cret")
    (workspace.root / "link").symlink_to(tmp_path / "w-evil" / "secret")
    script = "cat ../w-evil/secret link /etc/passwd /etc/shadow; echo x > ../w-evil/new; ls ~root /"
    done = await run("sh", "-c", script)
    assert "s3cret" not in done["stdout"]
    assert "root:" not in done["stdout"]
    assert not (tmp_path / "w-evil" / "new").exists()


async def test_a_grant_of_one_file_opens_that_file(run, tmp_path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    done = await run(
        "sh",
        "-c",
        f"cat {tmp_path}/one; cat {tmp_path}/two; echo changed > {tmp_path}/one",
        granted=(f"fs:read:{tmp_path}/one",),
    )
    assert done["stdout"] == "one"
    assert (tmp_path / "one").read_text() == "one"


async def test_what_may_only_be_read_is_not_written(run, tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("a")
    done = await run(
        "sh", "-c", f"cat {data}/a; rm {data}/a; touch {data}/b", granted=(f"fs:read:{data}/**",)
    )
    assert done["stdout"] == "a"
    assert [one.name for one in data.iterdir()] == ["a"]


async def test_a_pattern_that_is_no_directory_opens_nothing(run, tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("text")
    done = await run("cat", str(data / "a.txt"), granted=(f"fs:read:{data}/*.txt",))
    assert done["exit_code"] == 1


async def test_what_is_protected_stays_closed(run, workspace) -> None:
    (workspace.root / ".toka").mkdir()
    (workspace.root / ".toka" / "key").write_text("s3cret")
    (workspace.root / "a").write_text("a")
    (workspace.root / "d").mkdir()
    shielded = attrs.evolve(workspace, protected=(workspace.root / ".toka",))
    script = "cat .toka/key; echo x > .toka/key; cat a; echo b > a; echo c > d/c"
    done = await run("sh", "-c", script, workspace=shielded)
    assert done["stdout"] == "a"
    assert (workspace.root / ".toka" / "key").read_text() == "s3cret"
    assert (workspace.root / "a").read_text() == "b\n"
    assert (workspace.root / "d" / "c").read_text() == "c\n"


async def test_attack_4_7_udp_and_tcp_are_closed_unless_granted(run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        port = listener.getsockname()[1]
        script = f"echo out > /dev/udp/127.0.0.1/{port}"
        closed = await run("bash", "-c", script)
        assert closed["exit_code"] == 1
        assert "not permitted" in str(closed["stderr"])
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(10)
        listener.settimeout(5)
        opened = await run("bash", "-c", script, granted=("proc:network:bash",))
        assert (opened["exit_code"], listener.recv(10)) == (0, b"out\n")


async def test_attack_4_7_nothing_of_the_program_is_seen(run) -> None:
    parent = os.getpid()
    done = await run(
        "sh", "-c", f"cat /proc/{parent}/environ /proc/$PPID/environ; kill -0 {parent}"
    )
    assert done["stdout"] == ""
    assert done["exit_code"] != 0


async def test_attack_4_7_no_way_into_the_kernel(run) -> None:
    script = (
        "import ctypes, errno\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for call in ((101, 0, 0, 0, 0), (165, 0, 0, 0, 0), (321, 0, 0, 0), (425, 8, 0),"
        " (272, 0x10000000), (56, 0x10000000, 0, 0, 0, 0), (435, 0, 0)):\n"
        "    print(libc.syscall(*call), errno.errorcode[ctypes.get_errno()])\n"
    )
    done = await run(PROGRAM, "-I", "-S", "-c", script, granted=(f"proc:run:{PROGRAM}",))
    assert done["stderr"] == ""
    assert done["stdout"] == "-1 EPERM\n" * 6 + "-1 ENOSYS\n"


async def test_attack_4_7_a_daemon_is_ended_with_the_command(run, workspace) -> None:
    script = "(setsid sh -c 'sleep 300; touch late' >/dev/null 2>&1 &) ; exit 0"
    done = await run("sh", "-c", script)
    assert done["exit_code"] == 0
    assert done["left_behind"] >= 1
    assert not (workspace.root / "late").exists()


async def test_attack_4_7_a_fork_bomb_is_ended(run) -> None:
    bomb = "f(){ [ $1 -gt 0 ] && { f $(($1-1)) & f $(($1-1)) & } ; sleep 300; }; f 7; wait"
    done = await run("bash", "-c", bomb, limits=ResourceLimits(max_processes=20))
    assert done["ended_by"] == "process_limit" or "fork" in str(done["stderr"])


async def test_how_it_ended_is_told(run) -> None:
    assert (await run("sh", "-c", "exit 3"))["exit_code"] == 3
    assert (await run("sh", "-c", "kill -9 $$"))["signal"] == 9


async def test_a_program_that_cannot_start_is_told(run, workspace) -> None:
    program = workspace.root / "broken"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(Exception, match="could not be started"):
        await run(str(program), granted=(f"proc:run:{program}",))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
async def test_git_works(run, workspace) -> None:
    done = await run("git", "init", "-q")
    assert done["exit_code"] == 0, done["stderr"]
    (workspace.root / "a").write_text("a")
    assert (await run("git", "add", "a"))["exit_code"] == 0
    done = await run("git", "status", "--short")
    assert (done["stdout"], done["exit_code"]) == ("A  a\n", 0)
