"""Running a command to its end: input, output, limits, and nothing left behind.

The command is started by `_launcher.py` in a process of its own. This side reads the output, asks
for the end when there is too much of it or the time is up, and waits until the launcher reports
that the whole tree is gone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._deadline import timed_out
from toka.tools._errors import CommandStartError
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._context import ResourceLimits

PROCESS_LIMIT: Final = "process_limit"
OUTPUT_LIMIT: Final = "output_limit"

# Longer than the launcher's grace; only a process that the system itself cannot end takes longer.
_FAREWELL_SECONDS: Final = 5.0
_CHUNK: Final = 1 << 16
_IMPORT: Final = "import sys; sys.path.append(sys.argv.pop(1)); from _launcher import main; main()"


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
    limits: ResourceLimits


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
class _Running:
    """The streams of a command, and the end of a pipe that keeps it alive while open."""

    process: subprocess.Popen[bytes]
    report: int
    control: int | None
    room: int
    output: tuple[bytearray, bytearray] = attrs.field(
        factory=lambda: (bytearray(), bytearray()), init=False
    )
    overflow: bool = False

    def stop(self) -> None:
        """Ask the launcher to end everything."""
        if self.control is not None:
            os.close(self.control)
            self.control = None

    def close(self) -> None:
        """Release what is held; the launcher does not survive this."""
        self.stop()
        os.close(self.report)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


async def run_process(command: Command, timeout_ns: int, output_limit: int) -> Finished:
    """Run a command to its end.

    Raises:
        CommandStartError: The system could not start it.
        ToolTimeoutError: It took too long and was ended with all its children.
    """
    import anyio  # noqa: PLC0415 - 40 ms at import

    running = _start(command, timeout_ns, output_limit)
    report = b""
    try:
        with anyio.move_on_after(timeout_ns / NANOSECONDS) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drain, running, 0)
                tasks.start_soon(_drain, running, 1)
                tasks.start_soon(_feed, running, command.stdin)
                report = await _read_report(running.report)
                _stop_feeding(running)
    finally:
        if not report:
            running.stop()
            with anyio.move_on_after(_FAREWELL_SECONDS, shield=True):
                report = await _read_report(running.report)
        running.close()
    if scope.cancelled_caught:
        # Without a report nobody can say that the tree is gone; the error must not either.
        details = {"output_bytes": sum(map(len, running.output)), "tree_ended": bool(report)}
        raise timed_out(timeout_ns, details)
    return _finished(running, report, command)


def _start(command: Command, timeout_ns: int, output_limit: int) -> _Running:
    with ExitStack() as opened:
        control, keep = _pipe(opened)
        report, tell = _pipe(opened)
        passed = (control, tell, command.directory)
        here = str(Path(__file__).parent)
        launcher = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _IMPORT, here]
        launcher += [str(number) for number in passed]
        launcher += [_settings(command, timeout_ns), command.program, *command.argv]
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list, checked by the caller
                launcher,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=dict(command.environment),
                pass_fds=passed,
                start_new_session=True,
            )
        except OSError as error:
            raise _not_started(command, error.errno or 0) from error
        opened.pop_all()
    os.close(control)
    os.close(tell)
    for stream in (process.stdin, process.stdout, process.stderr):
        os.set_blocking(_number(stream), False)
    os.set_blocking(report, False)
    return _Running(process, report, keep, output_limit)


def _pipe(opened: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends


def _settings(command: Command, timeout_ns: int) -> str:
    limits = command.limits
    seconds = timeout_ns / NANOSECONDS
    cpu = None if limits.max_cpu_percent is None else seconds * limits.max_cpu_percent / 100
    settings = {
        "memory": limits.max_memory_bytes,
        "cpu": None if cpu is None else max(1, int(cpu + 1)),
        "file": limits.max_file_bytes,
        "files": limits.max_open_files,
        "processes": limits.max_processes,
        "locale": 1 if "LC_CTYPE" in command.environment else None,
    }
    return ",".join([f"{key}={value}" for key, value in settings.items() if value is not None])


def _number(stream: object) -> int:
    fileno = getattr(stream, "fileno", None)
    if fileno is None:
        raise TypeError("Every stream of a command is a pipe.")
    return int(fileno())


async def _drain(running: _Running, which: int) -> None:
    descriptor = _number((running.process.stdout, running.process.stderr)[which])
    while data := await _read_some(descriptor):
        kept = data[: running.room]
        running.room -= len(kept)
        running.output[which].extend(kept)
        if len(kept) < len(data):
            running.overflow = True
            running.stop()


async def _read_some(descriptor: int) -> bytes:
    import anyio  # noqa: PLC0415 - see run_process

    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(descriptor)


async def _read_report(descriptor: int) -> bytes:
    report = b""
    while data := await _read_some(descriptor):
        report += data
    return report


async def _feed(running: _Running, data: bytes) -> None:
    import anyio  # noqa: PLC0415 - see run_process

    view = memoryview(data)
    while view and running.process.stdin is not None:
        try:
            view = view[os.write(_number(running.process.stdin), view) :]
        except BlockingIOError:
            await anyio.wait_writable(_number(running.process.stdin))
        except BrokenPipeError:
            break  # The command does not want to read more, which is its right.
    _stop_feeding(running)


def _stop_feeding(running: _Running) -> None:
    stream, running.process.stdin = running.process.stdin, None
    if stream is not None:
        stream.close()


def _finished(running: _Running, report: bytes, command: Command) -> Finished:
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
