"""Turning a new process into a command: session, limits, confinement, and the program at last."""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

from . import _landlock, _seccomp
from ._calls import PR_SET_PDEATHSIG, set_attribute
from ._namespaces import drop_capabilities
from ._tree import LINUX, tasks_of_all

if TYPE_CHECKING:
    from ._request import Confinement, Request


def become(request: Request, nice: int, parent: int) -> None:
    """Turn this process, a new one, into the command.

    Raises:
        OSError: The system does not allow it.
    """
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    if LINUX:
        set_attribute(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(127)
    _limit(request.limits)
    signal.set_wakeup_fd(-1)
    for number in ("INT", "TERM", "HUP", "PIPE", "XFSZ", "CHLD"):
        signal.signal(getattr(signal, f"SIG{number}"), signal.SIG_DFL)
    if request.confinement is not None:
        _confine(request.confinement)
    os.execve(request.program, request.argv, request.environment)  # noqa: S606 - no shell


def _confine(confinement: Confinement) -> None:
    if confinement.namespaces:
        drop_capabilities()
    _landlock.restrict(confinement.readable, confinement.writable, network=confinement.network)
    _seccomp.restrict(network=confinement.network)


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
