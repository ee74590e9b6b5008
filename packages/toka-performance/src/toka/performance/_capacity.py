"""When a resource is used up: a line through its past, bounds around it, and what to do.

The line is one of least squares, and its bounds those in which a further observation lies with 95 %
confidence, so they widen with distance. A line knows no seasons: figures with a strong daily or
weekly swing should be given as the day's or the week's highest.
"""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._errors import InvalidFigure
from toka.performance._statistics import Interval, check_finite, student_t

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY: Final = 86_400.0
_LEAST_POINTS: Final = 30
_FARTHEST: Final = 3650.0
"""Days: ten years ahead no line means anything."""
_IDLE: Final = 0.3
"""Below this share of the warning a resource is more than is needed."""


class Advice(enum.StrEnum):
    """What to do about a resource."""

    SCALE_UP = "scale up"
    SCALE_DOWN = "scale down"
    OPTIMIZE = "optimize"
    PLAN = "plan"
    MONITOR = "monitor"


class Urgency(enum.IntEnum):
    """How soon."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@attrs.frozen
class Resource:
    """A resource that can be used up, in shares of the whole.

    Attributes:
        name: What it is called.
        warning: From this share on it is worth a look.
        full: From this share on it does not serve any more.

    """

    name: str
    warning: float
    full: float

    def __attrs_post_init__(self) -> None:
        if not 0 < self.warning < self.full:
            raise InvalidFigure(f"{self.name}: a warning at {self.warning} is not below the end.")


CPU: Final = Resource("cpu", 0.70, 0.85)
MEMORY: Final = Resource("memory", 0.75, 0.90)
DISK: Final = Resource("disk", 0.80, 0.95)


@attrs.frozen
class Forecast:
    """What a line through the past expects.

    Attributes:
        now: Where the line is at the newest observation.
        per_day: How much it rises in a day.
        grows: Whether the rise is more than noise, with 95 % confidence.
        expected: Where the line is at the horizon.
        bounds: Where an observation at the horizon lies, with 95 % confidence.

    """

    now: float
    per_day: float
    grows: bool
    expected: float
    bounds: Interval


@attrs.frozen
class CapacityReport:
    """When a resource is used up, and what to do.

    Attributes:
        resource: Which it is.
        forecast: What the past lets expect.
        days_left: Days until the line reaches the end; None if it does not within ten years.
        soonest: The same for the upper bound: not before, with 97.5 % confidence.
        latest: The same for the lower bound; None if it may never be.
        advice: What to do.
        urgency: How soon.
        reason: Why, as a sentence.
        observed: When the newest observation was made; days are counted from there.

    """

    resource: Resource
    forecast: Forecast
    days_left: float | None
    soonest: float | None
    latest: float | None
    advice: Advice
    urgency: Urgency
    reason: str
    observed: datetime

    @property
    def exhausted(self) -> datetime | None:
        """The date at which the line reaches the end; None if it does not within ten years."""
        return None if self.days_left is None else self.observed + timedelta(self.days_left)


@attrs.frozen
class _Line:
    """A line of least squares over days; day 0 is the newest observation."""

    level: float
    slope: float
    noise: float
    count: int
    mean_day: float
    spread: float
    quantile: float

    def at(self, day: float) -> float:
        return self.level + self.slope * day

    def margin(self, day: float) -> float:
        """Return half the width of the prediction interval at a day."""
        leverage = 1 + 1 / self.count + (day - self.mean_day) ** 2 / self.spread
        return self.quantile * self.noise * math.sqrt(leverage)

    def slope_margin(self) -> float:
        return self.quantile * self.noise / math.sqrt(self.spread)


def report_capacity(
    resource: Resource, observations: Sequence[tuple[float, float]], *, horizon: float = 90.0
) -> CapacityReport:
    """Report on a resource from what was observed of it.

    Args:
        resource: Its name and thresholds.
        observations: Seconds since the epoch, and the share in use; at least 30, in any order.
        horizon: Days to look ahead.

    Raises:
        InvalidFigure: there are too few observations, all at one time, or one is not finite.
    """
    line = _line(observations)
    margin = line.margin(horizon)
    forecast = Forecast(
        now=line.at(0),
        per_day=line.slope,
        grows=line.slope > line.slope_margin(),
        expected=line.at(horizon),
        bounds=Interval(line.at(horizon) - margin, line.at(horizon) + margin),
    )
    days_left, soonest, latest = (_reaches(line, resource.full, side) for side in (0, 1, -1))
    advice, urgency, reason = _advice(resource, forecast, days_left, horizon)
    observed = datetime.fromtimestamp(max(time for time, _ in observations), UTC)
    return CapacityReport(
        resource, forecast, days_left, soonest, latest, advice, urgency, reason, observed
    )


def _line(observations: Sequence[tuple[float, float]]) -> _Line:
    check_finite([each for pair in observations for each in pair], least=2 * _LEAST_POINTS)
    newest = max(time for time, _ in observations)
    days = [(time - newest) / DAY for time, _ in observations]
    shares = [share for _, share in observations]
    count = len(days)
    mean_day, mean_share = math.fsum(days) / count, math.fsum(shares) / count
    spread = math.fsum((day - mean_day) ** 2 for day in days)
    if spread == 0:
        raise InvalidFigure("All was observed at one time, so nothing can be said of another.")
    together = math.fsum(
        (day - mean_day) * (share - mean_share) for day, share in zip(days, shares, strict=True)
    )
    slope = together / spread
    level = mean_share - slope * mean_day
    missed = math.fsum(
        (share - level - slope * day) ** 2 for day, share in zip(days, shares, strict=True)
    )
    noise, quantile = math.sqrt(missed / (count - 2)), student_t(0.95, count - 2)
    return _Line(level, slope, noise, count, mean_day, spread, quantile)


def _reaches(line: _Line, full: float, side: int) -> float | None:
    """Return the first day on which the line, or a bound of it, is at the end; None if never.

    The upper bound is convex and the lower one concave, and the lower one may even turn back
    before it arrives; so days are tried one by one, and the last one halved.
    """

    def is_full(day: float) -> bool:
        return line.at(day) + side * line.margin(day) >= full

    if is_full(0):
        return 0.0
    found = next((day for day in range(1, int(_FARTHEST) + 1) if is_full(day)), None)
    if found is None:
        return None
    low, high = found - 1.0, float(found)
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if is_full(middle) else (middle, high)
    return high


def _advice(
    resource: Resource, forecast: Forecast, days_left: float | None, horizon: float
) -> tuple[Advice, Urgency, str]:
    name, now = resource.name, f"{forecast.now:.0%}"
    if forecast.now >= resource.full:
        return Advice.SCALE_UP, Urgency.CRITICAL, f"{name} is used up: {now}."
    if forecast.grows and days_left is not None and days_left <= horizon / 3:
        return Advice.SCALE_UP, Urgency.HIGH, f"{name} is used up in {days_left:.0f} days."
    if forecast.grows and days_left is not None and days_left <= horizon:
        return Advice.PLAN, Urgency.MEDIUM, f"{name} is used up in {days_left:.0f} days."
    if forecast.now >= resource.warning:
        return Advice.OPTIMIZE, Urgency.MEDIUM, f"{name} is high, {now}, and does not run out soon."
    if not forecast.grows and max(forecast.now, forecast.bounds.high) < _IDLE * resource.warning:
        return Advice.SCALE_DOWN, Urgency.LOW, f"{name} is hardly used: {now}."
    return Advice.MONITOR, Urgency.LOW, f"{name} is at {now}, with room to spare."
