"""Running a command to its end: input, output, limits, and nothing left behind.

The command is started by a supervisor of its own (see `launcher/`). This side reads the output,
asks for the end when there is too much of it or the time is up, and waits until the supervisor
reports that the whole tree is gone.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.tools._deadline import timed_out
from toka.tools._errors import CommandStartError
from toka.tools.process._fork_server import launch
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._resource_limits import ResourceLimits
    from toka.tools.sandbox._confinement import Confinement

PROCESS_LIMIT: Final = "process_limit"
OUTPUT_LIMIT: Final = "output_limit"

# Longer than the supervisor's grace; only a process that the system itself cannot end takes longer.
FAREWELL_SECONDS: Final = 5.0
_CHUNK: Final = 1 << 16


@attrs.frozen
class Command:
    """What to run."""

    program: str
    """Absolute path."""
    argv: tuple[str, ...]
    directory: int
    """Descriptor of the working directory."""
    environment: Mapping[str, str]
    stdin: bytes
    limits: ResourceLimits | None
    """None for no limits."""
    confinement: Confinement | None = None


@attrs.frozen
class Finished:
    """How it ended. No process of it is alive."""

    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    ended_by: str | None
    """The limit that ended it, if one did."""
    cpu_ns: int
    max_rss_bytes: int
    left_behind: int
    """Processes that outlived the command and were ended."""


@attrs.define
class Running:
    """The pipes of a command; `control` keeps it alive while open. None is closed already."""

    stdin: int | None
    stdout: int
    stderr: int
    control: int | None
    report: int
    room: int
    output: tuple[bytearray, bytearray] = attrs.field(
        factory=lambda: (bytearray(), bytearray()), init=False
    )
    overflow: bool = False

    def stop(self) -> None:
        """Ask the supervisor to end everything."""
        if self.control is not None:
            os.close(self.control)
            self.control = None

    def stop_feeding(self) -> None:
        """Let the command see the end of its input."""
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def close(self) -> None:
        """Release what is held."""
        self.stop()
        self.stop_feeding()
        for descriptor in (self.stdout, self.stderr, self.report):
            os.close(descriptor)


async def run_process(command: Command, timeout_ns: int, output_limit: int) -> Finished:
    """Run a command to its end.

    Raises:
        CommandStartError: The system could not start it.
        ToolTimeoutError: It took too long and was ended with all its children.
    """
    import anyio  # noqa: PLC0415 - 40 ms at import

    running = start(command, timeout_ns, output_limit)
    report = b""
    try:
        with anyio.move_on_after(timeout_ns / NANOSECONDS) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drain, running, 0)
                tasks.start_soon(_drain, running, 1)
                tasks.start_soon(_feed, running, command.stdin)
                report = await read_report(running.report)
                running.stop_feeding()
    finally:
        if not report:
            running.stop()
            with anyio.move_on_after(FAREWELL_SECONDS, shield=True):
                report = await read_report(running.report)
        running.close()
    if scope.cancelled_caught:
        # Without a report nobody can say that the tree is gone; the error must not either.
        details = {"output_bytes": sum(map(len, running.output)), "tree_ended": bool(report)}
        raise timed_out(timeout_ns, details)
    return finished(running, report, command)


def start(command: Command, timeout_ns: int, output_limit: int) -> Running:
    """Start a command whose pipes the caller reads, writes and closes.

    Args:
        command: What to run; its `stdin` is for the caller to write.
        timeout_ns: What a share of a processor is a share of.
        output_limit: The room that the caller gives its output.

    Raises:
        CommandStartError: The system could not start it.
    """
    with ExitStack() as given, ExitStack() as kept:
        document = given.enter_context(_document())
        document.write(_request(command, timeout_ns))
        its_stdin, stdin = os.pipe()
        stdout, its_stdout = os.pipe()
        stderr, its_stderr = os.pipe()
        its_control, control = os.pipe()
        report, its_report = os.pipe()
        theirs = (its_stdin, its_stdout, its_stderr, its_control, its_report)
        for descriptor in theirs:
            given.callback(os.close, descriptor)
        for descriptor in (stdin, stdout, stderr, control, report):
            kept.callback(os.close, descriptor)
            os.set_blocking(descriptor, False)
        try:
            launch((document.fileno(), *theirs, command.directory))
        except OSError as error:
            raise _not_started(command, error.errno or 0) from error
        kept.pop_all()
    return Running(stdin, stdout, stderr, control, report, output_limit)


def _document() -> io.FileIO:
    """Return a file without a name."""
    if sys.platform == "linux":
        return io.FileIO(os.memfd_create("toka-command"), "w+")
    return cast("io.FileIO", tempfile.TemporaryFile(buffering=0))


def _request(command: Command, timeout_ns: int) -> bytes:
    request = {
        "program": command.program,
        "argv": command.argv,
        "environment": dict(command.environment),
        "limits": {} if command.limits is None else _limits(command.limits, timeout_ns),
        "confinement": None if command.confinement is None else attrs.asdict(command.confinement),
    }
    return json.dumps(request).encode()


def _limits(limits: ResourceLimits, timeout_ns: int) -> dict[str, int]:
    seconds = timeout_ns / NANOSECONDS
    cpu = None if limits.max_cpu_percent is None else seconds * limits.max_cpu_percent / 100
    wanted = {
        "memory": limits.max_memory_bytes,
        "cpu": None if cpu is None else max(1, int(cpu + 1)),
        "file": limits.max_file_bytes,
        "files": limits.max_open_files,
        "processes": limits.max_processes,
    }
    return {key: value for key, value in wanted.items() if value is not None}


async def _drain(running: Running, which: int) -> None:
    descriptor = (running.stdout, running.stderr)[which]
    while data := await read_some(descriptor):
        kept = data[: running.room]
        running.room -= len(kept)
        running.output[which].extend(kept)
        if len(kept) < len(data):
            running.overflow = True
            running.stop()


async def read_some(descriptor: int) -> bytes:
    """Return what a pipe has, once it has something; nothing at its end."""
    import anyio  # noqa: PLC0415 - see run_process

    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(descriptor)


async def read_report(descriptor: int) -> bytes:
    """Return what the supervisor says at the end, or nothing if it cannot."""
    report = b""
    while data := await read_some(descriptor):
        report += data
    return report


async def _feed(running: Running, data: bytes) -> None:
    import anyio  # noqa: PLC0415 - see run_process

    view = memoryview(data)
    while view and running.stdin is not None:
        try:
            view = view[os.write(running.stdin, view) :]
        except BlockingIOError:
            await anyio.wait_writable(running.stdin)
        except BrokenPipeError:
            break  # The command does not want to read more, which is its right.
    running.stop_feeding()


def finished(running: Running, report: bytes, command: Command) -> Finished:
    kind, *numbers = report.decode().split() or ["lost"]
    if kind == "lost":
        raise CommandStartError(
            f"The supervisor of {command.argv[0]} ended without a report.",
            hint="The command may have ended it. Its processes may still run.",
            details={"program": command.program},
        )
    number, cpu, memory, left = map(int, numbers)
    if kind == "error":
        raise _not_started(command, number)
    ended_by = OUTPUT_LIMIT if running.overflow else None
    if kind == "processes":
        ended_by = PROCESS_LIMIT
    return Finished(
        exit_code=number if kind == "exit" else None,
        signal=number if kind == "signal" else 9 if kind == "processes" else None,
        stdout=bytes(running.output[0]),
        stderr=bytes(running.output[1]),
        ended_by=ended_by,
        cpu_ns=cpu,
        max_rss_bytes=memory,
        left_behind=left,
    )


def _not_started(command: Command, number: int) -> CommandStartError:
    return CommandStartError(
        f"{command.program} could not be started: {os.strerror(number)}.",
        details={"program": command.program, "error": os.strerror(number)},
    )
