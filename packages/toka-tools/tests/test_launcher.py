"""What commands one after another have to do with each other: a process that starts them."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from toka.capability.core import PermissionSet
from toka.tools import (
    CommandStartError,
    ResourceLimits,
    SandboxLevel,
    SandboxPolicy,
    ToolContext,
    ToolTimeoutError,
)
from toka.tools.sandbox import prove
from toka.types import NANOSECONDS

from .processes import alive, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools import ToolRegistry, Workspace
    from toka.types import Json

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc"),
]

PROGRAM = os.path.realpath(sys.executable)
PYTHON = (Path(sys.base_prefix), Path(sys.prefix))
# No two tests ask for the same limits, so the first command of each has a starter of its own.
FILES = itertools.count(100)


@pytest.fixture(params=[SandboxLevel.NONE, SandboxLevel.LANDLOCK])
async def level(request) -> SandboxLevel:
    report = await prove(request.param)
    if not report.proven and os.environ.get("CI") != "true":
        pytest.skip(f"this machine does not prove {request.param}: {report.weaknesses}")
    return request.param


@pytest.fixture
def run_at(registry: ToolRegistry, workspace: Workspace):
    """Return a way to run a shell's script at a level, always with the same limits."""
    limits = ResourceLimits(max_open_files=next(FILES), max_processes=50)

    def at(level: SandboxLevel):
        async def call(script: str, *argv: str, seconds: float = 60, **changes):
            grants = ("proc:run:*", f"proc:run:{PROGRAM}", f"fs:*:{workspace.root}/**")
            context = ToolContext(
                workspace,
                PermissionSet.parse((*grants, *changes.pop("granted", ()))),
                sandbox=SandboxPolicy(level, PYTHON),
                limits=changes.pop("limits", limits),
                timeout_ns=int(seconds * NANOSECONDS),
                **changes,
            )
            arguments: dict[str, Json] = {"argv": [*(argv or ("sh", "-c")), script]}
            result = await registry.call("run_command", arguments, context)
            return cast("Mapping[str, Json]", result.value)

        return call

    return at


@pytest.fixture
def run(run_at, level):
    """Run a shell's script at each of the levels that keep a starter."""
    return run_at(level)


async def starter(run) -> int:
    """Return the process that starts the commands of this test."""
    return int((await run("echo $PPID"))["stdout"])


def guard_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


LOOK = """
import os, resource, signal
def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False
print(sorted(os.environ.items()), os.getcwd(), os.umask(0), [*filter(is_open, range(1000))])
print(os.getsid(0) == os.getpgid(0) == os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
print([signal.getsignal(number) for number in (1, 2, 10, 13, 15, 17, 25)])
print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0), os.sched_getscheduler(0))
names = [name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_NPROC"]
print([(name, resource.getrlimit(getattr(resource, name))) for name in names])
import ctypes
print(ctypes.CDLL(None).syscall({"x86_64": 252, "aarch64": 31}[os.uname().machine], 1, 0))
"""


async def look(run) -> str:
    seen = await run(LOOK, PROGRAM, "-I", "-S", "-c")
    assert seen["stderr"] == ""
    return str(seen["stdout"])


async def test_commands_that_are_kept_alike_have_one_starter(run) -> None:
    first = await starter(run)
    assert await starter(run) == first
    assert (await run("exit 3"))["exit_code"] == 3
    assert (await run("kill -SEGV $$"))["signal"] == signal.SIGSEGV
    with pytest.raises(CommandStartError):
        await run("", "/etc/hostname", granted=("proc:run:/etc/hostname",))
    assert await starter(run) == first


async def test_what_one_command_does_to_itself_no_other_sees(run) -> None:
    before = await look(run)
    first = await starter(run)
    script = (
        "umask 0; ulimit -n 10; cd /; trap '' INT TERM HUP PIPE; renice 5 $$ >&2; export X=1;"
        " exec 5</dev/null 6>&5; taskset -p 1 $$ >&2; exec sleep 0"
    )
    await run(script)
    assert await look(run) == before
    assert await starter(run) == first


@pytest.mark.parametrize(
    "deed",
    [
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (40, 40))",
        "resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (40, 40))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 7)",
        "os.sched_setaffinity(os.getppid(), {max(os.sched_getaffinity(0))})",
        "os.sched_setscheduler(os.getppid(), os.SCHED_BATCH, os.sched_param(0))",
        (
            "import ctypes; assert ctypes.CDLL(None).syscall("
            "{'x86_64': 251, 'aarch64': 30}[os.uname().machine], 1, os.getppid(), 3 << 13) == 0"
        ),
    ],
)
async def test_what_a_command_does_to_its_starter_no_other_sees(run, deed: str) -> None:
    if "affinity" in deed and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("there is only one processor to run on")
    before = await look(run)
    done = await run(f"import os, resource; {deed}", PROGRAM, "-I", "-S", "-c")
    assert done["exit_code"] == 0, done["stderr"]
    assert await look(run) == before


async def test_other_limits_or_grants_have_another_starter(run_at) -> None:
    run, confined = run_at(SandboxLevel.LIMITS), run_at(SandboxLevel.LANDLOCK)
    others = ResourceLimits(max_open_files=next(FILES))
    seen = {
        await starter(run),
        await starter(confined),
        int((await confined("echo $PPID", granted=("fs:read:/opt/**",)))["stdout"]),
        int((await run("echo $PPID", limits=others))["stdout"]),
    }
    assert len(seen) == 4


async def test_many_ways_to_be_kept_in_turn(run) -> None:
    """More than are kept ready, so that guards change their starters."""
    for _ in range(2):
        for files in range(40, 48):
            done = await run("ulimit -n", limits=ResourceLimits(max_open_files=files))
            no_limits = done["sandbox"] == "none"
            assert no_limits or done["stdout"] == f"{files}\n"


async def test_limits_that_no_starter_could_bear_are_set(run_at) -> None:
    run = run_at(SandboxLevel.LIMITS)
    tight = ResourceLimits(max_open_files=6, max_memory_bytes=32 << 20)
    for _ in range(2):
        assert (await run("ulimit -n -v", limits=tight))["stdout"].split()[-1] == str(32 << 10)


async def test_a_starter_that_is_killed_ends_its_command(run, workspace) -> None:
    first = await starter(run)
    done = await run("setsid sleep 60 & echo $! $$ > pids; kill -9 $PPID; sleep 60")
    assert done["signal"] == signal.SIGKILL
    assert not any(alive(int(pid)) for pid in (workspace.root / "pids").read_text().split())
    assert await starter(run) != first


async def test_a_starter_that_is_stopped_ends_with_the_time(run, workspace) -> None:
    with pytest.raises(ToolTimeoutError) as caught:
        await run("setsid sleep 60 & echo $! $$ > pids; kill -STOP $PPID; wait", seconds=1)
    assert caught.value.details["tree_ended"] is True
    assert not any(alive(int(pid)) for pid in (workspace.root / "pids").read_text().split())
    assert (await run("echo on"))["stdout"] == "on\n"


async def test_nobody_confined_reaches_the_guard(run_at) -> None:
    run = run_at(SandboxLevel.LANDLOCK)
    first = await starter(run)
    guard = guard_of(first)
    done = await run(f"kill -9 {guard} || kill -0 {guard} || cat /proc/{guard}/environ")
    assert (done["stdout"], done["exit_code"]) == ("", 1)
    assert await starter(run) == first


async def test_nobody_confined_reads_from_a_starter_what_others_were_given(run_at) -> None:
    """The superuser needs more than a process that is not dumpable to be kept from it."""
    run = run_at(SandboxLevel.LANDLOCK)
    done = await run(
        "import os; p = os.getppid(); open('/proc/self/mem', 'rb'); print('own')\n"
        "try: open(f'/proc/{p}/mem', 'rb')\n"
        "except PermissionError: print('kept')",
        PROGRAM, "-I", "-S", "-c", granted=("fs:read:/proc/**",),
    )  # fmt: skip
    assert done["stdout"] == "own\nkept\n"


async def test_a_command_that_kills_its_guard_is_lost_and_ends(run_at, workspace) -> None:
    run = run_at(SandboxLevel.LIMITS)
    guard = guard_of(await starter(run))
    with pytest.raises(CommandStartError, match="without a report"):
        await run(f"echo $$ > pid; kill -9 {guard}; sleep 60")
    await until(lambda: not alive(int((workspace.root / "pid").read_text())))
    assert (await run("echo on"))["stdout"] == "on\n"


async def test_idle_guards_that_are_killed_are_replaced(run) -> None:
    first = await starter(run)
    guard = guard_of(first)
    os.kill(guard, signal.SIGKILL)
    await until(lambda: not alive(guard) and not alive(first))
    assert await starter(run) != first


async def test_idle_starters_that_are_killed_are_replaced(run) -> None:
    first = await starter(run)
    guard = guard_of(first)
    os.kill(first, signal.SIGKILL)
    await until(lambda: not alive(guard))
    assert await starter(run) != first


async def test_after_one_that_left_something_there_is_another(run, workspace) -> None:
    first = await starter(run)
    done = await run("setsid sleep 60 >/dev/null 2>&1 & echo $! > pid")
    assert done["left_behind"] == 1
    assert not alive(int((workspace.root / "pid").read_text()))
    assert not alive(first)
    assert await starter(run) != first


async def test_after_one_that_took_too_long_there_is_another(run) -> None:
    first = await starter(run)
    with pytest.raises(ToolTimeoutError):
        await run("sleep 60", seconds=0.5)
    assert await starter(run) != first


async def test_after_one_that_was_cancelled_there_is_another(run, workspace) -> None:
    first = await starter(run)
    pid = workspace.root / "pid"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "echo $$ > pid.new; mv pid.new pid; sleep 60")
        await until(pid.exists)
        tasks.cancel_scope.cancel()
    assert not alive(int(pid.read_text()))
    assert await starter(run) != first


async def test_after_one_with_too_many_processes_there_is_another(run_at) -> None:
    run = run_at(SandboxLevel.LIMITS)
    first = await starter(run)
    many = "i=0; while [ $i -lt 70 ]; do setsid sleep 60 & i=$((i+1)); done; wait"
    done = await run(many)
    assert done["ended_by"] == "process_limit" or "fork" in str(done["stderr"])
    assert await starter(run) != first


async def test_a_long_command_does_not_wear_out_its_starter(run) -> None:
    first = await starter(run)
    for _ in range(3):
        assert (await run("sleep 0.1; echo slept"))["stdout"] == "slept\n"
    assert await starter(run) == first


async def test_usage_is_that_of_one_command(run) -> None:
    busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    assert cast("int", (await run(busy))["cpu_ns"]) > cast("int", (await run(":"))["cpu_ns"]) * 2


@pytest.mark.parametrize("renamed", [True, False])
async def test_a_directory_put_in_place_of_another_is_the_one(run_at, tmp_path, renamed) -> None:
    run = run_at(SandboxLevel.LANDLOCK)
    data, old = tmp_path / "data", tmp_path / "old"
    granted = (f"fs:*:{data}/**",)
    for turn in range(3):
        data.mkdir()
        (data / "name").write_text(str(turn))
        done = await run(f"cat {data}/name; rm {data}/name; cat {old}/*", granted=granted)
        assert (done["stdout"], list(data.iterdir())) == (str(turn), [])
        if renamed:
            (data / "secret").write_text("s3cret")
            data.rename(old) if turn == 0 else data.rename(tmp_path / f"old{turn}")
        else:
            data.rmdir()


async def test_large_requests_arrive_whole(run) -> None:
    text = "x" * 100_000
    done = await run('printf %s "$1$2$3" | wc -c', "sh", "-c", environment={"LARGE": text})
    assert done["stdout"].strip() == "0"
    arguments = ("sh", "-c", 'shift; printf %s "$@" | wc -c', "sh", "", *[text] * 5)
    assert (await run("end", *arguments))["stdout"].strip() == str(500_000 + 3)


async def test_guards_and_starters_end_with_the_program(workspace: Workspace) -> None:
    code = f"""
import anyio, sys
from toka.tools import *
from toka.capability.core import PermissionSet
context = ToolContext(Workspace({str(workspace.root)!r}), PermissionSet.parse(["proc:run:sh"]))
async def main():
    argv = ["sh", "-c", "echo $PPID"]
    done = await ToolRegistry.builtin().call("run_command", {{"argv": argv}}, context)
    print(done.value["stdout"], flush=True)
    await anyio.sleep_forever()
anyio.run(main)
"""
    process = await anyio.open_process([sys.executable, "-c", code], stderr=None)
    assert process.stdout is not None
    first = int((await process.stdout.receive()).split()[0])
    guard = guard_of(first)
    process.kill()
    await process.wait()
    await process.stdout.aclose()
    await until(lambda: not alive(first) and not alive(guard))
