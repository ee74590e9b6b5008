"""The guard: has a starter start commands, and ends everything if anything is out of order.

While all is well it sleeps: the starter takes the requests and reports how commands ended. The
guard does both of these itself once the program wants an end, the starter is gone, a command has
too many processes, or has left some behind. It then ends its whole tree and itself.

A report is one line: kind, number, processor time, memory, processes left behind, and whether there
may be another request.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from ._calls import PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, set_attribute
from ._course import GRACE_SECONDS
from ._starter import AGAIN, GONE, attend
from ._tree import LINUX, Crowd, Usage, end_tree

if TYPE_CHECKING:
    import socket

COUNT_SECONDS = 0.02
# The starter asks for the end first and can say more about it; this is for one that does not.
LATE_SECONDS = GRACE_SECONDS + 0.2
_HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)


def guard(program: socket.socket) -> NoReturn:
    """Fork starters for the requests of a connection, one after another, to its end."""
    try:
        nice = _prepare()
        while _start_one(program, nice):
            pass
    except OSError as error:
        _report(program, f"error {error.errno} 0 0 0")
    finally:
        # The interpreter's own farewell takes longer than many commands.
        os._exit(0)


def _prepare() -> int:
    """Turn this process into a guard; return how nice commands are.

    Raises:
        OSError: The system does not allow it.
    """
    # In the session of the server, which has no terminal; the kernel schedules sessions as groups,
    # and a new one waits behind all others. The command gets one of its own.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if LINUX:
        set_attribute(PR_SET_CHILD_SUBREAPER, 1)
        set_attribute(PR_SET_NO_NEW_PRIVS, 1)
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        # For the superuser no limit on processes holds, so at least be scheduled before them.
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    return nice


def _start_one(program: socket.socket, nice: int) -> bool:
    """Have a starter as long as it lasts; return whether there is to be another.

    Raises:
        OSError: There cannot be one.
    """
    said, say = os.pipe()
    guard = os.getpid()
    starter = os.fork()
    if starter == 0:
        os.close(said)
        attend(program, guard, say, nice)
    os.close(say)
    watch = _Watch(program, said, starter)
    watch.wait()
    os.close(said)
    with suppress(ProcessLookupError):
        os.kill(starter, signal.SIGKILL)
    _, status, used = os.wait4(starter, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) in (AGAIN, GONE):
        return os.WEXITSTATUS(status) == AGAIN
    usage = Usage()
    if watch.before is not None:
        usage.add(used)
        usage.cpu -= watch.before
    kind, *numbers = (watch.outcome or f"signal {signal.SIGKILL:d} 0 0").split()
    number, cpu, memory = map(int, numbers)
    left = end_tree(usage)
    _report(program, f"{kind} {number} {cpu + usage.cpu} {max(memory, usage.memory)} {left}")
    return False


def _report(program: socket.socket, line: str) -> None:
    with suppress(OSError):  # if the program is gone, nobody wants to know
        program.send(f"{line} 0\n".encode())


class _Watch:
    """Waiting for the end of a starter, or for a reason to end it."""

    def __init__(self, program: socket.socket, said: int, starter: int) -> None:
        self.outcome = ""
        """Kind, number, processor time and memory, if the starter or a limit has said."""
        self.before: int | None = None
        """The starter's processor time before the command, if that is to be told by it."""
        self._program, self._said, self._starter = program.fileno(), said, starter
        self._poll = select.poll()
        self._poll.register(self._said, select.POLLIN)
        self._poll.register(self._program, _HUNG_UP)
        self._crowd: Crowd | None = None
        self._deadline: float | None = None

    def wait(self) -> None:
        """Return when the starter is gone, or is to go with everything that it started."""
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll(self._pause())]
            if self._program in ready:
                self._poll.unregister(self._program)
                self._deadline = time.monotonic() + LATE_SECONDS
            if self._said in ready and not self._listen():
                return
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return
            if self._crowd is not None and self._crowd.too_many(besides=1):
                self.outcome = f"processes {self._crowd.most} 0 0"
                return

    def _pause(self) -> float | None:
        if self._deadline is None:
            return None if self._crowd is None else COUNT_SECONDS * 1000
        left = max(0.0, self._deadline - time.monotonic()) * 1000
        return left if self._crowd is None else min(left, COUNT_SECONDS * 1000)

    def _listen(self) -> bool:
        """Take in what the starter said; return whether it still lives."""
        lines = os.read(self._said, 4096).decode().splitlines()
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "watch":
                most, others, self.before = map(int, rest.split())
                self._crowd = Crowd(most, others)
                continue
            self._crowd = self.before = None
            if word == "ended":
                self.outcome = rest
        return bool(lines)
