"""An index that compares with every vector: exact, and quick enough for some 20,000 of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toka.store.semantic._embedder import Vectors

Positions: TypeAlias = "NDArray[np.int64]"
"""Positions of events in the log."""

_FIRST: Final = 256


@attrs.frozen
class Neighbours:
    """The nearest first."""

    positions: Positions
    similarities: Vectors
    """The cosine with what was asked, from -1 to 1."""


@attrs.define
class ExactIndex:
    """Vectors of unit length in one matrix, by rising position."""

    dimensions: int
    _rows: Vectors = attrs.field(init=False)
    _positions: Positions = attrs.field(init=False)
    _count: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._rows = np.empty((_FIRST, self.dimensions), np.float32)
        self._positions = np.empty(_FIRST, np.int64)

    def __len__(self) -> int:
        return self._count

    @property
    def positions(self) -> Positions:
        """Return the positions of all vectors, rising."""
        return self._positions[: self._count]

    def add(self, positions: Positions, vectors: Vectors) -> None:
        """Add vectors whose positions are higher than those that are there."""
        needed = self._count + len(positions)
        if needed > len(self._positions):
            self._grow(max(needed, 2 * len(self._positions)))
        self._rows[self._count : needed] = vectors
        self._positions[self._count : needed] = positions
        self._count = needed

    def _grow(self, room: int) -> None:
        rows = np.empty((room, self.dimensions), np.float32)
        positions = np.empty(room, np.int64)
        rows[: self._count] = self._rows[: self._count]
        positions[: self._count] = self.positions
        self._rows, self._positions = rows, positions

    def get(self, positions: Positions) -> Vectors:
        """Return vectors by position; all must be there."""
        return self._rows[np.searchsorted(self.positions, positions)]

    def search(self, vector: Vectors, count: int, among: Positions | None = None) -> Neighbours:
        """Return the nearest.

        Args:
            vector: Of unit length.
            count: The most to return.
            among: Only these positions; all must be there.
        """
        if among is None:
            return nearest(vector, self.positions, self._rows[: self._count], count)
        return nearest(vector, among, self.get(among), count)


def nearest(vector: Vectors, positions: Positions, rows: Vectors, count: int) -> Neighbours:
    """Return the rows that are nearest to a vector; of equals, those of lower position."""
    similarities: Vectors = rows @ vector
    if count < len(similarities):
        chosen = np.argpartition(-similarities, count)[:count]
    else:
        chosen = np.arange(len(similarities))
    order = np.lexsort((positions[chosen], -similarities[chosen]))
    return Neighbours(positions[chosen][order], similarities[chosen][order])
