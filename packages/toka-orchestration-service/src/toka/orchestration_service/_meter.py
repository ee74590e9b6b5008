"""Counts of requests, as they were served; nothing here is estimated."""

from __future__ import annotations

from collections import Counter
from typing import Final

import attrs

BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Upper bounds of the classes that durations are counted in, in seconds."""


@attrs.define
class Durations:
    """How long requests of one kind took."""

    total: float = 0.0
    count: int = 0
    within: list[int] = attrs.Factory(lambda: [0] * len(BUCKETS))
    """For each bound, how many took no longer."""

    def add(self, seconds: float) -> None:
        """Count a request."""
        self.total += seconds
        self.count += 1
        for index, bound in enumerate(BUCKETS):
            self.within[index] += seconds <= bound


@attrs.define
class Meter:
    """What the service has served since it started."""

    requests: Counter[tuple[str, str, int]] = attrs.Factory(Counter[tuple[str, str, int]])
    """By method, route and status."""
    durations: dict[str, Durations] = attrs.Factory(dict[str, Durations])
    """By route."""
    streams: int = 0
    """Streams of events that are open now."""

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests[method, route, status] += 1
        self.durations.setdefault(route, Durations()).add(seconds)
