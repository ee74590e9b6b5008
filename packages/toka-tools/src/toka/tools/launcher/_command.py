"""Turning a new process into a command: session, limits, confinement, and the program at last."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ._calls import PR_SET_PDEATHSIG, set_attribute
from ._keeping import confine
from ._limits import limits_of, set_limits
from ._namespaces import drop_capabilities
from ._tree import LINUX, tasks_of_all

if TYPE_CHECKING:
    from ._request import Request


def become(request: Request, nice: int, parent: int) -> None:
    """Turn this process, a new one in the command's directory, into the command.

    Raises:
        OSError: The system does not allow it.
    """
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    if LINUX:
        set_attribute(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(127)
    for number, stream in enumerate(request.streams):
        os.dup2(stream, number, inheritable=True)
    set_limits(limits_of(request.limits, tasks_of_all() if LINUX else 0))
    signal.set_wakeup_fd(-1)
    for name in ("INT", "TERM", "HUP", "PIPE", "XFSZ", "CHLD"):
        signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)
    if request.confinement is not None:
        if request.confinement.namespaces:
            drop_capabilities()
        confine(request.confinement)
    os.execve(request.program, request.argv, request.environment)  # noqa: S606 - no shell
