"""Results as files, and suites that make them.

A result holds every figure, not only the medians: whoever doubts a judgement can make it again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import attrs
import msgspec

from toka.performance._errors import UnreadableResult
from toka.performance._machine import machine
from toka.performance._turns import Row, rows, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from toka.performance._measure import Measure
    from toka.types import Json

Figures: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
"""By suite, measure and subject: the figure of each round."""
_StoredFigures: TypeAlias = dict[str, dict[str, dict[str, list[float]]]]


@attrs.frozen
class Result:
    """What one run of some suites found, and where."""

    machine: Mapping[str, Json]
    rows: Sequence[Row]
    figures: Figures

    @property
    def when(self) -> str:
        """When it was measured, as the machine's facts say; empty if they do not."""
        return str(self.machine.get("when", ""))

    def as_json(self) -> dict[str, Json]:
        """Return what the file holds."""
        return {
            "machine": self.machine,
            "rows": [row.as_json() for row in self.rows],
            "figures": self.figures,
        }


def run_suites(
    suites: Mapping[str, Callable[[], Iterable[Measure]]], say: Callable[[str], None]
) -> Result:
    """Measure all that the suites name, one after another."""
    found: list[Row] = []
    figures: _StoredFigures = {}
    for suite, measures in suites.items():
        figures[suite] = {}
        for measure in measures():
            say(f"{suite}: {measure.name}")
            figures[suite][measure.name] = take_turns(measure, say)
            found += rows(suite, measure, figures[suite][measure.name])
    return Result(machine(), found, figures)


def save_result(result: Result, path: Path) -> None:
    """Write a result, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(result.as_json()), indent=2) + b"\n"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_result(path: Path) -> Result:
    """Read a result.

    Raises:
        OSError: the file cannot be read.
        UnreadableResult: it is not a result, or of a form that this version does not know.
    """
    try:
        return msgspec.convert(msgspec.json.decode(path.read_bytes()), _Stored).result()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableResult(f"{path} is not a result of benchmarks: {error}") from error


def load_results(folder: Path) -> list[Result]:
    """Read every result of a folder, oldest first.

    Raises:
        OSError: a file cannot be read.
        UnreadableResult: a file `*.json` of the folder is not a result.
    """
    return sorted((load_result(path) for path in folder.glob("*.json")), key=lambda each: each.when)


class _StoredRow(msgspec.Struct):
    suite: str
    measure: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str | None
    ratio: float | None
    bar: str | None
    met: bool | None
    low: float | None = None
    high: float | None = None


class _Stored(msgspec.Struct):
    machine: dict[str, object]
    rows: list[_StoredRow]
    figures: _StoredFigures = msgspec.field(default_factory=_StoredFigures)

    def result(self) -> Result:
        found = [Row(**msgspec.structs.asdict(row)) for row in self.rows]
        facts = {key: _json(value) for key, value in self.machine.items()}
        return Result(facts, found, self.figures)


def _json(value: object) -> Json:
    return value if isinstance(value, str | int | float | None) else str(value)
