"""The process between this one and a command: it starts the command and ends all of its tree.

Run as `python -I -S`, with the standard library only, because it starts once for every command.
It is needed for three things that the parent cannot do for a child without running code between
fork and exec, which is unsafe in a process with threads: limits, no new privileges, and becoming
the parent of whatever the command's children leave behind.

    argv     control, report and directory descriptors, settings, program, the command's argv
    control  end of file asks to end everything; so does the parent's death
    report   one line at the end: kind, number, processor time, memory, processes left behind
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

LINUX = sys.platform == "linux"
COUNT_SECONDS = 0.02
GRACE_SECONDS = 0.3


def main() -> None:
    """Run the command of `sys.argv`, report, and leave."""
    control, report, directory = map(int, sys.argv[1:4])
    settings = {key: int(value) for key, _, value in map(_pair, sys.argv[4].split(",")) if value}
    for descriptor in (control, report, directory):
        os.set_inheritable(descriptor, False)
    os.fchdir(directory)
    if "locale" not in settings:
        # This interpreter sets it where the locale is not installed; the command shall not see it.
        os.environ.pop("LC_CTYPE", None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    settings["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        # For the superuser no limit on processes holds, so at least be scheduled before them.
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    line = _supervise(control, settings)
    os.write(report, line.encode())
    # Ends at once: the interpreter's own farewell takes longer than many commands.
    os._exit(0)


def _pair(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _prctl(option: int, value: int) -> None:
    if LINUX and ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _supervise(control: int, settings: dict[str, int]) -> str:
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    child = _start(settings)
    if child < 0:
        return f"error {-child} 0 0 0"
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    kind, number = _wait(child, control, woken, settings.get("processes"))
    left = _end_tree(child)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = int((used.ru_utime + used.ru_stime) * 1e9)
    memory = used.ru_maxrss * (1024 if LINUX else 1)
    return f"{kind} {number} {cpu} {memory} {left}"


def _nothing(*_: object) -> None:
    """Handle SIGCHLD, whose only use is to end the waiting."""


def _start(settings: dict[str, int]) -> int:
    """Return the command's process, or minus the number of the error that prevented it."""
    told, tell = os.pipe()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _become(settings, supervisor)
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


def _become(settings: dict[str, int], supervisor: int) -> None:
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, settings["nice"])
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(127)
    _limit(settings)
    signal.set_wakeup_fd(-1)
    for number in ("INT", "TERM", "HUP", "PIPE", "XFSZ", "CHLD"):
        signal.signal(getattr(signal, f"SIG{number}"), signal.SIG_DFL)
    os.execv(sys.argv[5], sys.argv[6:])  # noqa: S606 - an argument list is the point


def _limit(settings: dict[str, int]) -> None:
    limits = {resource.RLIMIT_CORE: 0}
    if LINUX and "memory" in settings:
        limits[resource.RLIMIT_AS] = settings["memory"]
    if "cpu" in settings:
        limits[resource.RLIMIT_CPU] = settings["cpu"]
    if "file" in settings:
        limits[resource.RLIMIT_FSIZE] = settings["file"]
    if "files" in settings:
        limits[resource.RLIMIT_NOFILE] = settings["files"]
    if LINUX and "processes" in settings:
        # The system counts all processes of a user, of which there may be many; it must leave
        # room for these. Counting a whole tree exactly is the supervisor's part.
        limits[resource.RLIMIT_NPROC] = _tasks_of_all() + settings["processes"]
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(limit, (value, value))


def _tasks_of_all() -> int:
    with open("/proc/loadavg", "rb") as file:  # noqa: PTH123 - pathlib costs 5 ms at import
        return int(file.read().split()[3].partition(b"/")[2])


def _wait(child: int, control: int, woken: int, most: int | None) -> tuple[str, int]:
    """Wait for the command's end, however it comes."""
    listening = [control, woken]
    crowd = _Crowd(most) if LINUX and most is not None else None
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
            _signal(-child, signal.SIGTERM)
        if deadline is not None and time.monotonic() >= deadline:
            return "signal", signal.SIGKILL
        if crowd is not None and crowd.too_many():
            return "processes", crowd.most


def _pause(crowd: _Crowd | None, deadline: float | None) -> float | None:
    if deadline is None:
        return None if crowd is None else COUNT_SECONDS
    left = max(0.0, deadline - time.monotonic())
    return left if crowd is None else min(left, COUNT_SECONDS)


class _Crowd:
    """Notices when a tree has too many processes, without counting it each time.

    The number of tasks on the whole machine is one short read. Only when that has grown by more
    than the tree may have is the tree itself counted.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._others = _tasks_of_all()

    def too_many(self) -> bool:
        tasks = _tasks_of_all()
        self._others = min(self._others, tasks)
        if tasks - self._others <= self.most:
            return False
        ours = len(_descendants())
        self._others = tasks - ours
        return ours > self.most


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


def _end_tree(child: int) -> int:
    """End everything that the command left; return how many processes that were."""
    if not LINUX:
        _signal(-child, signal.SIGKILL)
        _collect(child)
        return 0
    ended = 0
    # The dead hand their children to this process, so no child means that the tree is empty.
    while _has_children():
        alive = _stop_all()
        for pid in alive:
            _signal(pid, signal.SIGKILL)
        ended += len(alive)
        _collect(-1)
    return ended


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _collect(which: int) -> None:
    with suppress(ChildProcessError):
        while True:
            os.waitpid(which, 0)


def _stop_all() -> set[int]:
    """Stop every descendant until no new one appears: what is stopped cannot multiply."""
    stopped: set[int] = set()
    while fresh := _descendants() - stopped:
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        stopped |= fresh
    return stopped


def _descendants() -> set[int]:
    """Return the living processes below this one. Only Linux can tell."""
    if not LINUX:
        return set()
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs 5 ms at import
        if name.isdigit():
            parent = _living_parent(name)
            parents.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        for pid in parents.get(waiting.pop(), ()):
            found.add(pid)
            waiting.append(pid)
    return found


def _living_parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - see above
            # The name in parentheses may hold anything, so count from its end.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return -1
    # Dead, unless it is only the first of several threads that has ended.
    dead = fields[0] in b"ZX" and int(fields[17]) <= 1
    return -1 if dead else int(fields[1])


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
