"""The server: takes requests over a socket and forks a supervisor for each.

A request is one byte with seven descriptors: the document that says what to run, standard input,
output and error of the command, `control`, `report`, and its working directory. End of file on the
socket ends the server, and on `control` the command with all its tree: so does the death of the
program, which holds the other ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from ._request import Confinement, Request
from ._supervisor import supervise

DESCRIPTORS = 7


def serve(channel: int) -> None:
    """Fork a supervisor for every request until the program is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors report by themselves
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=channel) as program:
        while True:
            data, received, _, _ = socket.recv_fds(program, 1, DESCRIPTORS)
            if not data:
                return
            if len(received) == DESCRIPTORS:
                _fork(program, received)
            for descriptor in received:
                os.close(descriptor)


def _fork(program: socket.socket, received: list[int]) -> None:
    document, *streams, control, report, directory = received
    try:
        child = os.fork()
    except OSError as error:
        os.write(report, f"error {error.errno} 0 0 0".encode())
        return
    if child:
        return
    program.close()
    line = ""  # the program says then that its supervisor is lost
    try:
        for descriptor in received:
            os.set_inheritable(descriptor, False)
        for number, stream in enumerate(streams):
            os.dup2(stream, number, inheritable=True)
            os.close(stream)
        request = _read(document)
        os.close(document)
        line = supervise(request, control, directory)
    except OSError as error:
        line = f"error {error.errno} 0 0 0"
    finally:
        os.write(report, line.encode())
        # Ends at once, and never returns into the server: the interpreter's own farewell takes
        # longer than many commands.
        os._exit(0)


def _read(document: int) -> Request:
    fields = json.loads(os.pread(document, os.fstat(document).st_size, 0))
    confinement = fields.pop("confinement")
    return Request(
        **fields, confinement=None if confinement is None else Confinement(**confinement)
    )
