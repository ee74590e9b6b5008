"""Anomalies by rate: more events of a kind in a span of time than before.

Time is cut into windows. What a window holds of a kind is compared with the negative binomial
distribution that has the mean and the spread of the learned windows, those without any counted as
well. Its dispersion is bounded by what so few events can tell (the predictive distribution of
Poisson counts under Jeffreys' prior), so a short history is not taken for a steady one. Silence is
not found, because no event tells of it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.store.core.semantic import Anomaly, PluginInfo
from toka.store.semantic._surprise import severity, tail_of_counts
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Event
    from toka.store.core.semantic import AnomalyDetector
    from toka.types import JsonObject

_LEAST: Final = 5
"""Learned windows below which nothing is called unusual."""
_MEMORY: Final = 10_000
"""Windows that are remembered, the latest."""
_PRIOR: Final = 0.5


@attrs.frozen
class _Usual:
    """What windows hold of a kind."""

    mean: float
    dispersion: float
    windows: int

    @classmethod
    def of(cls, counts: list[int], windows: int) -> _Usual:
        """Take the counts of the windows that have any, out of all."""
        total = sum(counts)
        mean = (total + _PRIOR) / windows
        variance = sum(count * count for count in counts) / windows - (total / windows) ** 2
        burstiness = variance - total / windows
        known = total + _PRIOR
        spread = (total / windows) ** 2 / burstiness if burstiness > 0 and total else known
        return cls(mean, min(known, spread), windows)


class RateDetector:
    """An `AnomalyDetector` that counts kinds by time; it needs no text."""

    def __init__(self, *, window: int = 60 * NANOSECONDS, rarity: float = 1e-4) -> None:
        """Make a detector that has learned nothing yet.

        Args:
            window: Nanoseconds in which events are counted together.
            rarity: The probability from which on down a window is reported.
        """
        self._window = window
        self._rarity = rarity
        self._counts: dict[str, Counter[int]] = {}
        self._first: int | None = None
        self._last = 0

    @property
    def info(self) -> PluginInfo:
        return PluginInfo(
            "semantic.rate",
            "Rate",
            "Reports windows of time with more events of a kind than usual.",
            schema={
                "type": "object",
                "properties": {
                    "window_seconds": {"type": "integer", "minimum": 1},
                    "rarity": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
                },
                "additionalProperties": False,
            },
        )

    def configure(self, parameters: JsonObject) -> None:
        """Take `window_seconds`, which forgets what was learned by another, and `rarity`."""
        seconds = cast("int | None", parameters.get("window_seconds"))
        if seconds is not None and seconds * NANOSECONDS != self._window:
            self._window = seconds * NANOSECONDS
            self._counts, self._first, self._last = {}, None, 0
        self._rarity = cast("float", parameters.get("rarity", self._rarity))

    async def learn(self, events: Sequence[Event]) -> None:
        for event in events:
            at = event.time // self._window
            self._counts.setdefault(event.kind, Counter())[at] += 1
            self._first = at if self._first is None else min(self._first, at)
            self._last = max(self._last, at)
        self._forget()

    def _forget(self) -> None:
        if self._first is None or self._last - self._first < 2 * _MEMORY:
            return
        self._first = self._last - _MEMORY
        for counts in self._counts.values():
            for at in [each for each in counts if each < self._first]:
                del counts[at]

    async def detect(self, events: Sequence[Event]) -> list[Anomaly]:
        """Return one finding for each kind and window that is unusual, at its last event.

        What was learned of a window counts with what is given of it.
        """
        last: dict[tuple[str, int], Event] = {}
        given: Counter[tuple[str, int]] = Counter()
        for event in events:
            place = (event.kind, event.time // self._window)
            last[place] = event
            given[place] += 1
        judged = (self._judge(event, at, given[kind, at]) for (kind, at), event in last.items())
        found = [anomaly for anomaly in judged if anomaly is not None]
        order = {event.id: number for number, event in enumerate(events)}
        return sorted(found, key=lambda anomaly: order[anomaly.event])

    def _judge(self, event: Event, at: int, given: int) -> Anomaly | None:
        if self._first is None:
            return None
        learned = self._counts.get(event.kind, Counter())
        windows = self._last - self._first + 1 - (self._first <= at <= self._last)
        if windows < _LEAST:
            return None
        usual = _Usual.of([count for each, count in learned.items() if each != at], windows)
        count = given + learned.get(at, 0)
        probability = tail_of_counts(count, usual.mean, usual.dispersion)
        if count <= usual.mean or probability > self._rarity:
            return None
        return self._anomaly(event, count, usual, probability)

    def _anomaly(self, event: Event, count: int, usual: _Usual, probability: float) -> Anomaly:
        seconds = self._window / NANOSECONDS
        text = (
            f"{count} events of kind {event.kind} came within {seconds:g} s; in {usual.windows}"
            f" such spans before, the mean was {usual.mean:.2f}."
            f" So many come with a probability of {probability:.1e}."
        )
        facts: JsonObject = {
            "kind": event.kind,
            "count": count,
            "mean": round(usual.mean, 4),
            "windows": usual.windows,
            "probability": probability,
        }
        suggestions = (f"toka events --kind {event.kind}", f"toka explain {event.position}")
        return Anomaly(event.id, "rate", severity(probability), text, facts, suggestions)


if TYPE_CHECKING:
    _implements: type[AnomalyDetector] = RateDetector
