"""A histogram of whole numbers that keeps a fixed number of significant digits.

The buckets are those of G. Tene's HdrHistogram: linear within each power of two, so that a value is
known to within one part in 1,024, whatever its size. Only buckets that hold something
take memory, so there is no highest value to choose, and two histograms merge without loss.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from toka.performance._errors import InvalidFigure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HALF_BITS: Final = 10
_HALF: Final = 1 << _HALF_BITS
"""Buckets to a power of two: 1,024 are more than three significant digits need."""
_LARGEST: Final = (1 << 63) - 1


class Histogram:
    """Counts whole numbers, such as nanoseconds, to within 0.1 %."""

    __slots__ = ("_counts", "_total", "count", "maximum", "minimum")

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._counts: Counter[int] = Counter()
        self._total = 0
        self.count = 0
        self.minimum = 0
        self.maximum = 0
        for value in values:
            self.record(value)

    def record(self, value: int, count: int = 1) -> None:
        """Count a value.

        Raises:
            InvalidFigure: the value is not of 63 bits, or `count` is not positive.
        """
        if not 0 <= value <= _LARGEST or count < 1:
            raise InvalidFigure(f"A histogram counts 0 to {_LARGEST}, not {count} x {value}.")
        self.minimum = min(self.minimum, value) if self.count else value
        self.maximum = max(self.maximum, value)
        self._counts[_index(value)] += count
        self._total += value * count
        self.count += count

    def record_at_pace(self, value: int, interval: int) -> None:
        """Count a duration, and the waits of the calls that it kept from being made.

        Whoever measures one call after another makes fewer calls while the system is slow, and so
        hides how slow it was ("coordinated omission"). With the interval in which calls were meant
        to be made, the missing ones are counted as they would have been.

        Raises:
            InvalidFigure: the value cannot be counted, or the interval is not positive.
        """
        if interval < 1:
            raise InvalidFigure(f"Calls cannot be made every {interval} ns.")
        self.record(value)
        for missing in range(value - interval, interval - 1, -interval):
            self.record(missing)

    def merge(self, other: Histogram) -> None:
        """Count all that another histogram counted."""
        if not other.count:
            return
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self._counts.update(other._counts)
        self._total += other._total
        self.count += other.count

    @property
    def mean(self) -> float:
        """The mean of the values as they were, not of their buckets; 0 without any."""
        return self._total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> int:
        """Return the least value that at least `percent` of 100 values do not exceed.

        Raises:
            InvalidFigure: nothing was counted, or `percent` is not between 0 and 100.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
            raise InvalidFigure(f"There is no percentile {percent}.")
        if not self.count:
            raise InvalidFigure("Nothing was counted, so there is no percentile.")
        # 99.9 % of 1,000 must be the 999th, not the 1,000th for the sake of a rounding upwards.
        rank = max(1, math.ceil(math.nextafter(percent, 0) * self.count / 100))
        return next(value for value, below in self._cumulated() if below >= rank)

    def buckets(self) -> Iterator[tuple[int, int]]:
        """Yield the highest value of each bucket that holds some, and how many; ascending."""
        for index in sorted(self._counts):
            yield _highest(index), self._counts[index]

    def _cumulated(self) -> Iterator[tuple[int, int]]:
        below = 0
        for highest, count in self.buckets():
            below += count
            yield max(min(highest, self.maximum), self.minimum), below

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # a histogram changes

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, minimum={self.minimum}, maximum={self.maximum})"

    def _state(self) -> tuple[object, ...]:
        return (self._counts, self._total, self.count, self.minimum, self.maximum)


def _index(value: int) -> int:
    shift = max(0, value.bit_length() - _HALF_BITS - 1)
    return (shift << _HALF_BITS) + (value >> shift)


def _highest(index: int) -> int:
    if index < 2 * _HALF:
        return index
    shift = (index >> _HALF_BITS) - 1
    return (((index & (_HALF - 1)) + _HALF + 1) << shift) - 1
