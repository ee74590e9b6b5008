"""The starter: takes limits and a confinement upon itself, and starts commands that are kept so.

It starts another command only after one of which nothing is left, and only if it is still what it
was made to be (see `_keeping`). Else it ends, and the guard has another one. What a command of the
same confinement can do to it beyond that is to end or stop it, which ends the command, too.

A command that wants namespaces, or so little memory or so few files that a starter could not live
with it, is started by a fork, and is the last one of its starter.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, NoReturn

from ._calls import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, set_attribute
from ._course import Course
from ._fork import fork
from ._keeping import Keeping, is_bearable
from ._request import KEY_BYTES, Request, receive
from ._tree import LINUX, TASKS, Usage, send, tasks_in

if TYPE_CHECKING:
    from types import FrameType

STAY, AGAIN, GONE, LOST = 0, 3, 4, 5
"""Go on; or exit because another starter is wanted, none is, or there is something to clear up."""
# By the interpreter, and by the server. What has a handler loses it when a program starts.
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)

_TERM = (signal.SIGTERM,)


def attend(program: socket.socket, guard: int, say: int, nice: int) -> NoReturn:
    """Start the commands that a program asks for, to the end of this process.

    Args:
        program: The connection to it.
        guard: The parent's process number.
        say: Takes lines for the guard, and tells it by its end of the end of this process: `watch`
            with the most processes, the tasks of others and the processor time before, once a
            command runs for longer than a moment; `well` when that has ended; `ended` with how.
        nice: The commands' niceness.
    """
    code = LOST
    try:
        starter = _Starter(program, guard, say, nice)
        while (code := starter.turn()) == STAY:
            pass
    except OSError as error:
        code = LOST
        os.write(say, f"ended error {error.errno} 0 0\n".encode())
    finally:
        # The interpreter's own farewell takes longer than many commands.
        os._exit(code)


class _Starter:
    def __init__(self, program: socket.socket, guard: int, say: int, nice: int) -> None:
        self._program, self._say, self._nice = program, say, nice
        self._keeping: Keeping | None = None
        self._child = 0
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.signal(signal.SIGTERM, self._abandon)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._tasks = os.open(TASKS, os.O_RDONLY | os.O_CLOEXEC) if LINUX else -1
        if LINUX:
            # What a command leaves behind shows itself here, so that the guard need not look.
            set_attribute(PR_SET_CHILD_SUBREAPER, 1)
            set_attribute(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guard:
            os._exit(LOST)
        os.setpriority(os.PRIO_PROCESS, 0, nice)

    def turn(self) -> int:
        """Do one request; return the exit code, or `STAY`.

        Raises:
            OSError: The system does not allow what the request wants.
        """
        key = self._program.recv(KEY_BYTES, socket.MSG_PEEK)
        if not key:
            return GONE
        others = tasks_in(self._tasks) if LINUX else 0
        # What was only peeked at is there for the next starter.
        if self._keeping is not None and not self._keeping.fits(key, others):
            return AGAIN
        request = receive(self._program)
        if self._keeping is None and is_bearable(request):
            self._keeping = Keeping(key, request, self._nice, others)
        code = self._run(request, others)
        return AGAIN if code == STAY and self._keeping is None else code

    def _run(self, request: Request, others: int) -> int:
        forked = None
        # The guard's death is told once there is a command to end.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TERM)
        try:
            if self._keeping is None:
                forked = fork(request, self._nice, (self._program.fileno(), self._say))
                self._child = forked.child
            else:
                self._child = _spawn(request)
        except OSError as error:
            self._report(f"error {error.errno}", Usage(), 0)
            return STAY
        finally:
            request.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERM)
        most = request.limits.get("processes") if LINUX else None
        course = Course(self._child, self._program.fileno(), self._woken, self._say)
        how = course.wait(most, others)
        if not course.clean:
            os.write(self._say, f"ended {how} {course.usage.cpu} {course.usage.memory}\n".encode())
            if not LINUX:
                send(-self._child, signal.SIGKILL)
            return LOST
        self._child = 0
        how, left = (how, 0) if forked is None else forked.outcome(how)
        self._report(how, course.usage, left)
        return STAY

    def _report(self, how: str, usage: Usage, left: int) -> None:
        self._program.send(f"{how} {usage.cpu} {usage.memory} {left} 1\n".encode())

    def _abandon(self, _number: int, _frame: FrameType | None) -> None:
        """End the command because the guard is gone, which somebody outside must have ended."""
        if self._child:
            send(-self._child, signal.SIGKILL)
            send(self._child, signal.SIGKILL)
        os._exit(LOST)


def _nothing(*_: object) -> None:
    """Handle SIGCHLD, whose only use is to end the waiting."""


def _spawn(request: Request) -> int:
    os.fchdir(request.directory)
    try:
        return os.posix_spawn(
            request.program,
            request.argv,
            request.environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stream, number)
                for number, stream in enumerate(request.streams)
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_IGNORED,
        )
    finally:
        os.chdir("/")
