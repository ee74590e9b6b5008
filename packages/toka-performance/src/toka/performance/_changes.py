"""Whether a series of figures changed for good, and where: a test that does not cry at noise.

The statistic is A. N. Pettitt's, "A Non-Parametric Approach to the Change-Point Problem" (1979), of
ranks alone: no figure counts for more than its place and no bell curve is assumed. How likely
chance is to give as much comes from shuffling the series, which holds for few figures too.
"""

from __future__ import annotations

from itertools import accumulate
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._errors import InvalidFigure
from toka.performance._statistics import check_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHUFFLES: Final = 999
_SEED: Final = 1979
_LEAST_SIDE: Final = 3
"""Figures on each side of a change: fewer could be one bad night."""


@attrs.frozen
class Change:
    """Where a series changed.

    Attributes:
        index: Of the first figure after the change.
        before: The median before it.
        after: The median from it on.
        chance: How likely noise alone is to look like that.

    """

    index: int
    before: float
    after: float
    chance: float

    @property
    def ratio(self) -> float:
        """What the figure became, as a multiple of what it was."""
        return self.after / self.before if self.before else float("inf")


def find_change(
    figures: Sequence[float], *, alpha: float = 0.01, least: float = 0.05
) -> Change | None:
    """Return the change of a series that chance does not explain, if there is one.

    Args:
        figures: Oldest first.
        alpha: How often noise may be taken for a change.
        least: Changes by a smaller share of the median are of no interest.

    Raises:
        InvalidFigure: a figure is not finite, or `alpha` is below what the test can tell.
    """
    check_finite(figures, least=0)
    if alpha < 1 / (_SHUFFLES + 1):
        raise InvalidFigure(f"{_SHUFFLES} shuffles cannot tell a chance of {alpha}.")
    if len(figures) < 2 * _LEAST_SIDE:
        return None
    ranks = _ranks(figures)
    index, found = _strongest(ranks)
    if found == 0:
        return None
    chance = _chance(ranks, found, alpha)
    before, after = median(figures[:index]), median(figures[index:])
    if chance > alpha or abs(after - before) < least * abs(before):
        return None
    return Change(index, before, after, chance)


def find_changes(
    figures: Sequence[float], *, alpha: float = 0.01, least: float = 0.05
) -> list[Change]:
    """Return every change of a series, oldest first, each beside its neighbours alone.

    Raises:
        InvalidFigure: as for `find_change`.
    """
    change = find_change(figures, alpha=alpha, least=least)
    if change is None:
        return []
    at = change.index
    earlier = find_changes(figures[:at], alpha=alpha, least=least)
    later = find_changes(figures[at:], alpha=alpha, least=least)
    return [*earlier, change, *(attrs.evolve(each, index=each.index + at) for each in later)]


def _chance(ranks: Sequence[int], found: int, alpha: float) -> float:
    """Return how often shuffled ranks differ as much; once it is above `alpha`, roughly."""
    random = Random(_SEED)  # noqa: S311 - statistics, not secrets
    shuffled = list(ranks)
    as_much = 1
    for _ in range(_SHUFFLES):
        random.shuffle(shuffled)
        as_much += _strongest(shuffled)[1] >= found
        if as_much > alpha * (_SHUFFLES + 1):
            break
    return as_much / (_SHUFFLES + 1)


def _ranks(figures: Sequence[float]) -> list[int]:
    """Return twice the rank of each figure less the mean rank; ties share theirs."""
    order = sorted(figures)
    first = {figure: place for place, figure in reversed(list(enumerate(order)))}
    last = {figure: place for place, figure in enumerate(order)}
    middle = len(figures) - 1
    return [first[figure] + last[figure] - middle for figure in figures]


def _strongest(ranks: Sequence[int]) -> tuple[int, int]:
    """Return where the ranks before and after differ most, and how much."""
    sums = [abs(each) for each in accumulate(ranks)][_LEAST_SIDE - 1 : -_LEAST_SIDE]
    most = max(sums)
    return sums.index(most) + _LEAST_SIDE, most
