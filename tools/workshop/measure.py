"""How things are measured: subjects take turns in one run, and the median speaks.

A suite is a module in `tools/benchmarks` with a function `measures()` that says what it measures.
A subject is a function without arguments that does the work once, with a set-up of its own that it
does not count, and returns one figure in the measure's unit. The subject named `ours` is Toka; the
others are peers. A subject whose software is not there raises `NotInstalled`.

    def measures() -> list[Measure]:
        return [
            Measure(
                "no-op steps of one task",
                "steps/s",
                {"ours": toka_steps, "sqlite3": bare_rows},
                [at_least(0.7, times="sqlite3")],
            )
        ]
"""

from __future__ import annotations

import atexit
import gc
import operator
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

OURS = "ours"
LEAST_RUNS = 7

Subject: TypeAlias = "Callable[[], float]"


class NotInstalled(Exception):
    """What a subject needs is not on this machine; the message says what."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What our figure must reach: a number in the measure's unit, or a multiple of a peer's."""

    sign: str
    number: float
    peer: str | None = None

    def is_met(self, figure: float) -> bool:
        """Tell whether a figure, or its ratio to the peer's, meets the bar."""
        compare = operator.ge if self.sign == ">=" else operator.le
        return compare(figure, self.number)

    def __str__(self) -> str:
        return f"{self.sign} {self.number:g}" + (f" x {self.peer}" if self.peer else "")


def at_least(number: float, *, times: str | None = None) -> Bar:
    """Return a bar for a figure that should be high."""
    return Bar(">=", number, times)


def at_most(number: float, *, times: str | None = None) -> Bar:
    """Return a bar for a figure that should be low."""
    return Bar("<=", number, times)


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured, for us and for peers."""

    name: str
    unit: str
    subjects: Mapping[str, Subject]
    bars: Sequence[Bar] = ()
    runs: int = field(default=LEAST_RUNS, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what could not be judged."""
        if self.runs < LEAST_RUNS:
            raise ValueError(f"{self.name}: a median of {self.runs} runs says little")
        if unknown := {bar.peer for bar in self.bars if bar.peer} - set(self.subjects):
            raise ValueError(f"{self.name}: a bar is drawn at {unknown}, which is not measured")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: our figure, beside at most one peer's, under at most one bar."""

    suite: str
    measure: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str | None
    ratio: float | None
    bar: str | None
    met: bool | None

    def as_json(self) -> dict[str, str | float | bool | None]:
        """Return the row as the result file has it."""
        return asdict(self)


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
    """Yield one row for each bar, and one for each peer that no bar is drawn at.

    A ratio is the median of the ratios of each round, not the ratio of the medians: what slows the
    machine for a while slows both subjects of a round.
    """
    judged = {bar.peer for bar in measure.bars}
    without: list[tuple[str | None, Bar | None]] = [
        (name, None) for name in measure.subjects if name != OURS and name not in judged
    ]
    pairs = [*((bar.peer, bar) for bar in measure.bars), *without]
    ours = figures.get(OURS)
    for name, bar in pairs or [(None, None)]:
        peer = figures.get(name) if name else None
        ratio = _ratio(ours, peer)
        yield Row(
            suite=suite,
            measure=measure.name,
            unit=measure.unit,
            ours=median(ours) if ours else None,
            peer=median(peer) if peer else None,
            peer_name=name,
            ratio=ratio,
            bar=str(bar) if bar else None,
            met=_is_met(bar, ours, ratio) if bar else None,
        )


def _ratio(ours: list[float] | None, peer: list[float] | None) -> float | None:
    if not ours or not peer:
        return None
    return median([mine / theirs for mine, theirs in zip(ours, peer, strict=True)])


def _is_met(bar: Bar, ours: list[float] | None, ratio: float | None) -> bool | None:
    """Tell whether a bar is met: missed without our figure, unknown without the peer's."""
    if not ours:
        return False
    if bar.peer is None:
        return bar.is_met(median(ours))
    return None if ratio is None else bar.is_met(ratio)


@contextmanager
def scratch() -> Generator[Path]:
    """Lend a folder on a disk: where temporary files are kept in memory, syncing costs nothing."""
    with tempfile.TemporaryDirectory(prefix="toka-bench-", dir="/var/tmp") as folder:
        yield Path(folder)


def scratch_for_ever() -> Path:
    """Return a folder on a disk that is there until this process ends."""
    folder = tempfile.mkdtemp(prefix="toka-bench-", dir="/var/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
