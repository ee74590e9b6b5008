"""The server: keeps a supervisor ready, which takes the next request over a socket.

A request is one byte with seven descriptors: the document that says what to run, standard input,
output and error of the command, `control`, `report`, and its working directory. End of file on the
socket ends the server, and on `control` the command with all its tree: so does the death of the
program, which holds the other ends.

The supervisor is forked before there is anything to do, because that takes as long as many
commands; it says when it has taken a request, and then the server forks the one for the next.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
from contextlib import suppress
from typing import NoReturn

from . import _seccomp
from ._request import Confinement, Request
from ._supervisor import Ready, prepare, supervise

DESCRIPTORS = 7
_END = b"-"


def serve(channel: int) -> None:
    """Fork a supervisor for every request until the program is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors report by themselves
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prepare()
    with socket.socket(fileno=channel) as program:
        while _keep_one_ready(program):
            pass


def _prepare() -> None:
    """Do once what every command would do otherwise, and leave its pages to be shared."""
    with suppress(OSError):  # Whether there is a filter is for the command to find that wants one.
        for network in (False, True):
            _seccomp.program(network=network)
    gc.disable()
    gc.freeze()


def _keep_one_ready(program: socket.socket) -> bool:
    """Fork a supervisor and wait until it has a request; return whether there may be another."""
    taken, tell = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        os.close(taken)
        os.close(tell)
        return _refuse(program, error)
    if child == 0:
        os.close(taken)
        _take(program, tell)
    os.close(tell)
    word = os.read(taken, 1)
    os.close(taken)
    return word != _END  # nothing, if somebody ended it while it waited


def _refuse(program: socket.socket, error: OSError) -> bool:
    """Answer a request for which there can be no supervisor; return whether there was one."""
    data, received, _, _ = socket.recv_fds(program, 1, DESCRIPTORS)
    if len(received) == DESCRIPTORS:
        os.write(received[-2], f"error {error.errno} 0 0 0".encode())
    for descriptor in received:
        os.close(descriptor)
    return bool(data)


def _take(program: socket.socket, tell: int) -> NoReturn:
    """Be a supervisor: wait for a request, and do it. Never returns into the server."""
    try:
        ready = prepare()
    except OSError as error:
        os.write(tell, b"+" if _refuse(program, error) else _END)
        os._exit(0)
    line, report = "", -1
    try:
        data, received, _, _ = socket.recv_fds(program, 1, DESCRIPTORS)
        os.write(tell, data or _END)
        os.close(tell)
        program.close()
        if len(received) == DESCRIPTORS:
            report = received[-2]
            line = _supervise(received, ready)
    except OSError as error:
        line = f"error {error.errno} 0 0 0"
    finally:
        if report >= 0:
            os.write(report, line.encode())  # nothing says that the supervisor is lost
        # The interpreter's own farewell takes longer than many commands.
        os._exit(0)


def _supervise(received: list[int], ready: Ready) -> str:
    document, *streams, control, _, directory = received
    for descriptor in received:
        os.set_inheritable(descriptor, False)
    for number, stream in enumerate(streams):
        os.dup2(stream, number, inheritable=True)
        os.close(stream)
    request = _read(document)
    os.close(document)
    return supervise(request, control, directory, ready)


def _read(document: int) -> Request:
    fields = json.loads(os.pread(document, os.fstat(document).st_size, 0))
    confinement = fields.pop("confinement")
    return Request(
        **fields, confinement=None if confinement is None else Confinement(**confinement)
    )
