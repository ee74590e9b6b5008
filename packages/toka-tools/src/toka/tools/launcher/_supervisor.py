"""The supervisor: starts one command, waits for its end or for the word to end it, and reports.

The report is one line: kind, number, processor time, memory, processes left behind.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ._tree import LINUX, Crowd, end_tree, send, tasks_of_all

if TYPE_CHECKING:
    from ._request import Request

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

COUNT_SECONDS = 0.02
GRACE_SECONDS = 0.3

_libc = ctypes.CDLL(None, use_errno=True)


def supervise(request: Request, control: int, directory: int) -> str:
    """Run a command to its end and return the report. No process of it is alive then."""
    os.setsid()
    os.fchdir(directory)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        # For the superuser no limit on processes holds, so at least be scheduled before them.
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    child = _start(request, nice)
    if child < 0:
        return f"error {-child} 0 0 0"
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    kind, value = _wait(child, control, woken, request.limits.get("processes"))
    left = end_tree(child)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = int((used.ru_utime + used.ru_stime) * 1e9)
    memory = used.ru_maxrss * (1024 if LINUX else 1)
    return f"{kind} {value} {cpu} {memory} {left}"


def _prctl(option: int, value: int) -> None:
    if LINUX and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _nothing(*_: object) -> None:
    """Handle SIGCHLD, whose only use is to end the waiting."""


def _start(request: Request, nice: int) -> int:
    """Return the command's process, or minus the number of the error that prevented it."""
    told, tell = os.pipe()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _become(request, nice, supervisor)
        except OSError as error:
            os.write(tell, str(error.errno).encode())
        os._exit(127)
    os.close(tell)
    number = os.read(told, 16)
    os.close(told)
    if number:
        os.waitpid(child, 0)
        return -int(number)
    return child


def _become(request: Request, nice: int, supervisor: int) -> None:
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(127)
    _limit(request.limits)
    signal.set_wakeup_fd(-1)
    for number in ("INT", "TERM", "HUP", "PIPE", "XFSZ", "CHLD"):
        signal.signal(getattr(signal, f"SIG{number}"), signal.SIG_DFL)
    os.execve(request.program, request.argv, request.environment)  # noqa: S606 - no shell


def _limit(wanted: dict[str, int]) -> None:
    limits = {resource.RLIMIT_CORE: 0}
    if LINUX and "memory" in wanted:
        limits[resource.RLIMIT_AS] = wanted["memory"]
    if "cpu" in wanted:
        limits[resource.RLIMIT_CPU] = wanted["cpu"]
    if "file" in wanted:
        limits[resource.RLIMIT_FSIZE] = wanted["file"]
    if "files" in wanted:
        limits[resource.RLIMIT_NOFILE] = wanted["files"]
    if LINUX and "processes" in wanted:
        # The system counts all processes of a user, of which there may be many; it must leave
        # room for these. Counting a whole tree exactly is the supervisor's part.
        limits[resource.RLIMIT_NPROC] = tasks_of_all() + wanted["processes"]
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(limit, (value, value))


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
