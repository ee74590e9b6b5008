"""One writer at a time: a lock file beside the store, held for as long as the store is open.

Engines have locks of their own, of the kind that belongs to a process. LevelDB's is lost without a
word when this process closes any other descriptor of its file, as a refused second open or a copy
of the folder does.

`flock` belongs to the open file, not to the process: a second open in the same process is refused
too, and closing some other descriptor of the file does not drop the lock. The system releases it
when the holder dies, however it dies. The file stays when the store is closed, because removing a
lock file races with the next holder. Where a network file system turns `flock` into the other kind
of lock, a register of this process's stores still refuses the second open.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from toka.store.core._errors import StoreLocked
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from pathlib import Path


class _Holder(msgspec.Struct, frozen=True):
    pid: int | None = None
    since: int | None = None


class WriterLock:
    """The exclusive right to write to a store; a child process does not inherit it."""

    def __init__(self, path: Path, location: str, now: int) -> None:
        """Take the lock.

        Args:
            path: Of the lock file; made if it is not there.
            location: Of the store, for the refusal.
            now: Nanoseconds since the Unix epoch, to be told to those who are refused.

        Raises:
            StoreLocked: Someone else holds it.
            OSError: The file cannot be made or written.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._file = _identity(descriptor)
            if self._file in _registered:
                raise BlockingIOError  # noqa: TRY301 - the same answer as of the system's lock
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(descriptor, _Holder(os.getpid(), now))
        except BlockingIOError:
            holder = _read(descriptor)
            os.close(descriptor)
            raise StoreLocked(location, holder.pid, holder.since, _when(holder.since)) from None
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _registered.add(self._file)
        _held.add(self)

    def release(self) -> None:
        """Give the lock up; doing so again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        _held.discard(self)
        if descriptor >= 0:
            _registered.discard(self._file)
            os.close(descriptor)

    def forget(self) -> None:
        """Close the descriptor that a child process inherited; the parent keeps the lock.

        Without this the lock would live on in the child when the parent is gone.
        """
        os.close(self._descriptor)
        self._descriptor = -1


_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()

_registered: set[tuple[int, int]] = set()
"""The lock files that this process holds, by device and number."""


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _after_fork() -> None:
    for lock in list(_held):
        lock.forget()
    _held.clear()
    _registered.clear()


os.register_at_fork(after_in_child=_after_fork)


def _write(descriptor: int, holder: _Holder) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(holder), 0)


def _read(descriptor: int) -> _Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=_Holder)
    except msgspec.DecodeError:
        return _Holder()  # the holder has locked the file and not written to it yet


def _when(since: int | None) -> str:
    if since is None:
        return ""
    return datetime.fromtimestamp(since // NANOSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
