"""Tasks and steps in time: where each begins and ends, as shares of what is shown."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from toka.orchestration_service.dashboard._format import duration, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json: TypeAlias = "Mapping[str, Any]"

FEW: Final = 30
"""As many spans each have a row of their own."""
TICKS: Final = 5
REASON: Final = 200
"""Characters of why an attempt failed that are told of."""
_COPIED: Final = 0.6
"""Percent of what is shown, as which a copied step is drawn."""
_STEPS: Final = (1, 2, 5, 10, 15, 20, 30, 60)
_STILL: Final = 10
"""How many times as long as all the rest a stretch without a change is, to be cut short; the same
in seconds."""
_CUTS: Final = 3
_CUT_SHARE: Final = 0.1
"""Of the rest, as which each cut is drawn."""
_APART: Final = 9
"""Percent between labels, so that none lies on another."""
LATE: Final = 92
"""Percent from which on labels stand before their marks."""
_LEAST: Final = 0.001
"""Seconds that are shown at least: all that happened in the same millisecond has a place, too."""


@attrs.frozen
class Bar:
    """A stretch of time, in percent of what is shown."""

    x: float
    width: float
    tone: str
    """Of a state, or a kind of span: what it looks like."""
    title: str


@attrs.frozen
class Tick:
    """A mark on the axis."""

    x: float
    label: str


@attrs.frozen
class Row:
    """A task, or below it a step or a wait."""

    task: Json
    span: Json | None
    bars: tuple[Bar, ...]
    inner: tuple[Bar, ...]
    """What a task that is not opened did, drawn into its bars."""
    attempt: int = 0
    """Of a span: at which attempt of its task it was, if there was more than one."""


@attrs.frozen
class Cut:
    """A stretch in which nothing began or ended, drawn shorter than it was."""

    began: float
    ended: float
    drawn: float
    """Seconds that have the same width elsewhere."""

    @property
    def label(self) -> str:
        """How long it was."""
        return duration(self.ended - self.began)


@attrs.frozen
class Scale:
    """The time that is shown."""

    began: float
    ended: float
    cuts: tuple[Cut, ...] = ()
    """In the order of time."""

    def bar(self, began: str, ended: str | None, tone: str, title: str) -> Bar:
        """Return where something is that takes until now if it has not ended."""
        first = seconds_of(began)
        last = seconds_of(ended) if ended else self.ended
        left = min(max(self._share(first), 0.0), 100.0)
        right = min(max(self._share(last), left), 100.0)
        told = f"{title} · {duration(last - first)}" if ended else f"{title} · so far"
        return Bar(round(left, 3), round(right - left, 3), tone, told)

    def ticks(self) -> tuple[Tick, ...]:
        """Return marks at round distances from the beginning, and behind each cut from its end."""
        step = _round_step(self._drawn(self.ended) / TICKS)
        starts = (self.began, *(cut.ended for cut in self.cuts))
        ends = (*(cut.began for cut in self.cuts), self.ended)
        marks: list[Tick] = []
        for first, last in zip(starts, ends, strict=True):
            for n in range(int((last - first) / step) + 1):
                x = round(self._share(first + n * step), 3)
                # Behind a cut only its end is told of: the others differ from it by too little.
                is_told = first == self.began or not n
                marks.append(Tick(x, _label(first - self.began + n * step) if is_told else ""))
        return _legible(marks)

    def breaks(self) -> tuple[Bar, ...]:
        """Return where stretches are cut short."""
        return tuple(
            Bar(
                round(self._share(cut.began), 3),
                round(self._share(cut.ended) - self._share(cut.began), 3),
                "cut",
                f"{cut.label} in which nothing began or ended, cut short",
            )
            for cut in self.cuts
        )

    def _share(self, seconds: float) -> float:
        return 100 * self._drawn(seconds) / self._drawn(self.ended)

    def _drawn(self, seconds: float) -> float:
        """Return how many seconds of drawing are before a time."""
        drawn = seconds - self.began
        for cut in self.cuts:
            inside = min(max(seconds, cut.began), cut.ended) - cut.began
            drawn -= inside * (1 - cut.drawn / (cut.ended - cut.began))
        return drawn


def scale_of(items: Iterable[Json], now: float) -> Scale:
    """Return the time from the first beginning to the last end; to now if something goes on."""
    begun = [item for item in items if item["started"] is not None]
    if not begun:
        return Scale(now - _LEAST, now)
    began = min(seconds_of(item["started"]) for item in begun)
    ended = max(seconds_of(item["ended"]) if item["ended"] else now for item in begun)
    return Scale(began, max(ended, began + _LEAST))


def cut_short(scale: Scale, items: Iterable[Json]) -> Scale:
    """Return the same time, long stretches without a change cut short if all else is squeezed.

    Args:
        scale: What is shown.
        items: All that begins and ends in it: attempts and spans.
    """
    times = (time for item in items for time in (item["began"], item["ended"]) if time)
    within = (min(max(seconds_of(time), scale.began), scale.ended) for time in times)
    points = sorted({scale.began, scale.ended, *within})
    gaps = sorted(pairwise(points), key=lambda gap: gap[0] - gap[1])[:_CUTS]
    for count in range(len(gaps), 0, -1):
        least = gaps[count - 1][1] - gaps[count - 1][0]
        rest = scale.ended - scale.began - sum(last - first for first, last in gaps[:count])
        if rest >= _LEAST and least >= _STILL * max(rest, 1):
            drawn = rest * _CUT_SHARE
            return attrs.evolve(scale, cuts=tuple(Cut(*gap, drawn) for gap in sorted(gaps[:count])))
    return scale


def rows_of(
    tasks: Sequence[Json], spans: Sequence[Json], scale: Scale, *, opened: str, cut: bool
) -> tuple[Row, ...]:
    """Return each task with its attempts and what is known of its spans.

    Args:
        tasks: Of the page.
        spans: Of these tasks, or of some of them.
        scale: The time that is shown.
        opened: The task that has a row for each span; few spans have rows whatever is opened.
        cut: There are later spans, and with them the ends of some of these.
    """
    below: dict[str, list[Json]] = {}
    for span in sorted(spans, key=lambda span: str(span["began"])):
        below.setdefault(span["task"], []).append(span)
    rows: list[Row] = []
    for task in tasks:
        bars = tuple((span, _span(span, scale, cut=cut)) for span in below.get(task["task"], ()))
        inner = tuple(bar for _, bar in bars)
        is_open = task["task"] == opened or (not opened and len(spans) <= FEW)
        rows.append(Row(task, None, tuple(_attempts(task, scale)), () if is_open else inner))
        if is_open:
            rows.extend(
                Row(task, span, (bar,), (), _attempt_at(task, span["began"])) for span, bar in bars
            )
    return tuple(rows)


def _attempts(task: Json, scale: Scale) -> Iterable[Bar]:
    before: Json | None = None
    for attempt in task["attempts"]:
        if before is not None and before["ended"] is not None:
            title = f"wait before attempt {attempt['number']}"
            yield scale.bar(before["ended"], attempt["started"], "pause", title)
        title = f"attempt {attempt['number']}, {attempt['state']}"
        if attempt["reason"]:
            title = f"{title}: {_cut(attempt['reason'])}"
        yield scale.bar(attempt["started"], attempt["ended"], attempt["state"], title)
        before = attempt


def _attempt_at(task: Json, began: str) -> int:
    attempts: Sequence[Json] = task["attempts"]
    if len(attempts) <= 1:
        return 0
    begun = [each["number"] for each in attempts if str(each["started"]) <= began]
    return int(begun[-1] if begun else attempts[0]["number"])


def _cut(reason: str) -> str:
    return reason if len(reason) <= REASON else f"{reason[:REASON]}…"


def _span(span: Json, scale: Scale, *, cut: bool) -> Bar:
    failed = span["state"] in ("failed", "denied")
    title = f"{span['kind']} {span['name']}"
    if span["copied"]:
        # It took no time, and what has no width is not drawn.
        bar = scale.bar(span["began"], span["ended"], "copied", title)
        left = min(bar.x, 100 - _COPIED)
        return Bar(left, _COPIED, "copied", f"{title}, copied")
    tone = "failed" if failed else span["kind"]
    if cut and span["ended"] is None:
        # Its end may be on a later page: what is not known is not drawn.
        return scale.bar(span["began"], span["began"], tone, f"{title}, its end is on a later page")
    return scale.bar(span["began"], span["ended"], tone, f"{title}, {span['state']}")


def _legible(marks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Return marks without the labels that would lie on the one before."""
    found: list[Tick] = []
    last = -float(_APART)
    for mark in marks:
        # Late ones end at their mark instead of beginning there.
        if mark.label and mark.x - last < (_APART if mark.x <= LATE else 2 * _APART):
            found.append(attrs.evolve(mark, label=""))
        else:
            found.append(mark)
            last = mark.x if mark.label else last
    return tuple(found)


def _round_step(seconds: float) -> float:
    unit = 0.001
    while True:
        for step in _STEPS:
            if step * unit >= seconds:
                return step * unit
        # Thousandths, then seconds, minutes, hours and days of them.
        unit = unit * 10 if unit < 1 else unit * 60


def _label(seconds: float) -> str:
    return (
        "0" if seconds == 0 else duration(seconds).replace(".0 s", " s").replace(" min 0 s", " min")
    )
