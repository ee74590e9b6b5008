"""What turns text into vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"
"""A vector, or a matrix with one vector a row."""


class Embedder(Protocol):
    """Turns texts into vectors of unit length, alike for texts that mean the same.

    It is called in a worker thread, by one thread at a time.
    """

    @property
    def name(self) -> str:
        """Name the model with all that shapes its vectors.

        An index made under another name is discarded, for its vectors cannot be compared.
        """
        ...

    @property
    def dimensions(self) -> int:
        """Return the length of a vector."""
        ...

    @property
    def unrelated(self) -> float:
        """Return the cosine that texts reach which have nothing to do with each other."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row of unit length for each text; a row of zeros where there is nothing."""
        ...


def unit(rows: Vectors) -> Vectors:
    """Scale rows to unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    lengths[lengths == 0] = 1
    scaled: Vectors = rows / lengths.astype(np.float32)
    return scaled
