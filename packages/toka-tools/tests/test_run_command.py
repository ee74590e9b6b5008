"""Command attacks of the list, and what a command may use and leave behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, cast

import anyio
import attrs
import pytest

from toka.capability.core import PermissionSet
from toka.tools import (
    AccessDeniedError,
    CommandDeniedError,
    CommandStartError,
    InvalidArgumentsError,
    PathDeniedError,
    ResourceLimits,
    ToolContext,
    ToolTimeoutError,
    Workspace,
)
from toka.tools.builtin._run_command import RunCommand
from toka.tools.process._programs import delegates
from toka.types import NANOSECONDS

from .processes import alive, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toka.tools import ToolRegistry
    from toka.types import Json

    ContextFor = Callable[..., ToolContext]

pytestmark = pytest.mark.anyio


@pytest.fixture
def run(registry: ToolRegistry, context_for: ContextFor):
    """Run with a grant of every program; the tests of grants ask for less."""

    async def call(*argv: str, context: ToolContext | None = None, **more: Json):
        context = context or context_for("proc:run:*")
        result = await registry.call("run_command", {"argv": list(argv), **more}, context)
        return cast("Mapping[str, Json]", result.value)

    return call


async def test_output_and_exit_code_are_data(run, workspace: Workspace) -> None:
    (workspace.root / "f").write_text("a\nb\n")
    done = await run("wc", "-l", "f")
    assert (done["exit_code"], done["stdout"], done["stderr"]) == (0, "2 f\n", "")
    failed = await run("sh", "-c", "echo no >&2; exit 3")
    assert (failed["exit_code"], failed["signal"], failed["stderr"]) == (3, None, "no\n")
    killed = await run("sh", "-c", "kill -9 $$")
    assert (killed["exit_code"], killed["signal"]) == (None, 9)


@pytest.mark.parametrize(
    "text", ["ls; id", "ls\nid", "$(id)", "`id`", "a|b", ">f", "*", "--output=/x", "a b", ""]
)
async def test_what_a_shell_would_read_is_a_literal_argument(run, text: str, workspace) -> None:
    done = await run("printf", "%s", text)
    assert done["stdout"] == text
    assert list(workspace.root.iterdir()) == []


@pytest.mark.parametrize("name", ["./wc", "bin/wc", "../wc", "", "wc\0", "."])
async def test_a_program_is_never_looked_up_relative_to_anything(
    run, workspace: Workspace, name: str
) -> None:
    for planted in (workspace.root / "wc", workspace.root / "bin" / "wc"):
        planted.parent.mkdir(exist_ok=True)
        planted.write_text("#!/bin/sh\necho planted\n")
        planted.chmod(0o755)
    with pytest.raises((CommandDeniedError, CommandStartError, InvalidArgumentsError)):
        await run(name)
    assert (await run("wc", stdin="x\n"))["stdout"].split() == ["1", "1", "2"]


def test_a_program_from_elsewhere_does_not_pass_for_a_known_one(
    registry: ToolRegistry, workspace: Workspace
) -> None:
    planted = workspace.root / "git"
    planted.write_text("#!/bin/sh\n")
    planted.chmod(0o755)
    command = registry.get("run_command")
    assert command.requests({"argv": ["git"]}, workspace) == ("proc:run:git",)
    assert command.requests({"argv": [str(planted)]}, workspace) == (f"proc:run:{planted}",)
    assert command.requests({"argv": ["/usr/bin/wc"]}, workspace) == ("proc:run:wc",)
    assert not PermissionSet.parse(["proc:run:*"]).covers(f"proc:run:{planted}")


@pytest.mark.parametrize(
    "line",
    [
        "find . -exec id ;",
        "find . -ok id ;",
        "git -c core.pager=id log",
        "git --exec-path=/x log",
        "git -ccore.pager=id log",
        "git --config-env=a.b=C log",
        "git submodule foreach id",
        "git bisect run id",
        "git nonesuch",
        "git grep -Oid x",
        "git diff --ext-diff",
        "tar --checkpoint-action=exec=id -cf x .",
        "tar --checkpoint-act=exec=id -cf x .",
        "tar -cIid -f x .",
        "tar --to-command=id -xf x",
        "ssh -oProxyCommand=id host",
        "rsync -e id a b:",
        "sort --compress-program=id f",
        "rg --pre id x",
        "fd . -x id",
        "/usr/bin/env id",
        "env id",
        "xargs id",
        "timeout 5 id",
        "sudo id",
    ],
)
def test_options_that_run_other_programs_need_a_grant_of_their_own(line: str) -> None:
    assert delegates(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "find . -name exec",
        "git log -p -c --oneline",
        "git -C /x blame -- f",
        "git --git-dir=/x --no-pager status",
        "git --version",
        "tar -czf x .",
        "sort -u f",
        "wc -l f",
        "rg -n x",
        "ls -- -exec",
    ],
)
def test_ordinary_options_need_none(line: str) -> None:
    assert not delegates(line.split())


async def test_a_delegating_command_is_refused_without_its_grant(run) -> None:
    with pytest.raises(AccessDeniedError, match="proc:delegate:find"):
        await run("find", ".", "-exec", "id", ";")


async def test_the_environment_is_made_new(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    monkeypatch.setenv("LD_PRELOAD_X", "x")
    done = await run("printenv", env={"LANG": "en_GB.UTF-8", "TZ": "Europe/Berlin"})
    variables = dict(line.split("=", 1) for line in done["stdout"].splitlines())
    assert variables == {
        "HOME": "/nonexistent",
        "LANG": "en_GB.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": "/nonexistent",
        "TZ": "Europe/Berlin",
    }


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_X", "A=B", "", "a b"])
async def test_variables_of_the_loader_are_never_accepted(run, name: str, context_for) -> None:
    context = context_for("proc:*:**")
    with pytest.raises(CommandDeniedError):
        await run("true", env={name: "x"}, context=context)


async def test_variables_that_change_what_runs_need_a_grant(run, context_for) -> None:
    for name in ("PATH", "GIT_SSH_COMMAND", "PYTHONSTARTUP", "BASH_ENV"):
        with pytest.raises(AccessDeniedError, match=f"proc:env:{name}"):
            await run("true", env={name: "x"})
    with pytest.raises(AccessDeniedError, match="proc:env:LC_ALL"):
        await run("true", env={"LC_ALL": "/x/locale"})
    context = context_for("proc:run:printenv", "proc:env:MODE")
    done = await run("printenv", "MODE", env={"MODE": "fast"}, context=context)
    assert done["stdout"] == "fast\n"


async def test_nothing_of_this_process_is_inherited(run, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    ends = os.pipe()
    os.set_inheritable(ends[0], True)
    try:
        done = await run("sh", "-c", "ls /proc/$$/fd; cat /proc/$PPID/environ")
    finally:
        for end in ends:
            os.close(end)
    listing, environment = done["stdout"].rsplit("\n", 1)
    assert listing.split() == ["0", "1", "2"]
    assert environment == ""  # of its starter, which is told nothing of this process


async def test_the_working_directory_is_the_workspace_or_a_granted_one(
    run, workspace: Workspace, tmp_path: Path, context_for
) -> None:
    (workspace.root / "in").mkdir()
    context = context_for("proc:run:pwd", f"fs:read:{workspace.root}/in")
    assert (await run("pwd", context=context))["stdout"] == f"{workspace.root}\n"
    done = await run("pwd", cwd="in", context=context)
    assert done["stdout"] == f"{workspace.root}/in\n"
    with pytest.raises(AccessDeniedError, match=f"fs:read:{tmp_path}"):
        await run("pwd", cwd="..", context=context)
    with pytest.raises(PathDeniedError):
        await run("pwd", cwd="/proc/self/cwd/\0", context=context)


async def test_home_is_the_scratch_directory_if_there_is_one(run, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, scratch=tmp_path / "s")
    context = ToolContext(workspace, PermissionSet.parse(["proc:run:printenv"]))
    done = await run("printenv", "HOME", "TMPDIR", context=context)
    assert done["stdout"] == f"{tmp_path}/s\n{tmp_path}/s\n"


async def test_input_is_fed_and_ends(run) -> None:
    assert (await run("cat", stdin="é" * 200_000))["stdout"] == "é" * 200_000
    assert (await run("cat"))["stdout"] == ""
    assert (await run("true", stdin="x" * 1_000_000))["exit_code"] == 0


async def test_output_that_is_no_text_is_replaced_and_said_so(run) -> None:
    done = await run("printf", r"a\377b")
    assert (done["stdout"], done["replaced"]) == ("a\ufffdb", True)


async def test_endless_output_is_cut_and_ended(run, context_for) -> None:
    context = context_for("proc:run:yes", output_limit_bytes=1_000)
    before = time.monotonic()
    done = await run("yes", context=context)
    assert (len(done["stdout"]), done["truncated"], done["ended_by"]) == (
        1_000,
        True,
        "output_limit",
    )
    assert done["exit_code"] is None
    assert time.monotonic() - before < 5


async def test_time_ends_a_command_with_all_its_children(run, workspace) -> None:
    script = "setsid sleep 60 & echo $! > pids; sleep 60 & echo $! >> pids; echo $$ >> pids; wait"
    before = time.monotonic()
    with pytest.raises(ToolTimeoutError) as caught:
        await run("sh", "-c", script, timeout=0.3)
    assert time.monotonic() - before < 3
    assert caught.value.details["tree_ended"] is True
    pids = [int(pid) for pid in (workspace.root / "pids").read_text().split()]
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


async def test_ignoring_the_signal_does_not_help(run, workspace) -> None:
    before = time.monotonic()
    with pytest.raises(ToolTimeoutError):
        await run("sh", "-c", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done", timeout=0.2)
    assert time.monotonic() - before < 3
    assert not alive(int((workspace.root / "pid").read_text()))


async def test_a_daemon_that_holds_the_output_is_ended_with_the_command(run, workspace) -> None:
    script = "(setsid sh -c 'sleep 60 & echo $! > pid; wait') & sleep 0.1; echo done"
    before = time.monotonic()
    done = await run("sh", "-c", script)
    assert time.monotonic() - before < 5
    assert done["stdout"] == "done\n"
    assert done["left_behind"] >= 1
    assert not alive(int((workspace.root / "pid").read_text()))


async def test_cancelling_ends_the_tree(run, workspace: Workspace) -> None:
    pid = workspace.root / "pid"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            run, "sh", "-c", "setsid sleep 60 & echo $! > pid.new; mv pid.new pid; wait"
        )
        await until(pid.exists)
        tasks.cancel_scope.cancel()
    assert not alive(int(pid.read_text()))


async def test_the_death_of_this_process_ends_the_tree(workspace: Workspace) -> None:
    code = f"""
import anyio
from toka.tools import *
from toka.capability.core import PermissionSet
context = ToolContext(Workspace({str(workspace.root)!r}), PermissionSet.parse(["proc:run:sh"]))
argv = ["sh", "-c", "setsid sleep 60 & echo $! > pid.new; mv pid.new pid; wait"]
anyio.run(ToolRegistry.builtin().call, "run_command", {{"argv": argv}}, context)
"""
    pid = workspace.root / "pid"
    process = await anyio.open_process([sys.executable, "-c", code], stdout=None, stderr=None)
    await until(pid.exists)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: not alive(int(pid.read_text())))


async def test_too_many_processes_end_the_call(run, context_for) -> None:
    """A fork bomb with a fuse: at most 2**8 processes, of which 20 are allowed."""
    bomb = "f(){ [ $1 -gt 0 ] && { f $(($1-1)) & f $(($1-1)) & } ; sleep 300; }; f 7; wait"
    limits = ResourceLimits(max_processes=20)
    context = context_for("proc:run:bash", limits=limits, timeout_ns=200 * NANOSECONDS)
    before = time.monotonic()
    done = await run("bash", "-c", bomb, context=context)
    assert time.monotonic() - before < 200  # and not the 300 s of its processes
    if done["ended_by"] is None:  # For anybody but the superuser the system itself said no.
        assert "fork" in done["stderr"]
    else:
        assert done["ended_by"] == "process_limit"


async def test_memory_files_and_processor_time_are_limited(run, workspace, context_for) -> None:
    limits = ResourceLimits(
        max_memory_bytes=256 << 20, max_file_bytes=1 << 20, max_open_files=32, max_cpu_percent=5
    )
    context = context_for("proc:run:*", limits=limits)
    done = await run("bash", "-c", "ulimit -v -f -n -c -t", context=context)
    sizes = [line.split()[-1] for line in done["stdout"].splitlines()]
    assert sizes == [str(256 << 10), "1024", "32", "0", "2"]
    done = await run("dd", "if=/dev/zero", "of=big", "bs=1M", "count=10", context=context)
    assert done["exit_code"] != 0
    assert (workspace.root / "big").stat().st_size <= 1 << 20
    spinning = await run(
        "sh",
        "-c",
        "while :; do :; done",
        timeout=90,  # In which a busy machine has given it one second of a processor.
        context=context_for(
            "proc:run:sh", limits=ResourceLimits(max_cpu_percent=0.5), timeout_ns=90 * NANOSECONDS
        ),
    )
    assert spinning["signal"] in (signal.SIGXCPU, signal.SIGKILL)


async def test_no_program_gains_privileges(run) -> None:
    done = await run("grep", "NoNewPrivs", "/proc/self/status")
    assert done["stdout"].split() == ["NoNewPrivs:", "1"]


async def test_a_file_that_is_no_program_is_said_to_be_none(run, workspace, context_for) -> None:
    script = workspace.root / "broken"
    script.write_text("no interpreter line and no program")
    context = context_for(f"proc:run:{script}")
    with pytest.raises(CommandStartError, match="no program"):
        await run(str(script), context=context)
    script.chmod(0o755)
    with pytest.raises(CommandStartError, match="Exec format error"):
        await run(str(script), context=context)
    with pytest.raises(CommandStartError, match="no program 'nonesuch'"):
        await run("nonesuch")


@pytest.mark.parametrize("argv", [["true", "a\0b"], ["true", "\ud800"]])
async def test_arguments_that_no_program_can_get_are_refused(run, argv: list[str]) -> None:
    with pytest.raises(InvalidArgumentsError):
        await run(*argv)


async def test_git_runs_nothing_that_a_repository_names(run, workspace, context_for) -> None:
    context = context_for("proc:run:git")
    assert (await run("git", "init", "-q", context=context))["exit_code"] == 0
    trap = workspace.root / "trap"
    trap.write_text("#!/bin/sh\ntouch sprung\n")
    trap.chmod(0o755)
    with (workspace.root / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {workspace.root}\n")
    assert (await run("git", "status", "--short", context=context))["exit_code"] == 0
    assert not (workspace.root / "sprung").exists()


async def test_the_path_is_the_tools_and_not_the_callers(tmp_path: Path, context_for) -> None:
    program = tmp_path / "hello"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    command = RunCommand(path=(str(tmp_path), "/bin"))
    result = await command.call({"argv": ["hello"]}, context_for("proc:run:hello"))
    assert cast("Mapping[str, Json]", result.value)["stdout"] == "hello\n"


async def test_many_commands_at_once(run) -> None:
    outputs: list[str] = []

    async def one(number: int) -> None:
        outputs.append((await run("echo", str(number)))["stdout"])

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(one, number)
    assert sorted(map(int, outputs)) == list(range(16))


async def test_a_command_is_given_what_the_call_belongs_to(run, context_for: ContextFor) -> None:
    context = attrs.evolve(context_for("proc:run:*"), environment={"TRACEPARENT": "00-1-2-01"})
    done = await run("printenv", "TRACEPARENT", context=context)
    assert done["stdout"] == "00-1-2-01\n"
