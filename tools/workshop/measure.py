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

import gc
import operator
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

    def is_met(self, ours: float, peer: float | None) -> bool | None:
        """Tell whether the bar is met; None if the peer it is drawn at gave no figure."""
        compare = operator.ge if self.sign == ">=" else operator.le
        if self.peer is None:
            return compare(ours, self.number)
        return None if peer is None else compare(ours, self.number * peer)

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


def take_turns(measure: Measure, say: Callable[[str], None]) -> dict[str, float]:
    """Return the median of each subject that is there; A B A B, after one round to warm up."""
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
    return {name: median(them) for name, them in figures.items()}


def rows(suite: str, measure: Measure, medians: Mapping[str, float]) -> Iterator[Row]:
    """Yield one row for each bar, and one for each peer that no bar is drawn at."""
    judged = {bar.peer for bar in measure.bars}
    without: list[tuple[str | None, Bar | None]] = [
        (name, None) for name in measure.subjects if name != OURS and name not in judged
    ]
    pairs = [*((bar.peer, bar) for bar in measure.bars), *without]
    ours = medians.get(OURS)
    for name, bar in pairs or [(None, None)]:
        peer = medians.get(name) if name else None
        yield Row(
            suite=suite,
            measure=measure.name,
            unit=measure.unit,
            ours=ours,
            peer=peer,
            peer_name=name,
            ratio=ours / peer if ours is not None and peer else None,
            bar=str(bar) if bar else None,
            # Without a figure of ours, a bar is missed; without the peer's, nobody knows.
            met=(bar.is_met(ours, peer) if ours is not None else False) if bar else None,
        )


@contextmanager
def scratch() -> Generator[Path]:
    """Lend a folder on a disk: where temporary files are kept in memory, syncing costs nothing."""
    with tempfile.TemporaryDirectory(prefix="toka-bench-", dir="/var/tmp") as folder:
        yield Path(folder)
