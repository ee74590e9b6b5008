"""The server: forks a guard for each connection that the program sends it.

A connection is a socket, sent with one byte. Its other end is the program's: over it go requests,
one after another, and a report for each. End of file on it ends the guard, and the command with all
its tree, if there is one: so does the death of the program, which holds the other end. End of file
on the channel ends the server.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from contextlib import suppress

from . import _seccomp
from ._guard import guard


def serve(channel: int) -> None:
    """Fork guards until the program is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards report by themselves
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prepare()
    with socket.socket(fileno=channel) as program:
        while True:
            data, received, _, _ = socket.recv_fds(program, 1, 1)
            if not data:
                return
            for descriptor in received:
                _fork(program, descriptor)


def _prepare() -> None:
    """Do once what every command would do otherwise, and leave its pages to be shared."""
    with suppress(OSError):  # Whether there is a filter is for the command to find that wants one.
        for network in (False, True):
            _seccomp.program(network=network)
    gc.disable()
    gc.freeze()


def _fork(program: socket.socket, descriptor: int) -> None:
    with socket.socket(fileno=descriptor) as connection:
        try:
            child = os.fork()
        except OSError as error:
            with suppress(OSError):
                connection.send(f"error {error.errno} 0 0 0 0\n".encode())
            return
        if child == 0:
            program.close()
            connection.set_inheritable(False)
            guard(connection)
