"""The first process of a command's namespaces: with its end, the kernel ends all others there."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from ._calls import PR_SET_PDEATHSIG, set_attribute
from ._command import become
from ._namespaces import settle

if TYPE_CHECKING:
    from types import FrameType

    from ._request import Request


def run_init(request: Request, nice: int, tell: int, say: int, go: int) -> NoReturn:
    """Start the command, wait for its end, say how it ended, and end.

    Args:
        request: What to run.
        nice: The command's niceness.
        tell: Closed when the command runs.
        say: Takes the kind, the number, and how many processes the command left.
        go: Readable once the starter is known to live: its death ends this process from then.

    Raises:
        OSError: The system does not allow it; in this process or the command's.
    """
    set_attribute(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not os.read(go, 1):
        os._exit(127)
    settle()
    child = os.fork()
    if child == 0:
        become(request, nice, 1)
    os.close(tell)
    request.close()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # From the starter, which cannot name a group in here.
        with suppress(ProcessLookupError):
            os.killpg(child, number)

    signal.signal(signal.SIGTERM, pass_on)
    os.write(say, f"{_wait(child)} {_others()}".encode())
    os._exit(0)


def _wait(child: int) -> str:
    while True:
        pid, status = os.wait()
        if pid == child and os.WIFSIGNALED(status):
            return f"signal {os.WTERMSIG(status)}"
        if pid == child:
            return f"exit {os.WEXITSTATUS(status)}"


def _others() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc")) - 1  # noqa: PTH208 - see _tree
