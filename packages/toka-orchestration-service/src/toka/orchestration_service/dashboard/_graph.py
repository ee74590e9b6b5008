"""Where the agents of a run stand in a drawing: those that wait to the right of what they wait for.

Layers by the longest way from a beginning, then each layer in the order of what its members hang
on, so that lines seldom cross. Plain arithmetic on names; no state, nothing random: the same run
is drawn the same way each time, and an agent does not move while its state changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDTH: Final = 216
HEIGHT: Final = 58
GAP_ACROSS: Final = 64
GAP_DOWN: Final = 18
MARGIN: Final = 16
ROWS: Final = 6
"""A layer that is taller stands in several columns, so that a drawing fits on a screen."""
_GAP_BETWEEN: Final = 20
"""Between the columns of one layer."""


@attrs.frozen
class Place:
    """A node, by its upper left corner."""

    name: str
    x: int
    y: int


@attrs.frozen
class Line:
    """An edge, from the right of one node to the left of another."""

    before: str
    after: str
    path: str
    """As SVG writes it."""


@attrs.frozen
class Drawing:
    """A graph that has been laid out."""

    width: int
    height: int
    places: tuple[Place, ...]
    lines: tuple[Line, ...]


def draw(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> Drawing:
    """Lay a graph out.

    Args:
        names: Of the nodes, in the order that breaks ties.
        edges: From what comes before to what comes after; those of other nodes are left out.
    """
    known = frozenset(names)
    befores: dict[str, list[str]] = {name: [] for name in names}
    for before, after in edges:
        if before in known and after in known and before != after:
            befores[after].append(before)
    layers = _layers(_depths(names, befores), befores)
    tallest = max((len(column) for layer in layers for column in _columns(layer)), default=0)
    places: dict[str, Place] = {}
    x = MARGIN
    for layer in layers:
        for column in _columns(layer):
            for row, name in enumerate(column):
                places[name] = Place(name, x, _down(row, len(column), tallest))
            x += WIDTH + _GAP_BETWEEN
        x += GAP_ACROSS - _GAP_BETWEEN
    lines = tuple(
        Line(before, after, _curve(places[before], places[after]))
        for after, list_ in befores.items()
        for before in list_
    )
    return Drawing(
        width=max(x - GAP_ACROSS, 0) + MARGIN,
        height=2 * MARGIN + max(tallest, 1) * (HEIGHT + GAP_DOWN) - GAP_DOWN,
        places=tuple(places[name] for name in names),
        lines=lines,
    )


def _columns(layer: Sequence[str]) -> list[Sequence[str]]:
    """Return a layer in as few columns as it needs, all but equally tall."""
    if not layer:  # what a cycle leaves where it is cut
        return []
    count = -(-len(layer) // ROWS)
    height = -(-len(layer) // count)
    return [layer[first : first + height] for first in range(0, len(layer), height)]


def _depths(names: Sequence[str], befores: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the length of the longest way to each node; a cycle is cut where it closes."""
    depths: dict[str, int] = {}
    for name in names:
        waiting, entered = [name], set[str]()
        while waiting:
            node = waiting[-1]
            missing = [each for each in befores[node] if each not in depths and each not in entered]
            entered.add(node)
            if missing:
                waiting.extend(missing)
                continue
            waiting.pop()
            depths[node] = max((depths.get(each, -1) + 1 for each in befores[node]), default=0)
    return depths


def _layers(depths: Mapping[str, int], befores: Mapping[str, Sequence[str]]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for name in befores:
        layers[depths[name]].append(name)
    rows: dict[str, float] = {}
    for layer in layers:
        given = {name: row for row, name in enumerate(layer)}
        layer.sort(key=lambda name: (_middle(befores[name], rows, given[name]), given[name]))
        rows.update((name, row - len(layer) / 2) for row, name in enumerate(layer))
    return layers


def _middle(befores: Sequence[str], rows: Mapping[str, float], usual: float) -> float:
    known = [rows[name] for name in befores if name in rows]
    return sum(known) / len(known) if known else usual


def _down(row: int, size: int, tallest: int) -> int:
    pitch = HEIGHT + GAP_DOWN
    return MARGIN + row * pitch + (tallest - size) * pitch // 2


def _curve(before: Place, after: Place) -> str:
    x1, y1 = before.x + WIDTH, before.y + HEIGHT // 2
    x2, y2 = after.x, after.y + HEIGHT // 2
    bend = max(GAP_ACROSS, abs(x2 - x1)) // 2
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
