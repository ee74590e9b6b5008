"""What a starter has taken upon itself, and whether that is still what a command is to be kept in.

A command of the same user may have changed the limits, the priorities and the processors of the
process that starts the next one. Rules of Landlock are for what a path led to, which may have been
replaced since. Both is looked at before each command, never repaired.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from . import _landlock, _seccomp
from ._calls import ARCHITECTURE, PR_SET_DUMPABLE, set_attribute, syscall
from ._limits import Limits, limits_of, set_limits
from ._tree import LINUX

if TYPE_CHECKING:
    from ._request import Confinement, Request

_MOST_USES = 256
"""Bounds the processor time of a starter, whose limit on that is the commands' own."""
_LIMITS = [
    getattr(resource, name)
    for name in sorted(vars(resource))
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"  # another name of one
]
_LEAST_MEMORY, _LEAST_FILES = 128 << 20, 24
_IO_PRIORITY = {"x86_64": 252, "aarch64": 31}.get(ARCHITECTURE)
"""The number of `ioprio_get`."""
_OF_PROCESS = 1


def is_bearable(request: Request) -> bool:
    """Return whether a starter can live with what a command is kept in."""
    confinement = request.confinement
    return (
        not (confinement is not None and (confinement.namespaces or _opens_processes(confinement)))
        and request.limits.get("memory", _LEAST_MEMORY) >= _LEAST_MEMORY
        and request.limits.get("files", _LEAST_FILES) >= _LEAST_FILES
    )


def _opens_processes(confinement: Confinement) -> bool:
    # A starter is in the confinement of its commands, so Landlock would let the superuser's read
    # there, from its memory, what other commands were given; of one outside of it they cannot.
    paths = (*confinement.readable, *confinement.writable)
    return any(path.startswith("/proc") or "/proc/".startswith(path) for path in paths)


class Keeping:
    """Limits and a confinement that this process has taken upon itself.

    Raises:
        OSError: The system does not allow it; then this process must not start anything.
    """

    def __init__(self, key: bytes, request: Request, nice: int, others: int) -> None:
        self._key, self._nice = key, nice
        self._uses = 0
        self._processes = request.limits.get("processes", 0)
        limits = limits_of(request.limits, others, room=self._processes)
        self._confinement = request.confinement
        # Before the confinement; to look again, within it, says whether it still opens the paths.
        self._looks = _looks(request.confinement)
        set_limits(limits)
        self._limits: Limits = {number: resource.getrlimit(number) for number in _LIMITS}
        if LINUX:
            # A command is in the confinement of this process and could otherwise write to its
            # memory, had it been granted `/proc`.
            set_attribute(PR_SET_DUMPABLE, 0)
        if request.confinement is not None:
            confine(request.confinement)
        self._schedule = _schedule()

    def fits(self, key: bytes, others: int) -> bool:
        """Return whether a command with this key can be started from this process, and count it.

        Raises:
            OSError: A limit cannot be set.
        """
        self._uses += 1
        return (
            key == self._key
            and self._uses < _MOST_USES
            and os.getpriority(os.PRIO_PROCESS, 0) == self._nice
            and _schedule() == self._schedule
            and all(resource.getrlimit(number) == both for number, both in self._limits.items())
            and self._leave_room(others)
            and _looks(self._confinement) == self._looks
        )

    def _leave_room(self, others: int) -> bool:
        number = resource.RLIMIT_NPROC
        if not self._processes:
            return True
        soft, (_, hard) = others + self._processes, self._limits[number]
        if soft > hard:
            return False
        self._limits[number] = soft, hard
        resource.setrlimit(number, self._limits[number])
        return True


def confine(confinement: Confinement) -> None:
    """Confine this process for ever.

    Raises:
        OSError: The system does not allow it.
    """
    _landlock.restrict(confinement.readable, confinement.writable, network=confinement.network)
    _seccomp.restrict(network=confinement.network)


def _schedule() -> object:
    if not LINUX:
        return None
    of_disks = _IO_PRIORITY and syscall(_IO_PRIORITY, _OF_PROCESS, 0)
    return os.sched_getaffinity(0), os.sched_getscheduler(0), of_disks


def _looks(confinement: Confinement | None) -> list[_landlock.Look]:
    if confinement is None:
        return []
    return _landlock.look(confinement.readable, confinement.writable)
