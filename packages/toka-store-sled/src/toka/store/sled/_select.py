"""Which positions a query selects, found by the indexes and in the order of the log.

Of the parts of a query that have an index, the rarest drives: it is looked up, and what it yields
is read and held against the whole query. How rare each part is shows in how far its first entries
lie apart. Times have no index of their own, because clocks rise with positions: the earliest and
the latest time of each zone of 256 positions say which zones need no look.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from typing import TYPE_CHECKING, Final

from toka.store.sled._keys import (
    INTENT,
    KIND,
    NUMBER_BYTES,
    TAG,
    ZONE,
    ZONE_BITS,
    beyond,
    last_number,
    number,
    read_text,
    span,
    split_pair,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toka.store.core import Query
    from toka.store.sled._engine import View

_SAMPLE: Final = 64
"""Entries of a part that are looked at to see how rare it is."""


class Selection:
    """The positions of one view that a query may select, and no more of them than need be."""

    def __init__(self, view: View, query: Query, after: int, end: int, *, backward: bool) -> None:
        """Prepare.

        Args:
            view: To look into.
            query: What is asked for.
            after: As in `EventStore.read`.
            end: The log's last position.
            backward: From high positions to low.
        """
        self._view = view
        self._query = query
        self._after = after
        self._end = end
        self._backward = backward
        self._zones: dict[int, bool] = {}

    def positions(self) -> Iterator[int]:
        """Yield, in order, a superset of what the query selects."""
        parts = self._parts()
        found = self._everything() if not parts else self._rarest(parts)()
        query = self._query
        if query.since is None and query.until is None:
            return found
        return (position for position in found if self._in_time(position >> ZONE_BITS))

    def _parts(self) -> list[Callable[[], Iterator[int]]]:
        query = self._query
        prefixes = [text(TAG, tag) for tag in query.tags]
        if query.intent:
            prefixes.append(text(INTENT, query.intent))
        parts: list[Callable[[], Iterator[int]]] = [
            functools.partial(self._posting, prefix) for prefix in prefixes
        ]
        if query.kinds:
            parts.append(self._kinds)
        return parts

    def _posting(self, prefix: bytes) -> Iterator[int]:
        start, stop = span(prefix, self._after, backward=self._backward)
        for key, _ in self._view.scan(start, stop, backward=self._backward):
            yield last_number(key)

    def _kinds(self) -> Iterator[int]:
        kinds = {each for wanted in self._query.kinds for each in self._known(wanted)}
        postings = [self._posting(text(KIND, kind)) for kind in sorted(kinds)]
        if len(postings) == 1:
            return postings[0]
        return heapq.merge(*postings, reverse=self._backward)

    def _known(self, wanted: str) -> Iterator[str]:
        """Yield the kinds of the log that a query's kind stands for."""
        if not wanted.endswith("."):
            yield wanted
            return
        start = text(KIND, wanted)[:-1]
        stop = beyond(start)
        while (key := next((key for key, _ in self._view.scan(start, stop)), None)) is not None:
            yield read_text(key)
            start = beyond(key[:-NUMBER_BYTES])  # past all events of this kind

    def _rarest(self, parts: list[Callable[[], Iterator[int]]]) -> Callable[[], Iterator[int]]:
        return parts[0] if len(parts) == 1 else max(parts, key=self._rarity)

    def _rarity(self, part: Callable[[], Iterator[int]]) -> int:
        """Return how many positions the first entries of a part cover; few entries cover all."""
        sample = list(itertools.islice(part(), _SAMPLE))
        return abs(sample[-1] - sample[0]) if len(sample) == _SAMPLE else 1 << 63

    def _everything(self) -> Iterator[int]:
        """Yield all positions, but leap over the zones that are out of time."""
        after, end = self._after, self._end
        if self._backward:
            first, last = 1, min(after - 1, end) if after > 0 else end
        else:
            first, last = max(after, 0) + 1, end
        zones = range(first >> ZONE_BITS, (last >> ZONE_BITS) + 1)
        for zone in reversed(zones) if self._backward else zones:
            if self._in_time(zone):
                low = max(first, zone << ZONE_BITS)
                high = min(last, (zone + 1 << ZONE_BITS) - 1)
                positions = range(low, high + 1)
                yield from reversed(positions) if self._backward else positions

    def _in_time(self, zone: int) -> bool:
        known = self._zones.get(zone)
        if known is None:
            known = self._zones[zone] = self._overlaps(zone)
        return known

    def _overlaps(self, zone: int) -> bool:
        query = self._query
        times = self._view.get(ZONE + number(zone))
        if times is None:
            return True
        low, high = split_pair(times)
        return (query.since is None or high >= query.since) and (
            query.until is None or low < query.until
        )
