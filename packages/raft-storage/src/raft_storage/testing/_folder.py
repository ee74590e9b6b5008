"""The folder of a simulated disk, for stores to work in."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import attrs

from raft_storage.testing._medium import Call, Change, Inode, Medium

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.define(eq=False)
class SimulatedFile:
    """An open file of a simulated disk."""

    _medium: Medium
    _life: int
    _name: str
    _inode: Inode | None

    def _use(self) -> Inode:
        if self._inode is None or self._medium.life != self._life:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), self._name)
        return self._inode

    def size(self) -> int:
        """Return the number of bytes."""
        return len(self._use().cache)

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes from an offset on; fewer than asked for only at the end."""
        return bytes(self._use().cache[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        """Write all the bytes, or raise, having written any part of them."""
        inode = self._use()
        self._medium.begin(Call("write", self._name, offset, len(data)))
        self._medium.write(inode, offset, data)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        inode = self._use()
        self._medium.begin(Call("truncate", self._name, size))
        inode.change(Change(size, None))

    def sync(self) -> None:
        """Make everything written durable, unless the disk lies."""
        self._medium.sync(Call("sync", self._name), self._use())

    def forget(self) -> None:
        """Drop the copy of what counts as durable."""
        self._use().forget()

    def close(self) -> None:
        """Close the file; twice is no error."""
        self._inode = None


@attrs.define(eq=False)
class SimulatedLock:
    """A lock, which ends with the process that took it."""

    _medium: Medium
    _life: int
    _name: str

    def release(self) -> None:
        """Let others take it."""
        if self._medium.life == self._life:
            self._medium.locks.discard(self._name)


@attrs.define(eq=False)
class SimulatedFolder:
    """The folder of a simulated disk, as one process sees it."""

    _medium: Medium
    _life: int

    def _begin(self, call: Call) -> Medium:
        if self._medium.life != self._life:
            raise OSError(errno.EBADF, "the process is dead", call.name)
        self._medium.begin(call)
        return self._medium

    def make(self) -> None:
        """Do nothing: it is there."""

    def names(self) -> Sequence[str]:
        """Return the names in it, sorted."""
        return sorted(self._medium.names)

    def open(self, name: str, *, create: bool = False) -> SimulatedFile:
        """Open a file for reading and writing, an empty one with `create`."""
        medium = self._medium
        if create:
            names = self._begin(Call("open", name)).names
            if name in names:
                names[name].change(Change(0, None))
            else:
                medium.rename_to({**names, name: Inode()})
        return SimulatedFile(medium, self._life, name, medium.inode(name))

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of a file that has it."""
        medium = self._begin(Call("rename", new))
        names = dict(medium.names)
        names[new] = medium.inode(old)
        del names[old]
        medium.rename_to(names)

    def remove(self, name: str) -> None:
        """Remove a file."""
        medium = self._begin(Call("remove", name))
        medium.inode(name)
        medium.rename_to({other: medium.names[other] for other in medium.names if other != name})

    def sync(self) -> None:
        """Make the names durable, unless the disk lies."""
        self._begin(Call("sync_folder", "")).sync_names()

    def lock(self, name: str) -> SimulatedLock:
        """Take an exclusive lock, or raise `BlockingIOError`."""
        medium = self._begin(Call("lock", name))
        if name in medium.locks:
            raise BlockingIOError(errno.EWOULDBLOCK, "another object has it open")
        medium.locks.add(name)
        return SimulatedLock(medium, self._life, name)
