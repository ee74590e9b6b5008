from __future__ import annotations

import json
import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from workshop import bench
from workshop.measure import Measure, NotInstalled, at_least, at_most, rows, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def constant(figure: float) -> Callable[[], float]:
    return lambda: figure


def absent() -> float:
    raise NotInstalled("nobody has it")


def ignore(_: str) -> None:
    pass


def stay(*_: object, **__: object) -> None:
    """Stay in this process, which has all that these suites need."""


def judged(measure: Measure) -> list[tuple[str | None, float | None, str | None, bool | None]]:
    found = rows("demo", measure, take_turns(measure, ignore))
    return [(row.peer_name, row.ratio, row.bar, row.met) for row in found]


def test_subjects_take_turns_after_a_round_to_warm_up() -> None:
    order: list[str] = []

    def subject(name: str) -> Callable[[], float]:
        def once() -> float:
            order.append(name)
            return 1

        return once

    take_turns(Measure("m", "u", {"ours": subject("A"), "peer": subject("B")}), ignore)

    assert order == ["A", "B"] * 8


def test_the_median_speaks_and_the_warm_up_does_not_count() -> None:
    figures = iter([1000, 1, 2, 3, 4, 5, 6, 99])

    measure = Measure("m", "u", {"ours": lambda: next(figures)})
    assert [row.ours for row in rows("demo", measure, take_turns(measure, ignore))] == [4]


def test_a_ratio_is_that_of_rounds_so_a_slow_hour_does_not_judge() -> None:
    slow = [1, 1, 1, 1, 10, 10, 10, 10]
    ours, peer = iter([2.0 / pace for pace in slow]), iter([1.0 / pace for pace in slow])
    subjects = {"ours": lambda: next(ours), "peer": lambda: next(peer)}

    assert judged(Measure("m", "u", subjects, [at_least(2, times="peer")])) == [
        ("peer", 2.0, ">= 2 x peer", True)
    ]


def test_a_median_of_fewer_than_seven_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="a median of 3 runs says little"):
        Measure("m", "u", {"ours": constant(1)}, runs=3)


def test_a_bar_at_a_peer_that_is_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="ghost"):
        Measure("m", "u", {"ours": constant(1)}, [at_least(2, times="ghost")])


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (at_least(10), True),
        (at_least(10.1), False),
        (at_most(10), True),
        (at_most(9.9), False),
        (at_least(2, times="peer"), True),
        (at_least(2.1, times="peer"), False),
        (at_most(2, times="peer"), True),
        (at_most(1, times="peer"), False),
    ],
)
def test_a_bar_is_met_or_missed(bar: object, met: bool) -> None:
    assert isinstance(bar, type(at_least(1)))
    measure = Measure("m", "u", {"ours": constant(10), "peer": constant(5)}, [bar])

    assert judged(measure)[0][3] is met


def test_each_bar_has_a_row_and_so_has_each_peer_without_one() -> None:
    subjects = {"ours": constant(10), "a": constant(5), "b": constant(4)}

    assert judged(Measure("m", "u", subjects, [at_least(3), at_least(2, times="a")])) == [
        (None, None, ">= 3", True),
        ("a", 2.0, ">= 2 x a", True),
        ("b", 2.5, None, None),
    ]


def test_without_peer_and_bar_there_is_one_row_of_nulls() -> None:
    assert judged(Measure("m", "u", {"ours": constant(1)})) == [(None, None, None, None)]


def test_a_peer_that_is_not_installed_is_said_and_judges_nothing() -> None:
    said: list[str] = []
    measure = Measure("m", "u", {"ours": constant(1), "a": absent}, [at_least(2, times="a")])

    found = list(rows("demo", measure, take_turns(measure, said.append)))

    assert said == ["  a is left out: nobody has it"]
    assert (found[0].peer, found[0].ratio, found[0].met) == (None, None, None)


def test_without_a_figure_of_ours_a_bar_is_missed() -> None:
    assert judged(Measure("m", "u", {"ours": absent}, [at_least(1)])) == [
        (None, None, ">= 1", False)
    ]


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Lets a test write suites; they are looked for in its own folder."""
    package = f"benchmarks_{next(NUMBERS)}"
    folder = tmp_path / package
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(bench, "SUITES", folder)
    monkeypatch.setattr(bench, "settle", stay)

    def write(name: str, bar: str) -> None:
        (folder / f"{name}.py").write_text(
            "from workshop.measure import Measure, at_least\n"
            "def measures():\n"
            f"    return [Measure('speed', 'per s', {{'ours': lambda: 20000.0}}, [{bar}])]\n"
        )

    return write


NUMBERS = count()


def test_suites_are_found_and_their_helpers_are_not(suite: Callable[[str, str], None]) -> None:
    for name in ("zebra", "kernel", "kernel_peers", "_shared"):
        suite(name, "at_least(1)")

    assert bench.suites() == ["kernel", "zebra"]


def test_the_result_is_a_table_and_a_file(
    suite: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite("kernel", "at_least(10000)")

    assert bench.main(["kernel", "--json", str(tmp_path / "result.json")]) == 0

    assert capsys.readouterr().out.splitlines()[1].split() == [
        *("kernel", "speed", "per", "s", "20,000", "-", "-", "-"),
        *("20,000..20,000", ">=", "10000", "yes"),
    ]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["machine"]["cores"] >= 1
    assert result["figures"] == {"kernel": {"speed": {"ours": [20000.0] * 7}}}
    assert result["rows"] == [
        {
            "suite": "kernel",
            "measure": "speed",
            "unit": "per s",
            "ours": 20000.0,
            "peer": None,
            "peer_name": None,
            "ratio": None,
            "low": 20000.0,
            "high": 20000.0,
            "bar": ">= 10000",
            "met": True,
        }
    ]


def test_each_measure_is_drawn(suite: Callable[[str, str], None], tmp_path: Path) -> None:
    suite("kernel", "at_least(1)")

    assert bench.main(["kernel", "--plots", str(tmp_path / "plots")]) == 0

    plot = tmp_path / "plots" / "00-kernel-speed.svg"
    assert "speed (per s)" in plot.read_text()


def test_what_is_worse_than_the_stored_results_is_said_and_is_the_exit_status(
    suite: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite("kernel", "at_least(1)")
    stored, compare = tmp_path / "stored", ["--compare", str(tmp_path / "stored")]
    stored.mkdir()
    assert bench.main(["kernel", "--json", str(stored / "old.json"), *compare]) == 0

    old = json.loads((stored / "old.json").read_text())
    old["machine"]["when"] = "2020-01-01T00:00:00+00:00"
    old["rows"][0]["ours"] *= 2
    (stored / "old.json").write_text(json.dumps(old))

    assert bench.main(["kernel", *compare]) == 1
    assert "major: kernel: speed 40000 -> 20000" in capsys.readouterr().out


def test_a_missed_bar_is_the_exit_status(suite: Callable[[str, str], None]) -> None:
    suite("kernel", "at_least(30000)")

    assert bench.main(["kernel"]) == 1


def test_an_unknown_suite_is_named(suite: Callable[[str, str], None]) -> None:
    suite("kernel", "at_least(1)")

    with pytest.raises(bench.Failure, match="no suite colonel"):
        bench.main(["colonel"])
