"""Statistics that hold for few and crooked figures: ranks and resampling, no bell curve.

Random numbers come from a fixed seed, so that the same figures always give the same answer.
"""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._errors import InvalidFigure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SEED: Final = 20030


@attrs.frozen
class Interval:
    """Where a figure lies, with a stated confidence."""

    low: float
    high: float

    def __contains__(self, figure: float) -> bool:
        return self.low <= figure <= self.high

    @property
    def width(self) -> float:
        """How far apart the two ends are."""
        return self.high - self.low


def check_finite(figures: Sequence[float], least: int = 1) -> None:
    """Refuse figures that no statistic could make sense of.

    Raises:
        InvalidFigure: there are fewer than `least`, or one is infinite or not a number.
    """
    if len(figures) < least:
        raise InvalidFigure(f"{len(figures)} figures say nothing here; {least} are the least.")
    if strange := next((each for each in figures if not math.isfinite(each)), None):
        raise InvalidFigure(f"{strange} is not a figure.")


def bootstrap(
    figures: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = median,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Return the interval in which a statistic lies, by the percentile bootstrap.

    See B. Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979).

    Raises:
        InvalidFigure: there are no figures, one is not finite, or the confidence is not in (0, 1).
    """
    check_finite(figures)
    if not 0 < confidence < 1:
        raise InvalidFigure(f"A confidence lies between 0 and 1; {confidence} does not.")
    random = Random(_SEED)  # noqa: S311 - statistics, not secrets
    size = len(figures)
    found = sorted(statistic(random.choices(figures, k=size)) for _ in range(resamples))
    tail = (1 - confidence) / 2
    last = resamples - 1
    return Interval(found[round(tail * last)], found[round((1 - tail) * last)])


def spread(figures: Sequence[float]) -> float:
    """Return the median absolute deviation, scaled to a standard deviation of a bell curve.

    Raises:
        InvalidFigure: there are no figures, or one is not finite.
    """
    check_finite(figures)
    middle = median(figures)
    return 1.4826 * median([abs(figure - middle) for figure in figures])


def student_t(confidence: float, freedom: int) -> float:
    """Return the two-sided quantile of Student's t, by the expansion of Cornish and Fisher.

    Exact enough (1 % from 5 degrees of freedom on) for the bounds of a forecast.

    Raises:
        InvalidFigure: there are fewer than 3 degrees of freedom.
    """
    if freedom < 3:  # noqa: PLR2004 - below, the expansion is far off
        raise InvalidFigure(f"{freedom} degrees of freedom are too few for bounds.")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
