"""The one process beside this one that starts commands; see `launcher/`."""

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


@attrs.define(eq=False)
class ForkServer:
    """A server for this process; it ends when this process does, however that happens."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    owner: int = attrs.field(factory=os.getpid)

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

    def send(self, descriptors: Sequence[int]) -> None:
        """Ask for a command.

        Raises:
            OSError: It is not there any more.
        """
        socket.send_fds(self.channel, [b"+"], list(descriptors))

    def close(self) -> None:
        """End it. Commands that run are ended by whoever asked for them."""
        self.channel.close()
        if self.owner == os.getpid():
            self.process.wait()


_lock = threading.Lock()
_server: ForkServer | None = None


def launch(descriptors: Sequence[int]) -> None:
    """Have a command started: the descriptors are those that `launcher` names, in their order.

    Raises:
        OSError: The system cannot start a process.
    """
    global _server  # noqa: PLW0603 - one for this process, as the process itself is one
    with _lock:
        if _server is not None and _server.usable:
            # It may have been ended since, by a command of the same user; then there is another.
            with suppress(OSError):
                _server.send(descriptors)
                return
        if _server is not None:
            _server.close()
        else:
            atexit.register(_end)
        _server = ForkServer.start()
        _server.send(descriptors)


def _end() -> None:
    if _server is not None:
        _server.close()


def _after_fork() -> None:
    # The lock may have been held, and the server is the parent's.
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
