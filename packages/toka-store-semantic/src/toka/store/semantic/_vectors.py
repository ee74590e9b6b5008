"""The vectors of an index: compared one by one while they are few, in a graph when they are many.

The catalogue has every vector, so the graph can always be made again; it is saved only because
that takes half a millisecond a vector.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from toka.store.semantic._exact import ExactIndex
from toka.store.semantic._sealed import Sealed, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toka.store.semantic._embedder import Vectors
    from toka.store.semantic._exact import Neighbours, Positions
    from toka.store.semantic._graph import GraphIndex

Engine: TypeAlias = Literal["auto", "exact", "graph"]
"""`auto` is exact up to 20,000 vectors, and a graph from there on if usearch is installed."""

THRESHOLD: Final = 20_000
_SAVE_EVERY: Final = 20_000
"""Vectors that a crash costs at most, at half a millisecond each."""
_BATCH: Final = 4_096


class VectorIndex:
    """Finds the nearest vectors, by whichever way is quickest for so many."""

    def __init__(
        self,
        dimensions: int,
        *,
        engine: Engine = "auto",
        path: Path | None = None,
        threshold: int = THRESHOLD,
    ) -> None:
        """Make an empty index.

        Args:
            dimensions: Of a vector.
            engine: The way of searching.
            path: Where a graph is saved; None for an index in memory.
            threshold: From how many vectors on `auto` has a graph.

        Raises:
            EngineMissing: A graph is demanded and usearch is not installed.
        """
        self.dimensions: Final = dimensions
        self._path: Final = path
        self._saved = 0
        self._threshold: float = threshold
        if engine == "exact" or (engine == "auto" and find_spec("usearch") is None):
            self._threshold = float("inf")
        self._vectors: ExactIndex | GraphIndex = (
            _graph(dimensions) if engine == "graph" else ExactIndex(dimensions)
        )

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def engine(self) -> Literal["exact", "graph"]:
        """Return the way in which it searches now."""
        return "exact" if isinstance(self._vectors, ExactIndex) else "graph"

    @property
    def positions(self) -> Positions:
        """Return the positions of all vectors, rising."""
        return self._vectors.positions

    def restore(self, count: int, last: int) -> int:
        """Take up the saved graph, and return the position up to which it has the vectors.

        One that is damaged, or ahead of the catalogue, is discarded; 0 is returned then.

        Args:
            count: Vectors in the catalogue: with few, there is nothing to restore.
            last: The catalogue's position.

        Raises:
            OSError: The file is there and cannot be read.
        """
        if self._path is None or (self.engine == "exact" and count <= self._threshold):
            return 0
        sealed = unseal(self._path)
        if sealed is None or sealed.position > last:
            self._path.unlink(missing_ok=True)
            return 0
        self._vectors = _graph(self.dimensions, sealed.data)
        self._saved = len(self._vectors)
        return sealed.position

    def add(self, positions: Positions, vectors: Vectors) -> None:
        """Add vectors whose positions are higher than those that are there."""
        if not len(positions):
            return
        if self.engine == "exact" and len(self) + len(positions) > self._threshold:
            self._become_graph()
        self._vectors.add(positions, vectors)

    def _become_graph(self) -> None:
        few, self._vectors = self._vectors, _graph(self.dimensions)
        positions = few.positions
        for begin in range(0, len(positions), _BATCH):
            page = positions[begin : begin + _BATCH]
            self._vectors.add(page, few.get(page))

    def extend(self, pages: Iterable[tuple[Positions, Vectors]]) -> None:
        """Add page after page."""
        for positions, vectors in pages:
            self.add(positions, vectors)

    def get(self, positions: Positions) -> Vectors:
        """Return vectors by position, rising; all must be there."""
        return self._vectors.get(positions)

    def has(self, position: int) -> bool:
        """Say whether there is a vector at a position."""
        positions = self.positions
        at = int(np.searchsorted(positions, position))
        return at < len(positions) and int(positions[at]) == position

    def search(self, vector: Vectors, count: int, among: Positions | None = None) -> Neighbours:
        """Return the nearest.

        Args:
            vector: Of unit length.
            count: The most to return.
            among: Only these positions, rising; all must be there.
        """
        return self._vectors.search(vector, count, among)

    def is_to_save(self) -> bool:
        """Say whether a crash would cost long work."""
        return self.engine == "graph" and len(self) - self._saved >= _SAVE_EVERY

    def save(self, position: int) -> None:
        """Save the graph, if there is one and it has changed.

        Args:
            position: In the log: what has been added up to now.

        Raises:
            OSError: It cannot be written; what was saved before still is.
        """
        if self._path is None or isinstance(self._vectors, ExactIndex):
            return
        if len(self) != self._saved:
            seal(self._path, Sealed(position, self._vectors.dump()))
            self._saved = len(self)


def _graph(dimensions: int, data: bytes | None = None) -> GraphIndex:
    from toka.store.semantic._graph import GraphIndex  # noqa: PLC0415 - usearch is an extra

    return GraphIndex(dimensions, data)
