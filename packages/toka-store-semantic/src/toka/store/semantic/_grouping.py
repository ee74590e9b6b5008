"""Groups of events that are alike: clusters by density, and near duplicates.

Clusters are those of DBSCAN (Ester and others, 1996) on the distance 1 - cosine: an event with
enough others within reach is of a cluster's core, its neighbours are of the same cluster, and what
is near no core is noise. The reach need not be guessed: the distances of all events to their k-th
neighbour, in order, bend where clusters end and noise begins; the bend is the point farthest from
the straight line between the curve's ends (Satopää and others, "Kneedle", 2011).

Every pair is compared, in blocks: time grows with the square of the number, memory with the number.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np

from toka.store.semantic._errors import TooMany

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from toka.store.semantic._embedder import Vectors
    from toka.store.semantic._exact import Positions

_BLOCK: Final = 512


@attrs.frozen
class Group:
    """Events that are alike."""

    positions: tuple[int, ...]
    """Rising."""
    centre: int
    """The position of the event that is most like all of them."""
    coherence: float
    """The mean cosine between the centre and the members, from -1 to 1."""


@attrs.frozen
class Clustering:
    """Clusters, the largest first, and what is in none."""

    clusters: tuple[Group, ...]
    noise: tuple[int, ...]
    reach: float
    """The distance, 1 - cosine, within which events were taken for neighbours."""


def cluster(
    positions: Positions,
    vectors: Callable[[Positions], Vectors],
    *,
    least: int = 5,
    limit: int = 10_000,
) -> Clustering:
    """Group by density.

    Args:
        positions: Of the events.
        vectors: Returns the rows of positions.
        least: Of how many events within reach, itself included, makes an event one of the core.
        limit: The most events.

    Raises:
        TooMany: There are more.
    """
    rows = _rows(positions, vectors, limit)
    if len(rows) < least:
        return Clustering((), tuple(positions.tolist()), 0.0)
    reach = _bend(_distances_to(rows, least))
    neighbours = [np.flatnonzero(each <= reach) for each in _distances(rows)]
    labels = _spread(neighbours, least)
    members = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]
    members.sort(key=len, reverse=True)
    noise = tuple(positions[labels < 0].tolist())
    return Clustering(tuple(_group(positions, rows, each) for each in members), noise, reach)


def near_duplicates(
    positions: Positions,
    vectors: Callable[[Positions], Vectors],
    *,
    similarity: float = 0.95,
    limit: int = 10_000,
) -> list[Group]:
    """Group what is linked by pairs of at least a similarity, the largest group first.

    Args:
        positions: Of the events.
        vectors: Returns the rows of positions.
        similarity: The cosine of a pair.
        limit: The most events.

    Raises:
        TooMany: There are more.
    """
    rows = _rows(positions, vectors, limit)
    reach = 1 - similarity + np.finfo(np.float16).eps.item()
    labels = _spread([np.flatnonzero(each <= reach) for each in _distances(rows)], 2)
    members = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]
    members.sort(key=len, reverse=True)
    return [_group(positions, rows, each) for each in members]


def _rows(positions: Positions, vectors: Callable[[Positions], Vectors], limit: int) -> Vectors:
    if len(positions) > limit:
        raise TooMany(len(positions), limit)
    return vectors(positions)


def _distances(rows: Vectors) -> Iterator[Vectors]:
    """Yield, for each row, its distances to all rows."""
    for begin in range(0, len(rows), _BLOCK):
        yield from 1 - rows[begin : begin + _BLOCK] @ rows.T


def _distances_to(rows: Vectors, rank: int) -> Vectors:
    """Return each row's distance to its neighbour of a rank, in rising order; itself is first."""
    found = [np.partition(each, rank - 1)[rank - 1] for each in _distances(rows)]
    return np.sort(np.maximum(np.array(found, np.float32), 0))


def _bend(curve: Vectors) -> float:
    """Return the value of a rising curve at which it bends upwards most."""
    low, high = float(curve[0]), float(curve[-1])
    if high <= low:
        return high
    line = np.linspace(0, 1, len(curve))
    return float(curve[int(np.argmax(line - (curve - low) / (high - low)))])


def _spread(neighbours: list[NDArray[np.intp]], least: int) -> NDArray[np.intp]:
    """Return a label for each row, -1 for noise."""
    labels = np.full(len(neighbours), -1, np.intp)
    count = 0
    for start, around in enumerate(neighbours):
        if labels[start] >= 0 or len(around) < least:
            continue
        queue = deque([start])
        labels[start] = count
        while queue:
            around = neighbours[queue.popleft()]  # noqa: PLW2901 - the walk goes on from here
            if len(around) < least:
                continue  # at a border: of this cluster, and does not carry it further
            fresh = around[labels[around] < 0]
            labels[fresh] = count
            queue.extend(fresh.tolist())
        count += 1
    return labels


def _group(positions: Positions, rows: Vectors, members: NDArray[np.intp]) -> Group:
    inside = rows[members]
    nearness = inside @ inside.mean(axis=0)
    centre = int(np.argmax(nearness))
    coherence = float((inside @ inside[centre]).mean())
    return Group(tuple(positions[members].tolist()), int(positions[members[centre]]), coherence)
