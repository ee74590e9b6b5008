"""How throughput grows with load: N. J. Gunther's universal scalability law, fitted to figures.

    X(N) = rate N / (1 + contention (N - 1) + coherence N (N - 1))

N / X is linear in its three terms, so the fit is one of least squares, on relative errors. Negative
contention or coherence means nothing; where one would fit best, the law without that term is taken.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._errors import InvalidFigure
from toka.performance._statistics import check_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_POINTS: Final = 3
_SINGULAR: Final = 1e-12


@attrs.frozen
class Scalability:
    """The universal scalability law with its three coefficients.

    Attributes:
        rate: Throughput of one.
        contention: The share of work that waits for its turn.
        coherence: What each pair costs to agree.
        fit: Share of the variation that the law explains (R squared); 1 is all.

    """

    rate: float
    contention: float
    coherence: float
    fit: float = 1.0

    def throughput(self, load: float) -> float:
        """Return what the law expects at a load.

        Raises:
            InvalidFigure: the load is below one.
        """
        if not load >= 1:
            raise InvalidFigure(f"The law begins at a load of 1, not at {load}.")
        waits = self.contention * (load - 1) + self.coherence * load * (load - 1)
        return self.rate * load / (1 + waits)

    def share(self, throughput: float) -> float:
        """Return what part of the most a throughput is, such as for `report_capacity`."""
        return throughput / self.most

    @property
    def best_load(self) -> float:
        """The load beyond which throughput falls; infinite if it never does."""
        if self.coherence <= 0:
            return math.inf
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherence))

    @property
    def most(self) -> float:
        """The throughput that no load exceeds."""
        if math.isfinite(self.best_load):
            return self.throughput(self.best_load)
        return self.rate / self.contention if self.contention > 0 else math.inf


def fit_scalability(points: Sequence[tuple[float, float]]) -> Scalability:
    """Fit the law to loads and the throughput that each gave.

    Raises:
        InvalidFigure: there are fewer than three different loads, one is below 1, or a throughput
            is not positive.
    """
    check_finite([number for point in points for number in point], least=2 * _LEAST_POINTS)
    if len({load for load, _ in points}) < _LEAST_POINTS:
        raise InvalidFigure("The law has three coefficients, and needs three different loads.")
    if any(load < 1 or throughput <= 0 for load, throughput in points):
        raise InvalidFigure("A load is at least 1, and throughput more than 0.")
    terms = product((True, False), (True, False))
    fits = [_fitted(points, kept) for kept in terms]
    return max((fit for fit in fits if fit), key=lambda fit: fit.fit)


def _fitted(points: Sequence[tuple[float, float]], terms: tuple[bool, bool]) -> Scalability | None:
    """Fit with only some of the terms; nothing if a coefficient would be negative."""
    kept = [place for place, is_kept in enumerate((True, *terms)) if is_kept]
    rows: list[list[float]] = []
    for load, throughput in points:
        columns = (1.0, load - 1, load * (load - 1))
        # Divided by N / X, so that each point's share of error counts alike.
        rows.append([columns[place] * throughput / load for place in kept])
    solution = _least_squares(rows)
    if solution is None or solution[0] <= 0 or min(solution) < 0:
        return None
    coefficients = [0.0, 0.0, 0.0]
    for place, value in zip(kept, solution, strict=True):
        coefficients[place] = value / solution[0]
    law = Scalability(1 / solution[0], coefficients[1], coefficients[2])
    return attrs.evolve(law, fit=_explained(law, points))


def _least_squares(rows: Sequence[Sequence[float]]) -> list[float] | None:
    """Return the weights with which the columns come nearest to 1, from the normal equations."""
    size = len(rows[0])
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)] + [sum(row[i] for row in rows)]
        for i in range(size)
    ]
    return _solved(matrix)


def _solved(matrix: list[list[float]]) -> list[float] | None:
    """Solve by Gauss's elimination with the greatest pivot; nothing if there is no one answer."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) <= _SINGULAR * max(map(abs, matrix[pivot])):
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                share = matrix[row][column] / matrix[column][column]
                matrix[row] = [
                    a - share * b for a, b in zip(matrix[row], matrix[column], strict=True)
                ]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]


def _explained(law: Scalability, points: Sequence[tuple[float, float]]) -> float:
    mean = sum(throughput for _, throughput in points) / len(points)
    total = sum((throughput - mean) ** 2 for _, throughput in points)
    missed = sum((throughput - law.throughput(load)) ** 2 for load, throughput in points)
    return 1 - missed / total if total else float(missed == 0)
