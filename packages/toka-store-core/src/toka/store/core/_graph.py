"""Walking the causal graph."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def closure(
    start: int,
    neighbours: Callable[[int], Iterable[int]],
    *,
    newest_first: bool,
    limit: int | None = None,
) -> list[int]:
    """Return the positions that can be reached from `start`, nearest in the log first.

    A cause stands before its effects, so each step leads further away in one direction; therefore
    the heap's next entry is the next of the answer, and the walk can stop at the limit.

    Args:
        start: Not part of the answer.
        neighbours: Returns the positions of the parents, or of the children.
        newest_first: True to walk towards the start of the log.
        limit: The most positions to return.
    """
    sign = -1 if newest_first else 1
    queue = [sign * each for each in neighbours(start)]
    heapq.heapify(queue)
    found: list[int] = []
    while queue and (limit is None or len(found) < limit):
        position = sign * heapq.heappop(queue)
        if found and found[-1] == position:
            continue  # reached on several ways, which are neighbours in the heap
        found.append(position)
        for each in neighbours(position):
            heapq.heappush(queue, sign * each)
    return found
