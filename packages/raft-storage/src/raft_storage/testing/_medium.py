"""What is on a simulated disk, what is only in the cache before it, and what goes wrong between."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

#: What a disk writes at once, or not at all, but for the one sector that the power cut tears.
SECTOR: Final = 512
_WHOLE: Final = 0.8


@attrs.frozen
class Call:
    """One call that a store makes to its folder, or to a file in it, to change something."""

    operation: str
    """One of open, write, truncate, sync, rename, remove, sync_folder, lock."""
    name: str
    """The file; for a rename its new name."""
    offset: int = 0
    size: int = 0


@attrs.define
class Faults:
    """What goes wrong from now on. All of it may be changed at any time."""

    before: Callable[[Call], None] | None = None
    """Called before each call; what it raises, the call raises.

    With a `PowerCut` the call does not happen. With an `OSError` it does not either, but what a
    sync should have made durable counts as durable from then on, as it does for Linux."""
    capacity: int | None = None
    """How many bytes fit on the disk; no limit without."""
    read_only: bool = False
    """Whether everything that would change something is refused."""
    lies: bool = False
    """Whether syncs only say that they are done."""
    misdirect: tuple[str, int] | None = None
    """The file and offset where the next write goes instead, without a word."""


@attrs.frozen
class Change:
    """A change of a file that is in the cache and not on the disk."""

    offset: int
    data: bytes | None
    """What was written; nothing if the file was cut at the offset."""

    def apply(self, content: bytearray) -> None:
        """Make the change."""
        if self.data is None:
            del content[self.offset :]
            return
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> list[Change]:
        """Return the change as what a disk does of it at once."""
        if not self.data:
            return [self]
        parts, offset, data = list[Change](), self.offset, self.data
        while data:
            size = SECTOR - offset % SECTOR
            parts.append(Change(offset, data[:size]))
            offset, data = offset + size, data[size:]
        return parts

    def torn(self, chance: Random) -> Change:
        """Return what survives of a sector that does: all of it, mostly."""
        if self.data is None or chance.random() < _WHOLE:
            return self
        return Change(self.offset, self.data[: chance.randrange(len(self.data) + 1)])


@attrs.define(eq=False)
class Inode:
    """A file, whatever its name."""

    disk: bytearray = attrs.field(factory=bytearray)
    cache: bytearray = attrs.field(factory=bytearray)
    pending: list[Change] = attrs.field(factory=list[Change])

    def change(self, change: Change) -> None:
        """Change the file in the cache."""
        change.apply(self.cache)
        self.pending.append(change)

    def settle(self) -> None:
        """Bring the changes to the disk."""
        for change in self.pending:
            change.apply(self.disk)
        self.pending.clear()

    def forget(self) -> None:
        """Read from the disk again what counts as durable."""
        if not self.pending:
            self.cache = bytearray(self.disk)


@attrs.define(eq=False)
class Medium:
    """The disk, as the folders of its processes use it."""

    faults: Faults
    names: dict[str, Inode] = attrs.field(factory=dict[str, Inode])
    durable_names: dict[str, Inode] = attrs.field(factory=dict[str, Inode])
    name_changes: list[dict[str, Inode]] = attrs.field(factory=list[dict[str, Inode]])
    """The names after each change that is not durable."""
    locks: set[str] = attrs.field(factory=set[str])
    life: int = 0
    """How many generations of processes have ended."""

    def begin(self, call: Call) -> None:
        """Let go wrong what shall.

        Raises:
            OSError: The disk is read-only, or the test wants it so.

        """
        if self.faults.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), call.name)
        if self.faults.before is not None:
            self.faults.before(call)

    def inode(self, name: str) -> Inode:
        """Return a file.

        Raises:
            FileNotFoundError: There is none.

        """
        try:
            return self.names[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None

    def rename_to(self, names: dict[str, Inode]) -> None:
        """Change the names."""
        self.names = names
        self.name_changes.append(dict(names))

    def write(self, inode: Inode, offset: int, data: bytes) -> None:
        """Write as much as fits.

        Raises:
            OSError: Not all of it fits.

        """
        if self.faults.misdirect is not None:
            (name, offset), self.faults.misdirect = self.faults.misdirect, None
            inode = self.inode(name)
        room = self._room(inode, offset, len(data))
        if room:
            inode.change(Change(offset, data[:room]))
        if room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _room(self, inode: Inode, offset: int, size: int) -> int:
        """Return how many of some bytes fit."""
        if self.faults.capacity is None:
            return size
        used = sum(len(other.cache) for other in self.names.values())
        growth = max(0, offset + size - len(inode.cache))
        return min(size, max(0, size - used - growth + self.faults.capacity))

    def sync(self, call: Call, inode: Inode) -> None:
        """Bring a file's content to the disk.

        Raises:
            OSError: The test wants it so.

        """
        try:
            self.begin(call)
        except OSError:
            inode.pending.clear()
            raise
        if not self.faults.lies:
            inode.settle()

    def sync_names(self) -> None:
        """Bring the names to the disk."""
        if not self.faults.lies:
            self.durable_names = dict(self.names)
            self.name_changes.clear()
