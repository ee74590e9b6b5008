"""A disk that does to its files what real ones do, and does it the same way for the same seed.

What is written stays in a cache until it is synced. A power cut loses any part of what was not:
whole writes, single sectors of them in any order, the end of one sector; names too.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from raft_storage.testing._folder import SimulatedFolder
from raft_storage.testing._medium import Change, Faults, Inode, Medium

if TYPE_CHECKING:
    from collections.abc import Mapping


class PowerCut(Exception):
    """For a `before` of `Faults` to raise: the store stops at this call. Then call `crash`."""


class SimulatedDisk:
    """A disk with one folder, which outlives the processes that use it.

    A test lets a store work in `folder()`, sets in `faults` what shall go wrong, calls `crash` or
    `kill`, and opens the next store in the next `folder()`.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None, *, seed: int = 0) -> None:
        self.faults: Faults = Faults()
        names = {
            name: Inode(bytearray(content), bytearray(content))
            for name, content in (files or {}).items()
        }
        self._medium = Medium(self.faults, names, dict(names))
        self._random = Random(seed)  # noqa: S311 - it shall be repeatable

    def folder(self) -> SimulatedFolder:
        """Return the folder as a process sees it that starts now."""
        return SimulatedFolder(self._medium, self._medium.life)

    def files(self) -> dict[str, bytes]:
        """Return what can be read now."""
        return {name: bytes(inode.cache) for name, inode in sorted(self._medium.names.items())}

    def unsynced(self) -> list[str]:
        """Return the files that hold something which a power cut could take."""
        return sorted(name for name, inode in self._medium.names.items() if inode.pending)

    def kill(self) -> None:
        """End the processes that use the disk. What they wrote stays in the cache."""
        self._medium.life += 1
        self._medium.locks.clear()

    def crash(self, survival: float = 0.0) -> None:
        """Cut the power. Each sector that was not synced survives with some probability.

        One that survives may be torn. Changes of names survive in order, up to some change.
        """
        medium, chance = self._medium, self._random
        while medium.name_changes and chance.random() >= survival:
            medium.name_changes.pop()
        for inode in self._inodes():
            for change in inode.pending:
                for part in change.sectors():
                    if chance.random() < survival:
                        part.torn(chance).apply(inode.disk)
        self._restart()

    def crash_after(self, size: int) -> None:
        """Cut the power when so many bytes of what was not synced have been written, in order."""
        for inode in self._inodes():
            for change in inode.pending:
                data = change.data
                if data is not None:
                    data, size = data[: max(0, size)], size - len(data)
                Change(change.offset, data).apply(inode.disk)
        self._restart()

    def _inodes(self) -> list[Inode]:
        medium = self._medium
        states = [medium.durable_names, *medium.name_changes, medium.names]
        every = {id(names[name]): names[name] for names in states for name in sorted(names)}
        return list(every.values())

    def _restart(self) -> None:
        medium = self._medium
        if medium.name_changes:
            medium.durable_names = medium.name_changes[-1]
            medium.name_changes.clear()
        medium.names = dict(medium.durable_names)
        for inode in medium.names.values():
            inode.pending.clear()
            inode.forget()
        self.kill()

    def flip(self, name: str, bit: int) -> None:
        """Flip a bit of a file, on the disk and in the cache."""
        inode = self._medium.inode(name)
        for content in (inode.disk, inode.cache):
            if bit // 8 < len(content):
                content[bit // 8] ^= 1 << bit % 8
