"""The course of a command, from its start until it has ended or has to be ended."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from contextlib import suppress

from ._tree import Usage, send

GRACE_SECONDS = 0.3
QUIET_SECONDS = 0.02


class Course:
    """Waits for a command, passes on the program's wish for its end, and adds up what it used."""

    def __init__(self, child: int, program: int, woken: int, say: int) -> None:
        self.usage = Usage()
        """Of the command, and of what it left behind and has ended."""
        self.clean = True
        """Whether it ended by itself and nothing of it is left."""
        self._child, self._program, self._woken, self._say = child, program, woken, say
        self._listening = [program, woken]
        self._deadline: float | None = None
        self._watched = False

    def wait(self, most: int | None, others: int) -> str:
        """Return how the command ended; one that has had its time may not have done so yet.

        Args:
            most: The processes that it may have, if there is a limit.
            others: The tasks of the machine before it.
        """
        while True:
            pause = QUIET_SECONDS if most is not None and not self._watched else None
            if self._deadline is not None:
                pause = max(0.0, self._deadline - time.monotonic())
            ready, _, _ = select.select(self._listening, [], [], pause)
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            if how := self._reap():
                if self._watched:
                    os.write(self._say, b"well\n")
                return how
            if self._program in ready:
                self._stop()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self.clean = False
                return f"signal {signal.SIGKILL:d}"
            if not ready and most is not None and not self._watched:
                self._have_watched(most, others)

    def _stop(self) -> None:
        self._listening.remove(self._program)
        self._deadline = time.monotonic() + GRACE_SECONDS
        self.clean = False
        send(-self._child, signal.SIGTERM)

    def _have_watched(self, most: int, others: int) -> None:
        before = Usage()
        before.add(resource.getrusage(resource.RUSAGE_SELF))
        before.add(resource.getrusage(resource.RUSAGE_CHILDREN))
        self._watched = True
        os.write(self._say, f"watch {most} {others} {before.cpu - self.usage.cpu}\n".encode())

    def _reap(self) -> str:
        """Collect every process that ended; return how the command did, if it did."""
        how = ""
        try:
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    # Whatever lives beside the command may end before it; after it, it is left.
                    self.clean = self.clean and not how
                    return how
                self.usage.add(used)
                if pid == self._child and os.WIFSIGNALED(status):
                    how = f"signal {os.WTERMSIG(status)}"
                elif pid == self._child:
                    how = f"exit {os.WEXITSTATUS(status)}"
        except ChildProcessError:
            return how
