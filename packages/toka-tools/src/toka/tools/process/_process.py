"""Running a command to its end: input, output, limits, and nothing left behind.

The command is started beside a guard (see `launcher/`). This side reads the output, asks for the
end when there is too much of it or the time is up, and waits until it is told that the whole tree
is gone.
"""

from __future__ import annotations

import hashlib
import io
import marshal
import os
import selectors
import socket
import sys
import tempfile
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.tools._deadline import timed_out
from toka.tools._errors import CommandStartError
from toka.tools.process._fork_server import Guard, give_back, launch
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._resource_limits import ResourceLimits
    from toka.tools.sandbox._confinement import Confinement

PROCESS_LIMIT: Final = "process_limit"
OUTPUT_LIMIT: Final = "output_limit"

# Longer than the guard's grace; only a process that the system itself cannot end takes longer.
FAREWELL_SECONDS: Final = 5.0
_CHUNK: Final = 1 << 16
_KEY_BYTES: Final = 16


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
    """The pipes of a command, and the connection to its guard. None is closed already."""

    stdin: int | None
    stdout: int
    stderr: int
    guard: Guard
    room: int
    output: tuple[bytearray, bytearray] = attrs.field(
        factory=lambda: (bytearray(), bytearray()), init=False
    )
    overflow: bool = False

    @property
    def report(self) -> int:
        """Where the guard reports; see `read_report`."""
        return self.guard.connection.fileno()

    def stop(self) -> None:
        """Ask the guard to end everything."""
        with suppress(OSError):  # It has ended, and so has everything.
            self.guard.connection.shutdown(socket.SHUT_WR)

    def stop_feeding(self) -> None:
        """Let the command see the end of its input."""
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def close(self, report: bytes = b"") -> None:
        """Release what is held, but keep the guard if a report says that it can go on."""
        self.stop_feeding()
        for descriptor in (self.stdout, self.stderr):
            os.close(descriptor)
        if report.endswith(b" 1\n"):
            give_back(self.guard)
        else:
            self.guard.connection.close()


async def run_process(command: Command, timeout_ns: int, output_limit: int) -> Finished:
    """Run a command to its end.

    Raises:
        CommandStartError: The system could not start it.
        ToolTimeoutError: It took too long and was ended with all its children.
    """
    import anyio  # noqa: PLC0415 - 40 ms at import

    running = start(command, timeout_ns, output_limit)
    exchange = _Exchange(running, memoryview(command.stdin))
    try:
        with anyio.move_on_after(timeout_ns / NANOSECONDS) as scope:
            await exchange.run()
    finally:
        if not exchange.report:
            running.stop()
            with anyio.move_on_after(FAREWELL_SECONDS, shield=True):
                exchange.report = await read_report(running.report)
        running.close(exchange.report)
    if scope.cancelled_caught:
        # Without a report nobody can say that the tree is gone; the error must not either.
        details = {
            "output_bytes": sum(map(len, running.output)),
            "tree_ended": bool(exchange.report),
        }
        raise timed_out(timeout_ns, details)
    return finished(running, exchange.report, command)


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
        key, data = _request(command, timeout_ns)
        document.write(data)
        its_stdin, stdin = os.pipe()
        stdout, its_stdout = os.pipe()
        stderr, its_stderr = os.pipe()
        theirs = (its_stdin, its_stdout, its_stderr)
        for descriptor in theirs:
            given.callback(os.close, descriptor)
        for descriptor in (stdin, stdout, stderr):
            kept.callback(os.close, descriptor)
            os.set_blocking(descriptor, False)
        try:
            guard = launch(key, (document.fileno(), *theirs, command.directory))
        except OSError as error:
            raise _not_started(command, error.errno or 0) from error
        kept.pop_all()
    return Running(stdin, stdout, stderr, guard, output_limit)


def _document() -> io.FileIO:
    """Return a file without a name."""
    if sys.platform == "linux":
        return io.FileIO(os.memfd_create("toka-command"), "w+")
    return cast("io.FileIO", tempfile.TemporaryFile(buffering=0))


def _request(command: Command, timeout_ns: int) -> tuple[bytes, bytes]:
    """Return what is equal for commands that are kept in the same way, and the whole."""
    confinement = command.confinement
    kept = (
        {} if command.limits is None else _limits(command.limits, timeout_ns),
        None if confinement is None else attrs.astuple(confinement),
    )
    run = (command.program, command.argv, dict(command.environment))
    return hashlib.sha256(repr(kept).encode()).digest()[:_KEY_BYTES], marshal.dumps((*run, *kept))


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


async def read_some(descriptor: int) -> bytes:
    """Return what a pipe has, once it has something; nothing at its end."""
    import anyio  # noqa: PLC0415 - see run_process

    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(descriptor)


async def read_report(descriptor: int) -> bytes:
    """Return what the guard says at the end, or nothing if it cannot."""
    report = b""
    with suppress(ConnectionResetError):  # It ended with something unread.
        while not report.endswith(b"\n") and (data := await read_some(descriptor)):
            report += data
    return report


@attrs.define
class _Exchange:
    """Reads what a command writes and its report, and feeds it its input, as each is possible."""

    _running: Running
    _input: memoryview
    report: bytes = attrs.field(default=b"", init=False)
    _selector: selectors.DefaultSelector = attrs.field(
        factory=selectors.DefaultSelector, init=False
    )

    async def run(self) -> None:
        """Return when it has reported and its output is at an end."""
        import anyio  # noqa: PLC0415 - see run_process

        running = self._running
        # One wait for all of them costs a third of a task for each.
        with self._selector as selector:
            for which, descriptor in enumerate((running.stdout, running.stderr)):
                selector.register(descriptor, selectors.EVENT_READ, partial(self._drain, which))
            selector.register(running.report, selectors.EVENT_READ, self._listen)
            self._feed(-1)
            while selector.get_map():
                await anyio.wait_readable(selector)
                for key, _ in selector.select(0):
                    key.data(key.fd)

    def _drain(self, which: int, descriptor: int) -> None:
        running = self._running
        data = os.read(descriptor, _CHUNK)
        if not data:
            self._selector.unregister(descriptor)
        kept = data[: running.room]
        running.room -= len(kept)
        running.output[which].extend(kept)
        if len(kept) < len(data):
            running.overflow = True
            running.stop()

    def _listen(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _CHUNK)
        except ConnectionResetError:  # It ended with something unread.
            data = b""
        self.report += data
        if not data or data.endswith(b"\n"):
            self._selector.unregister(descriptor)
            self._end_feeding()

    def _feed(self, _descriptor: int) -> None:
        stdin = self._running.stdin
        try:
            while self._input and stdin is not None:
                self._input = self._input[os.write(stdin, self._input) :]
        except BlockingIOError:
            if stdin is not None and stdin not in self._selector.get_map():
                self._selector.register(stdin, selectors.EVENT_WRITE, self._feed)
            return
        except BrokenPipeError:
            pass  # The command does not want to read more, which is its right.
        self._end_feeding()

    def _end_feeding(self) -> None:
        stdin = self._running.stdin
        if stdin is not None and stdin in self._selector.get_map():
            self._selector.unregister(stdin)
        self._running.stop_feeding()


def finished(running: Running, report: bytes, command: Command) -> Finished:
    kind, *numbers = report.decode().split() or ["lost"]
    if kind == "lost":
        raise CommandStartError(
            f"The guard of {command.argv[0]} ended without a report.",
            hint="The command may have ended it. Its processes may still run.",
            details={"program": command.program},
        )
    number, cpu, memory, left, _ = map(int, numbers)
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
