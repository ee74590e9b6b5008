"""Classification by the nearest of labelled examples.

The k nearest examples vote, each with its cosine. The raw score of the winner is its share of the
votes times the cosine of its nearest example. What such a score is worth is measured: each example
is classified by all others, and isotonic regression (pool adjacent violators; Ayer and others,
1955) finds the share of right answers that goes with a score. That share is the confidence; one
more right and one more wrong answer are added to each pool, so few examples never make it certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import anyio.to_thread
import attrs
import numpy as np

from toka.store.core.semantic import Classification, PluginInfo
from toka.store.semantic._errors import TooMany
from toka.store.semantic._reading import read_events
from toka.store.semantic._text import event_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Event
    from toka.store.core.semantic import Classifier
    from toka.store.semantic._embedder import Embedder, Vectors
    from toka.store.semantic._text import TextExtractor
    from toka.types import JsonObject

MAX_EXAMPLES: Final = 10_000
"""Each is compared with each."""
_BLOCK: Final = 512


@attrs.frozen
class _Vote:
    category: str
    score: float
    nearest: int
    similarity: float


@attrs.frozen
class _Calibration:
    """Scores in rising order, with the share of right answers from each on."""

    scores: Vectors
    shares: Vectors

    @classmethod
    def of(cls, scores: Vectors, right: Vectors) -> _Calibration:
        pools: list[tuple[float, float, float]] = []  # the lowest score, right answers, answers
        for at in np.argsort(scores, kind="stable").tolist():
            low, good, count = float(scores[at]), float(right[at]), 1.0
            while pools and pools[-1][1] / pools[-1][2] >= good / count:
                low, more, several = pools.pop()
                good, count = good + more, count + several
            pools.append((low, good, count))
        shares = [(good + 1) / (count + 2) for _, good, count in pools]
        return cls(np.array([low for low, _, _ in pools], np.float32), np.array(shares, np.float32))

    def __call__(self, score: float) -> float:
        if score < self.scores[0]:  # unlike every example: no measured share speaks for it
            return float(self.shares[0]) * score / float(self.scores[0])
        return float(self.shares[np.searchsorted(self.scores, score, side="right") - 1])


class NearestClassifier:
    """A `Classifier` that learns from examples."""

    def __init__(
        self, embedder: Embedder, *, extractor: TextExtractor = event_text, neighbours: int = 5
    ) -> None:
        """Make a classifier that knows nothing yet.

        Args:
            embedder: Compares texts.
            extractor: Says what of an event is judged.
            neighbours: How many examples vote.
        """
        self._embedder = embedder
        self._extractor = extractor
        self._neighbours = neighbours
        self._rows: Vectors = np.empty((0, embedder.dimensions), np.float32)
        self._categories: list[str] = []
        self._calibration: _Calibration | None = None

    @property
    def info(self) -> PluginInfo:
        return PluginInfo(
            "semantic.nearest",
            "Nearest examples",
            "Names the category of the labelled examples that an event is most like.",
            schema={
                "type": "object",
                "properties": {"neighbours": {"type": "integer", "minimum": 1, "maximum": 100}},
                "additionalProperties": False,
            },
        )

    def configure(self, parameters: JsonObject) -> None:
        """Take `neighbours`, the number of examples that vote."""
        self._neighbours = cast("int", parameters.get("neighbours", self._neighbours))
        self._calibration = None

    async def learn(self, examples: Sequence[tuple[str, str]]) -> None:
        """Take examples in, each a text with its category.

        Raises:
            TooMany: There would be more than are ever compared with each other.
        """
        if len(self._categories) + len(examples) > MAX_EXAMPLES:
            raise TooMany(len(self._categories) + len(examples), MAX_EXAMPLES)
        texts = [text for text, _ in examples]
        rows = await anyio.to_thread.run_sync(self._embedder.embed, texts)
        self._rows = np.concatenate([self._rows, rows])
        self._categories += [category for _, category in examples]
        self._calibration = None

    async def classify(self, events: Sequence[Event]) -> list[Classification]:
        """Return a category for each event that is like some example."""
        if len(self._categories) < 2:  # noqa: PLR2004 - one cannot be judged by the others
            return []
        judged, rows = await read_events(events, self._embedder, self._extractor)
        return await anyio.to_thread.run_sync(self._classify, judged, rows)

    def _classify(self, events: list[Event], rows: Vectors) -> list[Classification]:
        if self._calibration is None:
            self._calibration = self._calibrate()
        found: list[Classification] = []
        for event, row in zip(events, rows, strict=True):
            vote = self._vote(self._rows @ row)
            if vote.similarity > self._embedder.unrelated:
                confidence = self._calibration(vote.score)
                found.append(self._classification(event, vote, confidence))
        return found

    def _classification(self, event: Event, vote: _Vote, confidence: float) -> Classification:
        facts: JsonObject = {
            "score": round(vote.score, 4),
            "similarity": round(vote.similarity, 4),
            "example": vote.nearest,
            "examples": len(self._categories),
        }
        return Classification(
            event.id, vote.category, min(1.0, max(0.0, confidence)), (vote.category,), facts
        )

    def _vote(self, similarities: Vectors) -> _Vote:
        count = min(self._neighbours, len(similarities))
        chosen: list[int] = np.argsort(-similarities, kind="stable")[:count].tolist()
        votes: dict[str, float] = {}
        for at in chosen:
            category = self._categories[at]
            votes[category] = votes.get(category, 0.0) + max(0.0, float(similarities[at]))
        best = max(votes, key=lambda category: votes[category])
        nearest = next(at for at in chosen if self._categories[at] == best)
        similarity = max(0.0, float(similarities[nearest]))
        total = sum(votes.values())
        return _Vote(best, votes[best] / total * similarity if total else 0.0, nearest, similarity)

    def _calibrate(self) -> _Calibration:
        scores, right = np.zeros((2, len(self._rows)), np.float32)
        for begin in range(0, len(self._rows), _BLOCK):
            block = self._rows[begin : begin + _BLOCK] @ self._rows.T
            for at, similarities in enumerate(block, begin):
                similarities[at] = -1  # an example does not vote on itself
                vote = self._vote(similarities)
                scores[at], right[at] = vote.score, vote.category == self._categories[at]
        return _Calibration.of(scores, right)


if TYPE_CHECKING:
    _implements: type[Classifier] = NearestClassifier
