"""Vectors for texts: what is asked, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.llm_gateway._response import Cost, Estimate, Usage


@attrs.frozen
class Embeddings:
    """One vector for each text, in order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
    model: str
    provider: str
    cost: Cost | None = None
    """None where the price or the usage is unknown."""
    attempts: int = 1


class EmbeddingModel(Protocol):
    """Makes vectors of texts."""

    @property
    def provider(self) -> str:
        """Who runs the model."""
        ...

    @property
    def name(self) -> str:
        """The model."""
        ...

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embeddings:
        """Return the vectors.

        Args:
            texts: What to embed.
            dimensions: How long the vectors are to be, for models that can shorten them.

        Raises:
            LlmFailure: There are none; the class says why.

        """
        ...

    def estimate(self, texts: Sequence[str]) -> Estimate:
        """Reckon what a call takes at most, without making it."""
        ...

    async def aclose(self) -> None:
        """Release connections. Calling it twice is harmless."""
        ...
