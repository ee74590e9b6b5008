"""Service levels, and how fast their error budgets burn.

After "The Site Reliability Workbook", chapter 5: an alert wants the budget to burn fast over a long
window, so that it matters, and over a short one too, so that it is still so. It ends when the short
window is clean, which is soon after the trouble is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._alerts import AlertSeverity
from toka.performance._errors import InvalidFigure

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_FINENESS: Final = 10
"""Observations that are kept of the shortest window; more of them would only take memory."""


@attrs.frozen
class BurnRule:
    """When a budget burns too fast: over both windows, at a multiple of what would just last."""

    long: float
    short: float
    rate: float
    severity: AlertSeverity


BURN_RULES: Final[Sequence[BurnRule]] = (
    BurnRule(_HOUR, _HOUR / 12, 14.4, AlertSeverity.CRITICAL),
    BurnRule(6 * _HOUR, _HOUR / 2, 6.0, AlertSeverity.HIGH),
    BurnRule(3 * _DAY, 6 * _HOUR, 1.0, AlertSeverity.WARNING),
)
"""For a window of 30 days: 2 % of the budget in an hour, 5 % in six, 10 % in three days."""


@attrs.frozen
class ServiceLevel:
    """What share of events is to be good, over which seconds."""

    name: str
    target: float
    window: float = 30 * _DAY

    def __attrs_post_init__(self) -> None:
        if not 0 < self.target < 1 or not self.window > 0:
            raise InvalidFigure(
                f"{self.name}: a target lies between 0 and 1, and a window above 0."
            )


@attrs.frozen
class _Sample:
    at: float
    good: float
    total: float


class ErrorBudget:
    """How much of a service level's budget for errors is left.

    Observations are counters that only grow, as a process has them; one that starts again from
    nothing is noticed. What was before the first observation is unknown, and counts as nothing.
    """

    def __init__(self, level: ServiceLevel, rules: Sequence[BurnRule] = BURN_RULES) -> None:
        self.level = level
        self._rules = rules
        windows = [level.window, *(rule.long for rule in rules), *(rule.short for rule in rules)]
        self._longest, self._apart = max(windows), min(windows) / _FINENESS
        self._samples: deque[_Sample] = deque()
        self._counters = (0.0, 0.0)

    def observe(self, good: float, total: float, at: float) -> None:
        """Take the counters of good events and of all.

        Raises:
            InvalidFigure: more are good than there are, or time went backwards.
        """
        if not 0 <= good <= total:
            raise InvalidFigure(f"{good} of {total} events cannot be good.")
        last = self._samples[-1] if self._samples else None
        if last is None:
            self._samples.append(_Sample(at, 0, 0))
            self._counters = (good, total)
            return
        if at < last.at:
            raise InvalidFigure(f"An observation of {at} comes after one of {last.at}.")
        began_again = total < self._counters[1] or good < self._counters[0]
        before = (0.0, 0.0) if began_again else self._counters
        added = (good - before[0], total - before[1])
        if added[0] > added[1]:
            raise InvalidFigure(f"{added[0]} of {added[1]} new events cannot be good.")
        self._counters = (good, total)
        if len(self._samples) > 1 and at - self._samples[-2].at < self._apart:
            self._samples.pop()
        self._samples.append(_Sample(at, last.good + added[0], last.total + added[1]))
        self._forget(at - self._longest)

    def error_rate(self, window: float, at: float) -> float:
        """Return the share of bad events in the seconds before a time; 0 if there was none."""
        if not self._samples:
            return 0.0
        first = self._before(at - window)
        last = self._before(at)
        total = last.total - first.total
        return (total - (last.good - first.good)) / total if total > 0 else 0.0

    def burn_rate(self, window: float, at: float) -> float:
        """Return how many times faster than allowed the budget burns; 1 just lasts."""
        return self.error_rate(window, at) / (1 - self.level.target)

    def remaining(self, at: float) -> float:
        """Return the share of the budget that is left; below 0 it is overdrawn."""
        return 1 - self.burn_rate(self.level.window, at)

    def burning(self, at: float) -> list[BurnRule]:
        """Return the rules by which it burns too fast now."""
        return [
            rule
            for rule in self._rules
            if min(self.burn_rate(rule.long, at), self.burn_rate(rule.short, at)) > rule.rate
        ]

    def _before(self, at: float) -> _Sample:
        """Return the newest observation at or before a time, or else the oldest."""
        place = bisect_right(self._samples, at, key=lambda sample: sample.at)
        return self._samples[max(0, place - 1)]

    def _forget(self, before: float) -> None:
        """Drop what no window reaches; the newest from before it is where the window begins."""
        while len(self._samples) > 1 and self._samples[1].at <= before:
            self._samples.popleft()
