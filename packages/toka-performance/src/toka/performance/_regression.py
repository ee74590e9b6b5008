"""What became worse: one result beside a baseline, and many results beside each other.

Single comparisons use fixed shares, as the first Toka did; histories use a test of change, which
needs some results but knows noise when it sees it.
"""

from __future__ import annotations

import enum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._changes import find_changes
from toka.performance._errors import InvalidFigure
from toka.performance._statistics import check_finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toka.performance._results import Result
    from toka.performance._turns import Row

_HISTORY: Final = 100
_RATIOS: Final = {"throughput": 0.8, "latency": 1.2, "memory": 1.3, "errors": 2.0}
_SIZES: Final = ("b", "kb", "mb", "gb", "bytes", "kib", "mib", "gib")
_PER_SECOND: Final = ("/s", "/cpu s", "per s", "a second", "ops")


class Kind(enum.StrEnum):
    """What is measured, which says whether more of it is better."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    MEMORY = "memory"
    ERRORS = "errors"


class Severity(enum.StrEnum):
    """How bad a regression is."""

    MINOR = "minor"
    MODERATE = "moderate"
    MAJOR = "major"
    CRITICAL = "critical"


@attrs.frozen
class Thresholds:
    """From which ratio to the baseline on a figure is worse, and when a series falls.

    Attributes:
        throughput: A smaller ratio is a regression.
        latency: A greater ratio is a regression; so for the next two.
        memory: See `latency`.
        errors: See `latency`.
        window: The newest results in which a trend is looked for.
        least: With fewer there is no trend.
        decline: By what share a trend must worsen a figure.
        falling: What share of neighbours must be worse than the one before.

    """

    throughput: float = _RATIOS["throughput"]
    latency: float = _RATIOS["latency"]
    memory: float = _RATIOS["memory"]
    errors: float = _RATIOS["errors"]
    window: int = 10
    least: int = 5
    decline: float = 0.1
    falling: float = 0.7

    def of(self, kind: Kind) -> float:
        """Return the ratio at which a figure of this kind is worse."""
        ratios = {
            Kind.THROUGHPUT: self.throughput,
            Kind.LATENCY: self.latency,
            Kind.MEMORY: self.memory,
            Kind.ERRORS: self.errors,
        }
        return ratios[kind]


@attrs.frozen
class Regression:
    """One figure that became worse.

    Attributes:
        name: What was measured.
        kind: What sort of figure it is.
        before: What it was.
        after: What it is.
        severity: By how much.
        cause: What was noticed, as a phrase.

    """

    name: str
    kind: Kind
    before: float
    after: float
    severity: Severity
    cause: str


def severity_of(change: float) -> Severity:
    """Return how bad a change by a share is: over 0.5, 0.3, 0.15, or less."""
    if change > 0.5:  # noqa: PLR2004 - the steps of the first Toka
        return Severity.CRITICAL
    if change > 0.3:  # noqa: PLR2004
        return Severity.MAJOR
    return Severity.MODERATE if change > 0.15 else Severity.MINOR  # noqa: PLR2004


def compare(
    name: str, kind: Kind, baseline: float, figure: float, thresholds: Thresholds | None = None
) -> Regression | None:
    """Return what is worse than the baseline, if the thresholds say so.

    Raises:
        InvalidFigure: a figure is negative or not finite.
    """
    _check(baseline, figure)
    limit = (thresholds or Thresholds()).of(kind) * baseline
    worse = figure < limit if kind is Kind.THROUGHPUT else figure > limit
    if not worse:
        return None
    return _regression(name, kind, baseline, figure, "worse than the baseline")


def find_trend(
    name: str, kind: Kind, figures: Sequence[float], thresholds: Thresholds | None = None
) -> Regression | None:
    """Return a slow decline, in the newest figures of a series.

    Raises:
        InvalidFigure: a figure is negative or not finite.
    """
    _check(*figures)
    limits = thresholds or Thresholds()
    newest = figures[-limits.window :]
    if len(newest) < limits.least:
        return None
    worse = [_is_worse(kind, before, after) for before, after in pairwise(newest)]
    first, last = newest[0], newest[-1]
    declines = _is_worse(kind, first, last) and abs(last - first) >= limits.decline * first
    if not declines or sum(worse) <= limits.falling * len(worse):
        return None
    return _regression(name, kind, first, last, f"declines over {len(newest)} results")


def find_shift(
    name: str, kind: Kind, figures: Sequence[float], *, alpha: float = 0.01
) -> Regression | None:
    """Return the newest change for the worse of a series that chance does not explain.

    Raises:
        InvalidFigure: a figure is negative or not finite.
    """
    _check(*figures)
    changes = find_changes(figures[-_HISTORY:], alpha=alpha)
    if not changes or not _is_worse(kind, changes[-1].before, changes[-1].after):
        return None
    change = changes[-1]
    since = len(figures[-_HISTORY:]) - change.index
    cause = f"worse since {since} results, chance {change.chance:.3f}"
    return _regression(name, kind, change.before, change.after, cause)


def find_regressions(
    history: Sequence[Result], newest: Result, thresholds: Thresholds | None = None
) -> list[Regression]:
    """Return all of ours that became worse in the newest of some stored results.

    The baseline of each measure is the median of its history. A shift or a trend is looked for
    where the comparison with the baseline finds nothing, and there are enough results.

    Raises:
        InvalidFigure: a stored figure is negative or not finite.
    """
    series = _series([*history, newest])
    found = [_worst(name, kind, figures, thresholds) for (name, kind), figures in series.items()]
    return [each for each in found if each]


def _worst(
    name: str, kind: Kind, figures: Sequence[float], thresholds: Thresholds | None
) -> Regression | None:
    *earlier, last = figures[-_HISTORY:]
    if not earlier:
        return None
    baseline = sorted(earlier)[len(earlier) // 2]
    return (
        compare(name, kind, baseline, last, thresholds)
        or find_shift(name, kind, figures)
        or find_trend(name, kind, figures, thresholds)
    )


def _series(results: Iterable[Result]) -> dict[tuple[str, Kind], list[float]]:
    series: dict[tuple[str, Kind], list[float]] = {}
    for result in results:
        # A measure has a row for each bar, and in each of them our figure is the same.
        ours = {(row.suite, row.measure): row for row in result.rows}
        for row in ours.values():
            if row.ours is not None:
                series.setdefault((f"{row.suite}: {row.measure}", _kind(row)), []).append(row.ours)
    return series


def _kind(row: Row) -> Kind:
    """Tell the kind of a row by its unit, or else by its bar."""
    unit = row.unit.lower()
    if unit in _SIZES:
        return Kind.MEMORY
    if "error" in unit:
        return Kind.ERRORS
    if row.bar:
        return Kind.THROUGHPUT if row.bar.startswith(">=") else Kind.LATENCY
    return Kind.THROUGHPUT if any(word in unit for word in _PER_SECOND) else Kind.LATENCY


def _is_worse(kind: Kind, before: float, after: float) -> bool:
    return after < before if kind is Kind.THROUGHPUT else after > before


def _regression(name: str, kind: Kind, before: float, after: float, cause: str) -> Regression:
    change = abs(after - before) / before if before else float("inf")
    return Regression(name, kind, before, after, severity_of(change), cause)


def _check(*figures: float) -> None:
    check_finite(figures, least=0)
    if any(figure < 0 for figure in figures):
        raise InvalidFigure("A throughput, a time, a size or a rate is never negative.")
