from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from toka.performance import (
    InvalidFigure,
    Line,
    Measure,
    plot_bars,
    plot_lines,
    plot_result,
    run_suites,
)

SPACE = "{http://www.w3.org/2000/svg}"


def parsed(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def attribute(element, name):
    return str(element.get(name))


finite = st.floats(-1e9, 1e9)
bars = st.dictionaries(st.text(max_size=9), st.lists(finite, min_size=1, max_size=4), max_size=3)


@given(st.text(max_size=20), bars)
def test_any_name_and_figure_gives_well_formed_bars(title, figures):
    root = parsed(plot_bars(title, "ms", figures))

    assert len(root.findall(f"{SPACE}rect")) == len(figures)
    assert {each.tag for each in root.iter()} <= {
        SPACE + tag for tag in ("svg", "rect", "path", "text")
    }


@given(st.lists(st.tuples(finite, finite), min_size=1))
def test_all_points_lie_on_the_canvas(points):
    root = parsed(plot_lines("t", "ms", [Line("ours", points)]))

    width, height = (float(each) for each in attribute(root, "viewBox").split()[2:])
    placed = [
        each.split(",") for each in attribute(root.find(f"{SPACE}polyline"), "points").split()
    ]
    assert len(placed) == len(points)
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in placed)


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_an_axis_has_a_few_numbers_that_are_easy_to_read(low, span):
    # Closer to each other, numbers of this size can hardly be told apart.
    assume(span > abs(low) * 1e-12)
    root = parsed(plot_lines("t", "s", [Line("ours", [(0, low), (1, low + span)])]))

    lines = [each for each in root.findall(f"{SPACE}path") if each.get("opacity")]
    assert 1 <= len(lines) <= 7


def test_numbers_of_an_axis_are_round():
    svg = plot_lines("t", "s", [Line("ours", [(1, 1000), (64, 13_016)])])

    assert all(f">{number}<" in svg for number in ("5,000", "7,500", "12,500"))


@pytest.mark.parametrize("points", [[(0, 0.0), (1, 5e-324)], [(0, 1e15), (1, 1e15 + 0.125)]])
def test_hardly_different_points_can_be_drawn(points):
    assert (
        len(parsed(plot_lines("t", "s", [Line("ours", points)])).findall(f"{SPACE}polyline")) == 1
    )


def test_a_name_too_long_for_its_place_is_shortened():
    svg = plot_bars("t", "s", {"a peer with a very long name and more": [1]})

    assert ">a peer with a very …and more<" in svg


def test_twice_the_figure_is_twice_the_bar():
    root = parsed(plot_bars("t", "s", {"one": [5], "two": [10]}))

    short, long = (float(attribute(each, "width")) for each in root.findall(f"{SPACE}rect"))
    assert long == pytest.approx(2 * short, abs=0.1)


def test_a_hostile_name_stays_text():
    svg = plot_bars("<script>alert(1)</script>", "\"'", {"</text><script>": [1], "\x00\x1b": [2]})

    assert "<script>" not in svg
    parsed(svg)


def test_a_point_that_is_no_number_is_refused():
    with pytest.raises(InvalidFigure):
        plot_lines("t", "s", [Line("ours", [(0, float("nan"))])])
    with pytest.raises(InvalidFigure):
        plot_lines("t", "s", [])


def test_a_result_has_a_plot_for_each_measure():
    result = run_suites({"demo": lambda: [Measure("speed", "s", {"ours": lambda: 1.0})]}, print)

    assert list(plot_result(result)) == ["demo: speed"]
