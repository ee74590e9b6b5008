"""The one process beside this one that starts commands, and its guards; see `launcher/`."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv[1]);from launcher import serve; serve(int(sys.argv[2]))"
)
MOST_IDLE: Final = 4


@attrs.define(eq=False)
class Guard:
    """A connection to the guard of one command at a time."""

    connection: socket.socket
    key: bytes
    """Of the last request: another one with this key can be served at once."""

    def send(self, key: bytes, descriptors: Sequence[int]) -> None:
        """Ask for a command.

        Raises:
            OSError: It is not there any more.
        """
        self.key = key
        with suppress(BlockingIOError):
            # It says nothing unasked, so this is the end; the end alone would show when sending.
            self.connection.recv(1, socket.MSG_PEEK)
            raise BrokenPipeError
        socket.send_fds(self.connection, [key], list(descriptors))


@attrs.define(eq=False)
class ForkServer:
    """A server for this process; it ends when this process does, however that happens."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    owner: int = attrs.field(factory=os.getpid)
    idle: list[Guard] = attrs.field(factory=list[Guard])
    """The one that was used last at the end."""

    @classmethod
    def start(cls) -> ForkServer:
        """Start one.

        Raises:
            OSError: The system cannot start it.
        """
        import subprocess  # noqa: PLC0415 - 10 ms that importing the tools need not cost

        mine, its = socket.socketpair()
        with its:
            command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM]
            command += [str(Path(__file__).parents[1]), str(its.fileno())]
            process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Nothing of this process's environment: a command may read its ancestors' in /proc.
                env={},
                pass_fds=(its.fileno(),),
                start_new_session=True,
            )
        return cls(process, mine)

    @property
    def usable(self) -> bool:
        """Whether it is this process's own, and alive."""
        return self.owner == os.getpid() and self.process.poll() is None

    def choose(self, key: bytes) -> Guard | None:
        """Take an idle guard for a request, if one fits or there are enough of them."""
        for guard in reversed(self.idle):
            if guard.key == key:
                self.idle.remove(guard)
                return guard
        return self.idle.pop(0) if len(self.idle) >= MOST_IDLE else None

    def fork(self) -> Guard:
        """Have another guard.

        Raises:
            OSError: The server is not there any more.
        """
        mine, its = socket.socketpair()
        with its:
            try:
                socket.send_fds(self.channel, [b"+"], [its.fileno()])
            except OSError:
                mine.close()
                raise
        mine.setblocking(False)
        return Guard(mine, b"")

    def close(self) -> None:
        """End it and the idle guards. Commands that run are ended by whoever asked for them."""
        self.channel.close()
        for guard in self.idle:
            guard.connection.close()
        self.idle.clear()
        if self.owner == os.getpid():
            self.process.wait()


_lock = threading.Lock()
_server: ForkServer | None = None


def launch(key: bytes, descriptors: Sequence[int]) -> Guard:
    """Have a command started; `launcher` names what is sent.

    Raises:
        OSError: The system cannot start a process.
    """
    with _lock:
        while _server is not None and _server.usable:
            # Any of them may have been ended since, by a command of the same user.
            guard = _server.choose(key)
            if guard is None:
                break
            try:
                guard.send(key, descriptors)
            except OSError:
                guard.connection.close()
            else:
                return guard
        guard = _fork()
        try:
            guard.send(key, descriptors)
        except OSError:
            guard.connection.close()
            raise
        return guard


def give_back(guard: Guard) -> None:
    """Keep a guard, which has reported that it can be asked again, for a further command."""
    with _lock:
        if _server is not None and _server.usable and len(_server.idle) < MOST_IDLE:
            _server.idle.append(guard)
            return
    guard.connection.close()


def _fork() -> Guard:
    global _server  # noqa: PLW0603 - one for this process, as the process itself is one
    if _server is not None and _server.usable:
        with suppress(OSError):
            return _server.fork()
    if _server is not None:
        _server.close()
    else:
        atexit.register(_end)
    _server = ForkServer.start()
    return _server.fork()


def _end() -> None:
    if _server is not None:
        _server.close()


def _after_fork() -> None:
    # The lock may have been held, and the server and its guards are the parent's: with a copy of
    # a connection here they would not see its end.
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    if _server is not None:
        _server.close()


os.register_at_fork(after_in_child=_after_fork)
