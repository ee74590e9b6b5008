"""Anomalies by distance: events unlike everything that was learned.

An event's distance is the mean of 1 - cosine over its k nearest learned events. How unusual it is
follows from the same distances of the learned events, each measured against the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import anyio.to_thread
import numpy as np

from toka.store.core.semantic import Anomaly, PluginInfo
from toka.store.semantic._reading import read_events
from toka.store.semantic._surprise import severity, tail_of_sample
from toka.store.semantic._text import event_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Event
    from toka.store.core.semantic import AnomalyDetector
    from toka.store.semantic._embedder import Embedder, Vectors
    from toka.store.semantic._text import TextExtractor
    from toka.types import JsonObject

_LEAST: Final = 30
"""Learned events below which nothing is called unusual."""
_BLOCK: Final = 512


class DistanceDetector:
    """An `AnomalyDetector` that knows what the latest events were about."""

    def __init__(
        self,
        embedder: Embedder,
        *,
        extractor: TextExtractor = event_text,
        neighbours: int = 5,
        memory: int = 2_000,
        rarity: float = 0.001,
    ) -> None:
        """Make a detector that has learned nothing yet.

        Args:
            embedder: Compares texts.
            extractor: Says what of an event is judged.
            neighbours: Over how many the distance is taken.
            memory: How many events are remembered, the latest; each is compared with each.
            rarity: The probability from which on down an event is reported.
        """
        self._embedder = embedder
        self._extractor = extractor
        self._neighbours = neighbours
        self._memory = memory
        self._rarity = rarity
        self._rows: Vectors = np.empty((0, embedder.dimensions), np.float32)
        self._positions: list[int] = []
        self._usual: Vectors | None = None

    @property
    def info(self) -> PluginInfo:
        return PluginInfo(
            "semantic.distance",
            "Distance",
            "Reports events that are unlike everything that was learned.",
            schema={
                "type": "object",
                "properties": {
                    "neighbours": {"type": "integer", "minimum": 1, "maximum": 100},
                    "memory": {"type": "integer", "minimum": _LEAST, "maximum": 20_000},
                    "rarity": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
                },
                "additionalProperties": False,
            },
        )

    def configure(self, parameters: JsonObject) -> None:
        """Take `neighbours`, `memory` and `rarity`, as the constructor does."""
        self._neighbours = cast("int", parameters.get("neighbours", self._neighbours))
        self._memory = cast("int", parameters.get("memory", self._memory))
        self._rarity = cast("float", parameters.get("rarity", self._rarity))
        self._usual = None

    async def learn(self, events: Sequence[Event]) -> None:
        read, rows = await read_events(events, self._embedder, self._extractor)
        self._rows = np.concatenate([self._rows, rows])[-self._memory :]
        self._positions = [*self._positions, *(event.position for event in read)][-self._memory :]
        self._usual = None

    async def detect(self, events: Sequence[Event]) -> list[Anomaly]:
        if len(self._rows) < _LEAST:
            return []
        read, rows = await read_events(events, self._embedder, self._extractor)
        return await anyio.to_thread.run_sync(self._detect, read, rows)

    def _detect(self, events: list[Event], rows: Vectors) -> list[Anomaly]:
        if self._usual is None:
            self._usual = self._distances_of_learned()
        found: list[Anomaly] = []
        for event, row in zip(events, rows, strict=True):
            similarities = self._rows @ row
            distance = float(_mean_distance(similarities[None, :], self._neighbours)[0])
            probability = tail_of_sample(self._usual, distance)
            if probability <= self._rarity:
                nearest = self._positions[int(np.argmax(similarities))]
                found.append(self._anomaly(event, distance, probability, nearest))
        return found

    def _distances_of_learned(self) -> Vectors:
        parts: list[Vectors] = []
        for begin in range(0, len(self._rows), _BLOCK):
            block = self._rows[begin : begin + _BLOCK] @ self._rows.T
            own = np.arange(len(block))
            block[own, own + begin] = -np.inf  # an event is not its own neighbour
            parts.append(_mean_distance(block, self._neighbours))
        return np.sort(np.concatenate(parts))

    def _anomaly(self, event: Event, distance: float, probability: float, nearest: int) -> Anomaly:
        usual = float(np.median(cast("Vectors", self._usual)))
        text = (
            f"It is {distance:.2f} away from the {self._neighbours} events it is most like;"
            f" half of the {len(self._rows)} learned ones are within {usual:.2f} of theirs,"
            f" and one in {1 / probability:,.0f} is as far."
        )
        facts: JsonObject = {
            "distance": round(distance, 4),
            "usual": round(usual, 4),
            "probability": probability,
            "nearest": nearest,
            "learned": len(self._rows),
        }
        suggestions = (f"toka explain {event.position}", f"toka explain {nearest}")
        return Anomaly(event.id, "distance", severity(probability), text, facts, suggestions)


def _mean_distance(similarities: Vectors, neighbours: int) -> Vectors:
    count = min(neighbours, similarities.shape[1] - 1)
    nearest = np.partition(similarities, -count, axis=1)[:, -count:]
    distances: Vectors = np.float32(1) - nearest.mean(axis=1)
    return distances


if TYPE_CHECKING:
    _implements: type[AnomalyDetector] = DistanceDetector
