"""A command's tree of processes: counting it, and ending all of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource

LINUX = sys.platform == "linux"
MOMENT_SECONDS = 0.001
TASKS = "/proc/loadavg"


class Crowd:
    """Notices when a tree has too many processes, without counting it each time.

    The number of tasks on the whole machine is one short read. Only when that has grown by more
    than the tree may have is the tree itself counted.
    """

    def __init__(self, most: int, others: int) -> None:
        self.most = most
        self._others = others

    def too_many(self, *, besides: int) -> bool:
        """Say whether the tree, beside processes of ours in it, has more than it may."""
        tasks = tasks_of_all()
        self._others = min(self._others, tasks)
        if tasks - self._others <= self.most:
            return False
        ours = len(_descendants()) - besides
        self._others = tasks - ours
        return ours > self.most


def tasks_of_all() -> int:
    """Return how many tasks there are on the whole machine: one short read."""
    # A file object makes six system calls of its own.
    descriptor = os.open(TASKS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return tasks_in(descriptor)
    finally:
        os.close(descriptor)


def tasks_in(descriptor: int) -> int:
    """Return how many tasks there are, given `TASKS` opened, which a confined process cannot do."""
    return int(os.pread(descriptor, 128, 0).split()[3].partition(b"/")[2])


class Usage:
    """What processes have used."""

    __slots__ = ("cpu", "memory")

    def __init__(self) -> None:
        self.cpu = 0
        """Nanoseconds of processor time."""
        self.memory = 0
        """The most bytes that one of them had."""

    def add(self, used: resource.struct_rusage) -> None:
        """Count a process that has ended, with the children that it has waited for."""
        self.cpu += int((used.ru_utime + used.ru_stime) * 1e9)
        self.memory = max(self.memory, used.ru_maxrss * (1024 if LINUX else 1))


def end_tree(usage: Usage) -> int:
    """End everything below this process; return how many processes that were."""
    ended: set[int] = set()
    # The dead hand their children to this process, so no child means that the tree is empty. One
    # look can miss a process that is handed over meanwhile, so none may wait for all of them.
    while LINUX and _has_children():
        alive = _stop_all()
        for pid in alive:
            send(pid, signal.SIGKILL)
        ended |= alive
        _collect(usage)
    return len(ended)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _collect(usage: Usage) -> None:
    """Take what has ended, and give the rest of what was killed a moment to end."""
    with suppress(ChildProcessError):
        while (ended := os.wait4(-1, os.WNOHANG))[0]:
            usage.add(ended[2])
        time.sleep(MOMENT_SECONDS)


def _stop_all() -> set[int]:
    """Stop every descendant until no new one appears: what is stopped cannot multiply."""
    stopped: set[int] = set()
    while fresh := _descendants() - stopped:
        for pid in fresh:
            send(pid, signal.SIGSTOP)
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


def send(pid: int, number: int) -> None:
    """Send a signal to a process, or to a group, that may be gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
