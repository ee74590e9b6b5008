"""A result as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.performance._turns import Row

_HEAD: Final = ("suite", "measure", "unit", "ours", "peer", "", "ratio", "95 %", "bar", "met")


def table(found: Sequence[Row]) -> str:
    """Return the rows as a table for people."""
    cells = [_HEAD, *(_cells(row) for row in found)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    absent = "not measured" if row.peer_name else "-"
    return (
        row.suite,
        row.measure,
        row.unit,
        figure_text(row.ours, "not measured"),
        row.peer_name or "-",
        figure_text(row.peer, absent),
        figure_text(row.ratio, "-"),
        "-" if row.low is None else f"{figure_text(row.low)}..{figure_text(row.high)}",
        row.bar or "-",
        {True: "yes", False: "NO", None: "-"}[row.met],
    )


def figure_text(number: float | None, otherwise: str = "-") -> str:
    """Return a figure with three digits, or with thousands set apart."""
    if number is None:
        return otherwise
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"  # noqa: PLR2004
