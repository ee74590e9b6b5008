"""Plots as SVG, written by hand: no library, no script, no style from elsewhere.

Every text is escaped. Colours are told apart without colour sight (P. Tol's "bright" scheme), and a
file can be opened in any browser, light or dark.
"""

from __future__ import annotations

import math
from html import escape
from statistics import median
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._statistics import bootstrap, check_finite
from toka.performance._table import figure_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from toka.performance._results import Result

_COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
_WIDTH, _LEFT, _RIGHT = 720, 200, 90
_BAR, _GAP, _TOP = 18, 8, 44
_PLOT_HEIGHT, _PLOT_LEFT = 260, 80
_NAME: Final = 28
"""Characters of a name that have room."""
_LEAST: Final = 1e-300
"""Below this the arithmetic of round numbers ends."""


@attrs.frozen
class Line:
    """A named line of points, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


def plot_bars(title: str, unit: str, figures: Mapping[str, Sequence[float]]) -> str:
    """Return bars of the medians of some subjects, with whiskers of 95 % confidence.

    Raises:
        InvalidFigure: a subject has no figures, or one that is not finite.
    """
    intervals = {name: bootstrap(values) for name, values in figures.items()}
    most = max((interval.high for interval in intervals.values()), default=0.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / most if most > 0 else 0.0
    drawn: list[str] = []
    for number, (name, values) in enumerate(figures.items()):
        top = _TOP + number * (_BAR + _GAP)
        low, high = (_LEFT + max(0.0, end) * scale for end in attrs.astuple(intervals[name]))
        width = max(0.0, median(values)) * scale
        middle = top + _BAR / 2
        drawn += [
            _text(_LEFT - 8, middle, _short(name), anchor="end"),
            (
                f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" '
                f'fill="{_colour(number)}"/>'
            ),
            (
                f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {top + 4}v10'
                f'M{high:.1f} {top + 4}v10" stroke="currentColor" fill="none"/>'
            ),
            _text(high + 8, middle, figure_text(median(values))),
        ]
    height = _TOP + len(figures) * (_BAR + _GAP) + 8
    return _document(f"{title} ({unit})", height, drawn)


def plot_lines(title: str, unit: str, lines: Sequence[Line]) -> str:
    """Return lines over numbers, such as times or sizes; both axes begin where the points do.

    Raises:
        InvalidFigure: there is no point, or one is not finite.
    """
    points = [point for line in lines for point in line.points]
    check_finite([number for point in points for number in point], least=2)
    left, right = _ends(x for x, _ in points)
    low, high = _ends(y for _, y in points)
    span = _WIDTH - _PLOT_LEFT - _RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _PLOT_LEFT + (x - left) / (right - left) * span,
            _TOP + _PLOT_HEIGHT - (y - low) / (high - low) * _PLOT_HEIGHT,
        )

    drawn: list[str] = []
    for height in _round_numbers(low, high):
        _, y = place(left, height)
        drawn.append(f'<path d="M{_PLOT_LEFT} {y:.1f}h{span}" stroke="currentColor" opacity=".2"/>')
        drawn.append(_text(_PLOT_LEFT - 8, y, figure_text(height), anchor="end"))
    bottom = _TOP + _PLOT_HEIGHT + 16
    drawn.append(_text(_PLOT_LEFT, bottom, figure_text(left)))
    drawn.append(_text(_PLOT_LEFT + span, bottom, figure_text(right), anchor="end"))
    for number, line in enumerate(lines):
        placed = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*each) for each in line.points))
        drawn.append(
            f'<polyline points="{placed}" fill="none" stroke="{_colour(number)}" stroke-width="2"/>'
        )
        name_height = bottom + 20 * (number + 1)
        drawn.append(_text(_PLOT_LEFT, name_height, line.name, colour=_colour(number)))
    return _document(f"{title} ({unit})", bottom + 20 * (len(lines) + 1), drawn)


def plot_result(result: Result) -> dict[str, str]:
    """Return a plot of bars for each measure of a result, by `suite: measure`."""
    units = {(row.suite, row.measure): row.unit for row in result.rows}
    return {
        f"{suite}: {measure}": plot_bars(measure, units.get((suite, measure), ""), subjects)
        for suite, measures in result.figures.items()
        for measure, subjects in measures.items()
        if subjects
    }


def _ends(numbers: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(numbers)
    low, high = ordered[0], ordered[-1]
    # A single value needs room around it, as much as tells it from its neighbours.
    return (low, high) if high > low else (low - max(1.0, abs(low)), high + max(1.0, abs(high)))


def _round_numbers(low: float, high: float) -> Iterable[float]:
    """Return up to seven numbers from one end to the other that are easy to read."""
    rough = (high - low) / 4
    if rough < _LEAST:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough * 0.8)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def _short(name: str) -> str:
    """Return a name that fits beside its bar; the end tells more often than the middle."""
    return name if len(name) <= _NAME else f"{name[: _NAME - 9]}…{name[-8:]}"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", colour: str = "currentColor"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="middle" '
        f'fill="{colour}">{escape(_printable(text))}</text>'
    )


def _printable(text: str) -> str:
    """Replace what XML 1.0 cannot hold even when it is escaped."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _document(title: str, height: float, drawn: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {math.ceil(height)}" '
        f'role="img" aria-label="{escape(_printable(title))}" '
        'font-family="system-ui, sans-serif" font-size="12" color="#767676">'
    )
    return "\n".join([head, _text(8, 20, title), *drawn, "</svg>\n"])
