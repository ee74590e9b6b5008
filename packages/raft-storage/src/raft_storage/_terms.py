"""Which term the entries of a log have."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable


def _none() -> list[int]:
    return []


@attrs.define
class Terms:
    """The terms of entries, as runs: terms change with leaders, so there are few.

    Invariant: `starts` and `values` rise together; a run reaches to the start of the next.
    """

    starts: list[int] = attrs.field(factory=_none)
    values: list[int] = attrs.field(factory=_none)

    @classmethod
    def of(cls, runs: Iterable[tuple[int, int]]) -> Terms:
        """Return the terms that runs of (first index, term) say."""
        terms = cls()
        for start, value in runs:
            terms.append(start, value)
        return terms

    def at(self, index: int) -> int:
        """Return the term of an entry, which must be there."""
        return self.values[bisect_right(self.starts, index) - 1]

    def append(self, index: int, term: int) -> None:
        """Add the next entry."""
        if not self.values or self.values[-1] != term:
            self.starts.append(index)
            self.values.append(term)

    def cut(self, index: int) -> None:
        """Forget the entries from an index on."""
        while self.starts and self.starts[-1] >= index:
            self.starts.pop()
            self.values.pop()

    def drop(self, index: int) -> None:
        """Forget the entries up to and with an index."""
        keep = bisect_right(self.starts, index + 1) - 1
        if keep > 0:
            del self.starts[:keep], self.values[:keep]

    def runs(self, low: int, high: int) -> list[tuple[int, int]]:
        """Return the runs of the entries from `low` to `high`, as (first index, term).

        Entries that were dropped have none.
        """
        if low > high:
            return []
        first = max(0, bisect_right(self.starts, low) - 1)
        pairs = zip(self.starts[first:], self.values[first:], strict=True)
        return [(max(start, low), value) for start, value in pairs if start <= high]
