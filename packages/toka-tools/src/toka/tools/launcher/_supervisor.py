"""The supervisor: starts one command, waits for its end or for the word to end it, and reports.

The report is one line: kind, number, processor time, memory, processes left behind.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ._calls import PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, set_attribute
from ._command import become
from ._init import run_init
from ._namespaces import enter
from ._tree import LINUX, Crowd, end_tree, send

if TYPE_CHECKING:
    from ._request import Request

COUNT_SECONDS = 0.02
GRACE_SECONDS = 0.3


class Ready:
    """What a supervisor has made before it has a command."""

    __slots__ = ("nice", "woken")

    def __init__(self, nice: int, woken: int) -> None:
        self.nice = nice
        """How nice commands are."""
        self.woken = woken
        """Readable once a process has ended."""


def prepare() -> Ready:
    """Turn this process into a supervisor, with everything that needs no command.

    Raises:
        OSError: The system does not allow it.
    """
    # In the session of the server, which has no terminal; the kernel schedules sessions as groups,
    # and a new one waits behind all others. The command gets one of its own.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if LINUX:
        set_attribute(PR_SET_CHILD_SUBREAPER, 1)
        set_attribute(PR_SET_NO_NEW_PRIVS, 1)
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        # For the superuser no limit on processes holds, so at least be scheduled before them.
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return Ready(nice, woken)


def supervise(request: Request, control: int, directory: int, ready: Ready) -> str:
    """Run a command to its end and return the report. No process of it is alive then.

    Raises:
        OSError: The command could not be started.
    """
    os.fchdir(directory)
    child, outcome = _start(request, ready.nice)
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    kind, value = _wait(child, control, ready.woken, request.limits.get("processes"))
    left = end_tree(child)
    said = os.read(outcome, 64).decode().split()
    if kind == "exit" and said:
        kind, value, left = said[0], int(said[1]), int(said[2])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = int((used.ru_utime + used.ru_stime) * 1e9)
    memory = used.ru_maxrss * (1024 if LINUX else 1)
    return f"{kind} {value} {cpu} {memory} {left}"


def _nothing(*_: object) -> None:
    """Handle SIGCHLD, whose only use is to end the waiting."""


def _start(request: Request, nice: int) -> tuple[int, int]:
    """Return the command's process, and where its namespaces' first process says how it ended.

    Raises:
        OSError: The command could not be started.
    """
    told, tell = os.pipe()
    outcome, say = os.pipe()
    go, ready = os.pipe()
    supervisor = os.getpid()
    confinement = request.confinement
    enclosed = confinement is not None and confinement.namespaces
    if confinement is not None and enclosed:
        enter(network=confinement.network)
    child = os.fork()
    if child == 0:
        os.close(ready)
        try:
            if enclosed:
                run_init(request, nice, tell, say, go)
            become(request, nice, supervisor)
        except OSError as error:
            os.write(tell, str(error.errno).encode())
        os._exit(127)
    # While this side of the pipe is open: a command that runs already has closed the other.
    os.write(ready, b"+")
    for descriptor in (tell, say, go):
        os.close(descriptor)
    number = os.read(told, 16)
    for descriptor in (told, ready):
        os.close(descriptor)
    if number:
        os.waitpid(child, 0)
        raise OSError(int(number), "start")
    return child, outcome


def _wait(child: int, control: int, woken: int, most: int | None) -> tuple[str, int]:
    """Wait for the command's end, however it comes."""
    listening = [control, woken]
    crowd = Crowd(most) if LINUX and most is not None else None
    deadline: float | None = None
    while True:
        ready, _, _ = select.select(listening, [], [], _pause(crowd, deadline))
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
        ended = _reap(child)
        if ended is not None:
            return ended
        if control in ready:
            listening.remove(control)
            deadline = time.monotonic() + GRACE_SECONDS
            send(-child, signal.SIGTERM)
        if deadline is not None and time.monotonic() >= deadline:
            return "signal", signal.SIGKILL
        if crowd is not None and crowd.too_many():
            return "processes", crowd.most


def _pause(crowd: Crowd | None, deadline: float | None) -> float | None:
    if deadline is None:
        return None if crowd is None else COUNT_SECONDS
    left = max(0.0, deadline - time.monotonic())
    return left if crowd is None else min(left, COUNT_SECONDS)


def _reap(child: int) -> tuple[str, int] | None:
    """Collect every process that ended; return how the command did, if it did."""
    outcome = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child and os.WIFSIGNALED(status):
                outcome = "signal", os.WTERMSIG(status)
            elif pid == child:
                outcome = "exit", os.WEXITSTATUS(status)
    return outcome
