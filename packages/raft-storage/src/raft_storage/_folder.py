"""The seam between the store and the disk.

The store does every input and output through a `Folder`, so that tests can put a model of a disk
there (see `raft_storage.testing`). What it demands of one is what POSIX promises, and no more:

- bytes written are durable once `File.sync` has returned, or earlier, in any order;
- a name made, renamed or removed is durable once `Folder.sync` has returned, or earlier;
- renaming replaces in one step.

Failures are raised as `OSError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class File(Protocol):
    """An open file."""

    def size(self) -> int:
        """Return the number of bytes."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes from an offset on; fewer than asked for only at the end."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write all the bytes, or raise, having written any part of them."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file."""
        ...

    def sync(self) -> None:
        """Make everything written durable."""
        ...

    def forget(self) -> None:
        """Let the system drop its copy of what is durable, so that a read asks the disk."""
        ...

    def close(self) -> None:
        """Close the file; twice is no error."""
        ...


class Lock(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Let others take it."""
        ...


class Folder(Protocol):
    """A folder without folders in it."""

    def make(self) -> None:
        """Create the folder, durably, if it is not there."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names in it, sorted; none if the folder is not there."""
        ...

    def open(self, name: str, *, create: bool = False) -> File:
        """Open a file for reading and writing, an empty one with `create`."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of a file that has it."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def sync(self) -> None:
        """Make the names durable."""
        ...

    def lock(self, name: str) -> Lock:
        """Take an exclusive lock, or raise `BlockingIOError` whose text says who has it."""
        ...
