"""Starting a command by a fork, in which it is kept as one command alone is."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ._command import become
from ._init import run_init
from ._namespaces import enter

if TYPE_CHECKING:
    from ._request import Request


class Forked:
    """A command that was started, or the first process of its namespaces."""

    __slots__ = ("_said", "child")

    def __init__(self, child: int, said: int) -> None:
        self.child = child
        self._said = said

    def outcome(self, how: str) -> tuple[str, int]:
        """Return how the command ended, given how this process did, and how many it left."""
        said = os.read(self._said, 64).decode().split()
        os.close(self._said)
        if not said or not how.startswith("exit"):
            return how, 0
        return f"{said[0]} {said[1]}", int(said[2])


def fork(request: Request, nice: int, private: tuple[int, ...]) -> Forked:
    """Start a command, in namespaces of its own if it wants that.

    Args:
        request: What to run.
        nice: The command's niceness.
        private: Descriptors of which the new process must have no part.

    Raises:
        OSError: The command could not be started.
    """
    told, tell = os.pipe()
    said, say = os.pipe()
    go, ready = os.pipe()
    parent = os.getpid()
    # The descriptor is of mounts that the command will not have; where a process is, is translated.
    os.fchdir(request.directory)
    confinement = request.confinement
    enclosed = confinement is not None and confinement.namespaces
    if confinement is not None and enclosed:
        enter(network=confinement.network)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for descriptor in (ready, *private):
            os.close(descriptor)
        try:
            if enclosed:
                run_init(request, nice, tell, say, go)
            become(request, nice, parent)
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
    return Forked(child, said)
