"""A folder of the operating system."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_storage._folder import Folder

    Place: TypeAlias = Folder | str | os.PathLike[str]

_MODE: Final = 0o600


@attrs.define
class _This:
    """Which process this is, without a system call for each time that somebody wants to know."""

    process: int

    def forked(self) -> None:
        """Find out again."""
        self.process = os.getpid()


THIS: Final = _This(os.getpid())
os.register_at_fork(after_in_child=THIS.forked)


@attrs.define
class SystemFile:
    """An open file of the operating system."""

    _descriptor: int

    def size(self) -> int:
        """Return the number of bytes."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes from an offset on; fewer than asked for only at the end."""
        data = os.pread(self._descriptor, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]  # one call returns 2 GiB at most
        while data:
            offset, size = offset + len(data), size - len(data)
            data = os.pread(self._descriptor, size, offset) if size else b""
            parts.append(data)
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Write all the bytes, or raise, having written any part of them."""
        written = os.pwrite(self._descriptor, data, offset)
        while written < len(data):
            written += os.pwrite(self._descriptor, memoryview(data)[written:], offset + written)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Make everything written durable, the file's size too."""
        if sys.platform == "darwin":  # there, fsync leaves it in the drive's cache
            fcntl.fcntl(self._descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(self._descriptor)

    def forget(self) -> None:
        """Let the system drop its copy of what is durable, so that a read asks the disk."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close the file; twice is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@attrs.define
class SystemLock:
    """A lock by `flock`.

    It belongs to the open file, not to the process: a second attempt in the same process is refused
    too, and reading or copying the file does not lose it, as it would lose a POSIX record lock.
    """

    _descriptor: int

    def release(self) -> None:
        """Let others take it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also in children that inherited it
            os.close(descriptor)


@attrs.frozen
class SystemFolder:
    """A folder of the operating system."""

    path: Path = attrs.field(converter=Path)

    def make(self) -> None:
        """Create the folder, durably, if it is not there."""
        if not self.path.is_dir():
            self.path.mkdir(parents=True, mode=0o700)
            _sync_folder(self.path.parent)

    def names(self) -> Sequence[str]:
        """Return the names in it, sorted; none if the folder is not there."""
        try:
            return sorted(os.listdir(self.path))  # noqa: PTH208 - the names alone
        except FileNotFoundError:
            return ()

    def open(self, name: str, *, create: bool = False) -> SystemFile:
        """Open a file for reading and writing, an empty one with `create`."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if create else 0)
        return SystemFile(os.open(self.path / name, flags, _MODE))

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of a file that has it."""
        (self.path / old).replace(self.path / new)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.path / name).unlink()

    def sync(self) -> None:
        """Make the names durable."""
        _sync_folder(self.path)

    def lock(self, name: str) -> SystemLock:
        """Take an exclusive lock, or raise `BlockingIOError` whose text says who has it."""
        descriptor = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise BlockingIOError(errno.EWOULDBLOCK, f"process {holder} has it open") from None
        except OSError:
            os.close(descriptor)
            raise
        return SystemLock(descriptor)


def folder_of(place: Place) -> Folder:
    """Return the folder that somebody means."""
    return SystemFolder(place) if isinstance(place, (str, os.PathLike)) else place


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
