"""One ranking from several (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009).

Scores of different searches cannot be compared, ranks can: a result scores the sum of
1 / (60 + rank) over the rankings that have it. Here the sum is divided by what a result that is
first in all of them gets, so 1 is the best there can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAMPING: Final = 60


def fuse(rankings: Sequence[Sequence[int]], limit: int) -> list[tuple[int, float]]:
    """Return what the rankings hold with its score, best first; of equals, the lower number.

    Args:
        rankings: Each with its best first, none twice.
        limit: The most to return.
    """
    best = len(rankings) / (_DAMPING + 1)
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, each in enumerate(ranking, 1):
            scores[each] = scores.get(each, 0.0) + 1 / (_DAMPING + rank) / best
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
