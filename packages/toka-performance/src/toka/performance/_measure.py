"""What is measured: subjects that do the same work, and bars that our figure must reach.

A subject is a function without arguments that does the work once, with a set-up of its own that it
does not count, and returns one figure in the measure's unit. The subject named `ours` is the one
that is judged; the others are peers. A subject whose software is not there raises `NotInstalled`.

    Measure(
        "no-op steps of one task",
        "steps/s",
        {"ours": toka_steps, "sqlite3": bare_rows},
        [at_least(0.7, times="sqlite3")],
    )
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from toka.performance._errors import InvalidFigure

OURS: Final = "ours"
LEAST_RUNS: Final = 7

Subject: TypeAlias = Callable[[], float]
"""Does the work once and returns one figure."""


@attrs.frozen
class Bar:
    """What our figure must reach: a number in the measure's unit, or a multiple of a peer's."""

    sign: str
    number: float
    peer: str | None = None

    def is_met(self, figure: float) -> bool:
        """Tell whether a figure, or its ratio to the peer's, meets the bar."""
        return figure >= self.number if self.sign == ">=" else figure <= self.number

    def __str__(self) -> str:
        return f"{self.sign} {self.number:g}" + (f" x {self.peer}" if self.peer else "")


def at_least(number: float, *, times: str | None = None) -> Bar:
    """Return a bar for a figure that should be high."""
    return Bar(">=", number, times)


def at_most(number: float, *, times: str | None = None) -> Bar:
    """Return a bar for a figure that should be low."""
    return Bar("<=", number, times)


@attrs.frozen
class Measure:
    """One thing that is measured, for us and for peers.

    Raises:
        InvalidFigure: there are too few runs, or a bar is drawn at a peer that is not measured.
    """

    name: str
    unit: str
    subjects: Mapping[str, Subject]
    bars: Sequence[Bar] = ()
    runs: int = attrs.field(default=LEAST_RUNS, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.runs < LEAST_RUNS:
            raise InvalidFigure(f"{self.name}: a median of {self.runs} runs says little")
        if unknown := {bar.peer for bar in self.bars if bar.peer} - set(self.subjects):
            raise InvalidFigure(f"{self.name}: a bar is drawn at {unknown}, which is not measured")
