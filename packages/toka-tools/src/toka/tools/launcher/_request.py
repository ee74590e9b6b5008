"""What is asked of the launcher; `process/_process.py` writes it.

It arrives as `KEY_BYTES` that are equal for requests of equal limits and confinement, with five
descriptors: a file with the rest, standard input, output and error of the command, and its working
directory. The file holds what `marshal` makes of the fields: both ends are the same interpreter,
and importing anything that reads JSON would double what a fork has to copy.
"""

from __future__ import annotations

import marshal
import os
import socket
from typing import NamedTuple

KEY_BYTES = 16
DESCRIPTORS = 5


class Confinement(NamedTuple):
    """What a command is kept from, beside its limits."""

    readable: tuple[str, ...]
    """Paths that may be read, and run."""
    writable: tuple[str, ...]
    network: bool
    namespaces: bool


class Request(NamedTuple):
    """A program, how it is called, and what it may use."""

    program: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    limits: dict[str, int]
    confinement: Confinement | None
    streams: tuple[int, ...]
    directory: int

    def close(self) -> None:
        """Release the descriptors."""
        for descriptor in (*self.streams, self.directory):
            os.close(descriptor)


def receive(program: socket.socket) -> Request:
    """Return the next request, of which nothing is passed on to anybody by itself.

    Raises:
        OSError: It did not arrive whole; there may be no room for its descriptors.
    """
    _, received, _, _ = socket.recv_fds(program, KEY_BYTES, DESCRIPTORS)
    for descriptor in received:
        os.set_inheritable(descriptor, False)
    if len(received) != DESCRIPTORS:
        raise OSError(24, "receive")  # EMFILE: what did not find room is closed already
    document, *streams, directory = received
    data = os.pread(document, os.fstat(document).st_size, 0)
    os.close(document)
    # From the program, whose own we are.
    path, argv, environment, limits, kept = marshal.loads(data)  # noqa: S302
    confinement = None if kept is None else Confinement(*kept)
    return Request(path, argv, environment, limits, confinement, tuple(streams), directory)
