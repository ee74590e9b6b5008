"""A server that is a command: one message a line, in a sandbox, ended with all its processes.

The task in `run` owns the process: it starts it, reads it and buries it, and nobody else enters or
leaves a scope of it. Requests put lines into a bounded queue, so that to cancel one never leaves
half a line in the pipe.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import attrs

from toka.capability.core import PermissionSet, PermissionSyntaxError
from toka.tools._resource_limits import ResourceLimits
from toka.tools.files._paths import open_directory
from toka.tools.mcp._errors import ConnectionLostError, ProtocolError
from toka.tools.mcp._messages import Message, decode, encode_notification
from toka.tools.mcp.client._errors import InvalidServerError
from toka.tools.process._process import (
    FAREWELL_SECONDS,
    Command,
    Running,
    read_report,
    read_some,
    start,
)
from toka.tools.process._programs import DEFAULT_PATH, base_environment, find_program
from toka.tools.sandbox import SandboxLevel, SandboxPolicy, require
from toka.tools.sandbox._confinement import confinement

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import TaskStatus
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from toka.tools._context import Workspace
    from toka.tools.mcp._messages import RequestId
    from toka.tools.mcp.client._config import ServerConfig
    from toka.tools.mcp.client._transport import OnMessage, Outgoing

QUEUED_LINES: Final = 64
MAX_STRAY_LINES: Final = 1_000
"""Lines that are no messages; many servers print their log where messages belong."""
MAX_DIAGNOSTIC_BYTES: Final = 8_192
GOODBYE_SECONDS: Final = 0.5
"""For a server to end by itself once its input is closed, as the specification asks of it."""
CANCEL_SECONDS: Final = 0.2

logger = logging.getLogger(__name__)


@attrs.define
class _Waiting:
    done: anyio.Event = attrs.field(factory=anyio.Event)
    answer: Message | None = None


@attrs.define(eq=False)
class StdioTransport:
    """The connection to one process."""

    _server: str
    _config: ServerConfig
    _workspace: Workspace
    _on_message: OnMessage
    _scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope, init=False)
    _ended: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _pending: dict[RequestId, _Waiting] = attrs.field(
        factory=dict["RequestId", _Waiting], init=False
    )
    _lines: MemoryObjectSendStream[bytes] = attrs.field(init=False)
    _queued: MemoryObjectReceiveStream[bytes] = attrs.field(init=False)
    _fault: ProtocolError | None = attrs.field(default=None, init=False)
    _said: bytearray = attrs.field(factory=bytearray, init=False)
    _stray: deque[bytes] = attrs.field(factory=lambda: deque[bytes](maxlen=8), init=False)
    _strays: int = attrs.field(default=0, init=False)
    _how: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._lines, self._queued = anyio.create_memory_object_stream[bytes](QUEUED_LINES)

    @property
    def alive(self) -> bool:
        """Whether the process runs, as far as is known."""
        return not self._ended.is_set() and not self._scope.cancel_called

    @property
    def diagnostics(self) -> str:
        """The end of what the server wrote for people; it may hold anything."""
        return self._said.decode("utf-8", "replace")

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start the process, and own it until it ends or is closed.

        Raises:
            ToolError: It cannot be started; only before `task_status` is told.
        """
        try:
            await require(self._config.level)
            await self._own(self._start(), task_status)
        finally:
            self._lines.close()
            self._queued.close()

    async def _own(self, running: Running, task_status: TaskStatus[None]) -> None:
        try:
            task_status.started()
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write, running)
                    tasks.start_soon(self._listen_to_people, running)
                    await self._read(running)
                    tasks.cancel_scope.cancel()
        finally:
            await self._bury(running)

    def _start(self) -> Running:
        _warn_of_what_is_not_held(self._server, self._config)
        cwd = self._config.cwd or str(self._workspace.root)
        with open_directory(os.path.realpath(cwd)) as directory:
            return start(_command(self._config, self._workspace, directory), 0, 0)

    async def _bury(self, running: Running) -> None:
        report = b""
        with anyio.CancelScope(shield=True):
            running.stop_feeding()
            with anyio.move_on_after(GOODBYE_SECONDS):
                report = await read_report(running.report)
            if not report:
                running.stop()
                with anyio.move_on_after(FAREWELL_SECONDS):
                    report = await read_report(running.report)
            running.close()
        kind, number = (report.decode().split() or ["lost", "0"])[:2]
        self._how = {"exit": f"exit status {number}", "signal": f"signal {number}"}.get(kind, "")
        if kind == "error":
            self._how = os.strerror(int(number))
        self._ended.set()
        for waiting in self._pending.values():
            waiting.done.set()

    async def _read(self, running: Running) -> None:
        buffer = bytearray()
        while data := await read_some(running.stdout):
            # A pipe that is never empty would otherwise leave no other task a turn.
            await anyio.lowlevel.checkpoint()
            *lines, rest = data.split(b"\n")
            for line in lines:
                buffer += line
                if not self._take(bytes(buffer)):
                    return
                buffer.clear()
            buffer += rest
            if len(buffer) > self._config.max_message_bytes:
                self._fail(f"a message of more than {self._config.max_message_bytes} bytes")
                return

    def _take(self, line: bytes) -> bool:
        """Look at one line; say whether to go on."""
        if len(line) > self._config.max_message_bytes:
            self._fail(f"a message of more than {self._config.max_message_bytes} bytes")
            return False
        if not line.strip():
            return True
        try:
            message = decode(line)
        except ProtocolError:
            self._stray.append(line[:200])
            self._strays += 1
            if self._strays > MAX_STRAY_LINES:
                self._fail(f"{self._strays} lines that are no messages")
            return self._fault is None
        if not message.is_response:
            self._on_message(message)
        elif isinstance(message.id, (int, str)):
            # An id that nobody waits for is passed over: an answer given up, or never asked for.
            waiting = self._pending.pop(message.id, None)
            if waiting is not None:
                waiting.answer = message
                waiting.done.set()
        return True

    def _fail(self, what: str) -> None:
        self._fault = ProtocolError(f"{self._server} sent {what}, and was ended.")

    async def _write(self, running: Running) -> None:
        async for line in self._queued:
            view = memoryview(line)
            while view and running.stdin is not None:
                try:
                    view = view[os.write(running.stdin, view) :]
                except BlockingIOError:
                    await anyio.wait_writable(running.stdin)
                except BrokenPipeError:
                    return  # It reads no more; what it still writes is read to the end.

    async def _listen_to_people(self, running: Running) -> None:
        while data := await read_some(running.stderr):
            await anyio.lowlevel.checkpoint()
            self._said += data
            del self._said[:-MAX_DIAGNOSTIC_BYTES]

    async def request(self, outgoing: Outgoing) -> Message:
        """Send a request and return its answer.

        Raises:
            ConnectionLostError: The process ended, or had ended.
            ProtocolError: It sent what is never accepted, and was ended.
        """
        waiting = _Waiting()
        self._pending[outgoing.id] = waiting
        try:
            await self.send(outgoing.body)
            await waiting.done.wait()
        except anyio.get_cancelled_exc_class():
            await self._give_up(outgoing.id)
            raise
        finally:
            self._pending.pop(outgoing.id, None)
        if waiting.answer is None:
            raise self._lost()
        return waiting.answer

    async def _give_up(self, request_id: RequestId) -> None:
        note = encode_notification("notifications/cancelled", {"requestId": request_id})
        with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(ConnectionLostError):
            await self.send(note)

    async def send(self, body: bytes) -> None:
        """Send one message.

        Raises:
            ConnectionLostError: The process ended.
        """
        if not self.alive:
            raise self._lost()
        try:
            await self._lines.send(body + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._lost() from None

    async def listen(self) -> None:
        """Do nothing: there is only one connection."""

    def set_revision(self, revision: str) -> None:
        """Do nothing: no line says a revision but in its contents."""

    async def close(self) -> None:
        """End the process and all that it started."""
        self._scope.cancel()
        await self._ended.wait()

    def _lost(self) -> ConnectionLostError | ProtocolError:
        if self._fault is not None:
            return self._fault
        how = f" ({self._how})" if self._how else ""
        return ConnectionLostError(
            f"The server {self._server} ended{how} before it answered.",
            hint="It is started again at the next call.",
            details={"server": self._server, "stray_lines": self._strays},
        )


def _warn_of_what_is_not_held(server: str, config: ServerConfig) -> None:
    if config.restrictions and not config.level.confines:
        logger.warning(
            "The server %s runs in a sandbox of level %s, which does not hold its %s;"
            " landlock and namespaces do.",
            server,
            config.level,
            config.restrictions,
        )


def _command(config: ServerConfig, workspace: Workspace, directory: int) -> Command:
    program, _ = find_program(config.command or "", DEFAULT_PATH)
    try:
        granted = PermissionSet.parse(config.grants)
    except PermissionSyntaxError as error:
        raise InvalidServerError(f"`grants`: {error.message}") from error
    kept = confinement(
        SandboxPolicy(config.level, tuple(_paths(config))),
        granted,
        program=program,
        scratch=workspace.scratch,
        protected=workspace.protected,
        network=config.network is True,
    )
    home = str(workspace.scratch or "/nonexistent")
    limits = ResourceLimits(max_memory_bytes=config.memory_bytes)
    return Command(
        program=program,
        argv=(config.command or "", *config.args),
        directory=directory,
        environment={**base_environment(program, DEFAULT_PATH, home), **config.environment()},
        stdin=b"",
        limits=None if config.level is SandboxLevel.NONE else limits,
        confinement=kept,
    )


def _paths(config: ServerConfig) -> list[Path]:
    from pathlib import Path  # noqa: PLC0415 - one use

    return [Path(path) for path in config.readable]
