"""The newest entries, kept in memory.

What is written is read again soon: to be applied, and for followers that are a little behind. So
the end of the log is read from here and the rest from the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core import Entry

#: What an entry takes besides its data, about.
_OVERHEAD: Final = 100


def _none() -> list[Entry]:
    return []


@attrs.define
class Recent:
    """Entries that follow each other, up to the last one of the log.

    Invariant: they take no more memory than the limit, but for the newest batch.
    """

    limit: int
    entries: list[Entry] = attrs.field(factory=_none, repr=False)
    _size: int = 0

    def add(self, entries: Sequence[Entry]) -> None:
        """Append what was written; what was at or above the first of their indexes goes."""
        if self.entries:
            kept = entries[0].index - self.entries[0].index
            if not 0 <= kept <= len(self.entries):
                self.clear()
            elif kept < len(self.entries):
                self._size -= _size(self.entries[kept:])
                del self.entries[kept:]
        self.entries += entries
        self._size += _size(entries)
        if self._size > self.limit:
            self._shrink(len(entries))

    def _shrink(self, newest: int) -> None:
        # Half of them at a time, so that it costs little for each.
        surplus = min(len(self.entries) // 2, len(self.entries) - newest)
        self._size -= _size(self.entries[:surplus])
        del self.entries[:surplus]
        if self._size > self.limit:
            gone = len(self.entries) - newest
            self._size -= _size(self.entries[:gone])
            del self.entries[:gone]

    def clear(self) -> None:
        """Forget all."""
        self.entries.clear()
        self._size = 0

    def find(self, low: int, high: int) -> list[Entry]:
        """Return the entries in [low, high) if all are here, else none."""
        if not self.entries:
            return []
        start = low - self.entries[0].index
        return self.entries[start : start + high - low] if start >= 0 else []


def _size(entries: Sequence[Entry]) -> int:
    return sum([len(entry.data) for entry in entries]) + _OVERHEAD * len(entries)
