"""Who writes to a log now, found out without touching it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import attrs
import msgspec

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Holder:
    """A process that holds the lock of a log; facts that it has not written yet are None."""

    pid: int | None = None
    since: int | None = None
    """Nanoseconds since the Unix epoch."""


def holder_of(log: Path) -> Holder | None:
    """Return who has a log open for writing, or None.

    The store keeps `X.lock` beside `X` and holds an exclusive lock on it; asking for a shared one
    and giving it back at once disturbs nobody but a writer that starts in this very moment, which
    will say that the log is in use.
    """
    try:
        descriptor = os.open(f"{log}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read(descriptor: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4_096, 0), type=Holder)
    except msgspec.MsgspecError:
        return Holder()
