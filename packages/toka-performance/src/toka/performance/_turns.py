"""How it is measured: subjects take turns in one run, and the median speaks.

What slows the machine for a while slows every subject of a round, so a ratio is the median of the
ratios of each round, and never the ratio of two medians.
"""

from __future__ import annotations

import gc
from statistics import median
from typing import TYPE_CHECKING

import attrs

from toka.performance._errors import NotInstalled
from toka.performance._measure import OURS, Bar, Measure
from toka.performance._statistics import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toka.types import Json


@attrs.frozen
class Row:
    """One line of a result: our figure, beside at most one peer's, under at most one bar.

    Attributes:
        low: The lower end of what the bar judges (the ratio, or our figure without a peer), with a
            confidence of 95 %.
        high: The upper end.

    """

    suite: str
    measure: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str | None
    ratio: float | None
    low: float | None
    high: float | None
    bar: str | None
    met: bool | None

    def as_json(self) -> dict[str, Json]:
        """Return the row as the result file has it."""
        return attrs.asdict(self)


def take_turns(measure: Measure, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Return the figures of each subject that is there; A B A B, after one round to warm up."""
    figures: dict[str, list[float]] = {}
    for name, subject in measure.subjects.items():
        try:
            subject()
        except NotInstalled as missing:
            say(f"  {name} is left out: {missing}")
        else:
            figures[name] = []
    for _ in range(measure.runs):
        for name, collected in figures.items():
            gc.collect()
            collected.append(measure.subjects[name]())
    return figures


def rows(suite: str, measure: Measure, figures: Mapping[str, list[float]]) -> Iterator[Row]:
    """Yield one row for each bar, and one for each peer that no bar is drawn at."""
    judged = {bar.peer for bar in measure.bars}
    without: list[tuple[str | None, Bar | None]] = [
        (name, None) for name in measure.subjects if name != OURS and name not in judged
    ]
    pairs = [*((bar.peer, bar) for bar in measure.bars), *without]
    for name, bar in pairs or [(None, None)]:
        yield _row(suite, measure, figures, name, bar)


def _row(
    suite: str,
    measure: Measure,
    figures: Mapping[str, list[float]],
    name: str | None,
    bar: Bar | None,
) -> Row:
    ours = figures.get(OURS)
    peer = figures.get(name) if name else None
    judged = _ratios(ours, peer) if name else ours
    interval = bootstrap(judged) if judged else None
    return Row(
        suite=suite,
        measure=measure.name,
        unit=measure.unit,
        ours=median(ours) if ours else None,
        peer=median(peer) if peer else None,
        peer_name=name,
        ratio=median(judged) if name and judged else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        bar=str(bar) if bar else None,
        met=_is_met(bar, ours, judged) if bar else None,
    )


def _ratios(ours: list[float] | None, peer: list[float] | None) -> list[float] | None:
    if not ours or not peer:
        return None
    return [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]


def _is_met(bar: Bar, ours: list[float] | None, judged: list[float] | None) -> bool | None:
    """Tell whether a bar is met: missed without our figure, unknown without the peer's."""
    if not ours:
        return False
    return bar.is_met(median(judged)) if judged else None
