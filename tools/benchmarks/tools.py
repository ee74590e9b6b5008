"""Calls of tools: what the registry adds to a function, and what the sandbox adds to a command.

A tool that does nothing is called through the registry: its arguments are held against the schema,
what it needs is derived from them, and that is looked up among the permissions. Its floor is the
same function awaited, and beside it a check by `jsonschema` alone.

`true` is run as the tool `run_command` runs it, kept in at each level, its output read and its
whole tree known to be gone. The bare spawn is `subprocess.run` with its output read, and the floor
below it `posix_spawn` and a wait, with nothing read. Of both, the time that passes and, which other
work on the machine changes less, the processor time of all processes that have a part in it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from toka.capability.core import PermissionSet
from toka.tools import SandboxLevel, SandboxPolicy, ToolContext, ToolRegistry, Workspace, tool
from workshop.measure import Measure, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.types import JsonObject

    Call = Callable[[], Awaitable[object]]

CALLS: Final = 20_000
COMMANDS: Final = 40
ARGUMENTS: Final[JsonObject] = {"path": "docs/a.txt", "count": 3}


@tool(side_effect="none", taints=False, requests=lambda _, __: ("demo:read:docs/a.txt",))
async def nothing(path: str, count: int = 1) -> None:
    """Do nothing."""


def context(level: SandboxLevel = SandboxLevel.LIMITS) -> ToolContext:
    """Return the conditions of a call that is allowed."""
    granted = PermissionSet.parse(["demo:read:docs/**", "proc:run:true", "fs:read:/data/**"])
    root = Path(tempfile.gettempdir())
    return ToolContext(Workspace(root), granted, sandbox=SandboxPolicy(level))


def through_registry(call: str) -> Call:
    """Call through the registry, with arguments as an object or as JSON text."""
    registry, conditions = ToolRegistry.of([nothing]), context()
    arguments = ARGUMENTS if call == "object" else '{"path": "docs/a.txt", "count": 3}'
    return partial(registry.call, "nothing", arguments, conditions)


def awaited() -> Call:
    """Await a function with the same arguments."""

    async def bare(path: str, count: int = 1) -> None:
        pass

    return partial(bare, "docs/a.txt", count=3)


def validated() -> Call:
    """Check the arguments with `jsonschema` and do nothing else."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - a peer

    validator = Draft202012Validator(nothing.parameters)

    async def check() -> None:
        validator.validate(ARGUMENTS)  # pyright: ignore[reportUnknownMemberType] - it has no types

    return check


async def _often(call: Call, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        await call()
    return time.perf_counter() - began


def rate(make: Callable[[], Call]) -> float:
    """Return how many calls there are in a second, one after another."""
    call = make()
    asyncio.run(_often(call, CALLS // 20))
    return CALLS / asyncio.run(_often(call, CALLS))


def command(level: SandboxLevel) -> float:
    """Return the milliseconds of one `true` at a level, one after another."""

    async def run() -> float:
        registry, conditions = ToolRegistry.builtin(), context(level)
        call = partial(registry.call, "run_command", {"argv": ["true"]}, conditions)
        await _often(call, 2)  # The server that starts commands, and the proof of the level.
        return await _often(call, COMMANDS)

    return asyncio.run(run()) / COMMANDS * 1000


def processor_time_of_command(level: SandboxLevel) -> float:
    """Return the milliseconds of processor time of one `true` at a level."""

    async def run() -> float:
        registry, conditions = ToolRegistry.builtin(), context(level)
        call = partial(registry.call, "run_command", {"argv": ["true"]}, conditions)
        await _often(call, 2)
        began, commands = time.process_time_ns() + sum(_used_by_launcher().values()), 0
        for _ in range(COMMANDS):
            result = await call()
            commands += cast("dict[str, int]", result.value)["cpu_ns"]
        return time.process_time_ns() + sum(_used_by_launcher().values()) - began + commands

    return asyncio.run(run()) / COMMANDS / 1e6


def _used_by_launcher() -> dict[int, int]:
    """Return the processor time of each process below this one, without that of its children."""
    parents = dict[int, int]()
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (directory / "stat").read_bytes().rpartition(b")")[2].split()
            parents[int(directory.name)] = int(fields[1])
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    below.remove(os.getpid())
    return {pid: int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[0]) for pid in below}


def processor_time_of_spawn() -> float:
    """Return the milliseconds of processor time of one `true` whose output is read."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    began = used()
    spawned_and_read()
    return (used() - began) / COMMANDS * 1000


def spawned() -> float:
    """Return the milliseconds of one `true` that is only spawned and waited for."""
    began = time.perf_counter()
    for _ in range(COMMANDS):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return (time.perf_counter() - began) / COMMANDS * 1000


def spawned_and_read() -> float:
    """Return the milliseconds of one `true` whose output is read."""
    began = time.perf_counter()
    for _ in range(COMMANDS):
        subprocess.run(["/bin/true"], env={}, capture_output=True, check=True)
    return (time.perf_counter() - began) / COMMANDS * 1000


def spawned_by_asyncio() -> float:
    """Return the milliseconds of one `true` whose output `asyncio` reads."""

    async def run() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("/bin/true", stdout=pipe, stderr=pipe)
        await process.communicate()

    return asyncio.run(_often(run, COMMANDS)) / COMMANDS * 1000


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "a call through registry, schema and capability check",
            "calls/s",
            {
                "ours": partial(rate, partial(through_registry, "object")),
                "ours, from JSON text": partial(rate, partial(through_registry, "text")),
                "jsonschema alone": partial(rate, validated),
                "the function alone": partial(rate, awaited),
            },
            [at_least(30_000)],
        ),
        Measure(
            "true at level landlock",
            "ms",
            {
                "ours": partial(command, SandboxLevel.LANDLOCK),
                "ours, limits": partial(command, SandboxLevel.LIMITS),
                "ours, namespaces": partial(command, SandboxLevel.NAMESPACES),
                "asyncio": spawned_by_asyncio,
                "bare spawn": spawned_and_read,
                "posix_spawn": spawned,
            },
            [at_most(3, times="bare spawn")],
        ),
        Measure(
            "true at level landlock, processor time",
            "ms",
            {
                "ours": partial(processor_time_of_command, SandboxLevel.LANDLOCK),
                "ours, limits": partial(processor_time_of_command, SandboxLevel.LIMITS),
                "bare spawn": processor_time_of_spawn,
            },
            [at_most(3, times="bare spawn")],
        ),
    ]
