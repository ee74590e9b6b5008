"""The graph of agents and the time line, as numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from toka.orchestration_service.dashboard import _graph, _timeline

NAMES = [f"a{n}" for n in range(12)]
EDGES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, "unknown"])))


@given(st.lists(st.sampled_from(NAMES), unique=True), EDGES)
def test_any_graph_is_drawn_within_its_bounds_and_nothing_lies_on_anything(names, edges):
    drawing = _graph.draw(names, edges)
    assert [place.name for place in drawing.places] == names
    assert len({(place.x, place.y) for place in drawing.places}) == len(names)
    for place in drawing.places:
        assert 0 <= place.x <= drawing.width - _graph.WIDTH
        assert 0 <= place.y <= drawing.height - _graph.HEIGHT


@given(EDGES)
def test_who_waits_stands_to_the_right(edges):
    forward = [(one, other) for one, other in edges if one < other]
    x = {place.name: place.x for place in _graph.draw(NAMES, forward).places}
    assert all(x[one] < x[other] for one, other in forward if other in x)


def test_many_that_wait_for_nothing_stand_in_columns():
    drawing = _graph.draw([f"n{n}" for n in range(20)], [])
    assert len({place.x for place in drawing.places}) == 4
    assert drawing.height < (_graph.ROWS + 1) * (_graph.HEIGHT + _graph.GAP_DOWN)


def test_a_long_chain_does_not_overflow():
    names = [f"n{n}" for n in range(3_000)]
    drawing = _graph.draw(names, pairwise(names))
    assert drawing.places[-1].x > drawing.places[0].x


def moment(seconds: int) -> str:
    return f"2026-01-01T00:00:{seconds:02d}.000Z"


def task(number: int, *attempts: tuple[int, int | None], state: str = "completed"):
    return {
        "task": f"r/a#{number}",
        "started": moment(attempts[0][0]) if attempts else None,
        "ended": moment(end) if attempts and (end := attempts[-1][1]) is not None else None,
        "attempts": [
            {
                "number": n + 1,
                "state": state,
                "started": moment(began),
                "ended": None if ended is None else moment(ended),
                "reason": "It hung up." if n < len(attempts) - 1 else "",
            }
            for n, (began, ended) in enumerate(attempts)
        ],
    }


def span(number: int, began: int, ended: int | None, state: str = "completed"):
    return {
        "task": f"r/a#{number}",
        "span": str(began),
        "kind": "tool",
        "name": "read_file",
        "state": state,
        "began": moment(began),
        "ended": None if ended is None else moment(ended),
        "copied": False,
    }


NOW = 1767225600 + 20.0


def test_attempts_lie_where_they_were():
    tasks = [task(0, (0, 2), (5, 10)), task(1)]
    scale = _timeline.scale_of(tasks, NOW)
    rows = _timeline.rows_of(tasks, [], scale, opened="", cut=False)
    bars = rows[0].bars
    assert [(bar.x, bar.width) for bar in bars] == [(0.0, 20.0), (20.0, 30.0), (50.0, 50.0)]
    assert bars[0].title == "attempt 1, completed: It hung up. · 2.0 s"
    assert (bars[1].tone, bars[1].title) == ("pause", "wait before attempt 2 · 3.0 s")
    assert rows[1].bars == ()


def test_what_goes_on_reaches_until_now():
    tasks = [task(0, (10, None), state="running")]
    scale = _timeline.scale_of(tasks, NOW)
    (row,) = _timeline.rows_of(tasks, [], scale, opened="", cut=False)
    assert (row.bars[0].x, row.bars[0].width) == (0.0, 100.0)


def test_an_opened_task_has_a_row_for_each_span_and_others_have_marks():
    tasks = [task(0, (0, 10)), task(1, (0, 10))]
    spans = [span(0, 1, 2), span(0, 0, 1, "failed"), span(1, 3, 4)]
    scale = _timeline.scale_of(tasks, NOW)
    rows = _timeline.rows_of(tasks, spans, scale, opened="r/a#0", cut=False)
    assert [row.span and row.span["span"] for row in rows] == [None, "0", "1", None]
    assert rows[1].bars[0].tone == "failed"
    assert [len(row.inner) for row in rows] == [0, 0, 0, 1]


def test_an_end_that_is_not_known_is_not_drawn():
    tasks = [task(0, (0, None), state="running")]
    scale = _timeline.scale_of(tasks, NOW)
    spans = [span(0, 5, None, "running")]
    rows = _timeline.rows_of(tasks, spans, scale, opened="r/a#0", cut=True)
    assert rows[1].bars[0].width == 0
    assert "later page" in rows[1].bars[0].title


def test_what_was_copied_looks_like_it_whatever_came_of_it():
    tasks = [task(0, (0, 4))]
    scale = _timeline.scale_of(tasks, NOW)
    spans = [{**span(0, 1, 1, state), "copied": True} for state in ("completed", "failed")]
    rows = _timeline.rows_of(tasks, spans, scale, opened="r/a#0", cut=False)
    assert [row.bars[0].tone for row in rows[1:]] == ["copied", "copied"]
    assert "read_file, copied" in rows[1].bars[0].title
    assert rows[1].bars[0].width > 0


def test_a_step_says_at_which_of_several_attempts_it_was():
    tasks = [task(0, (0, 2), (5, 10)), task(1, (0, 10))]
    spans = [span(0, 1, 2, "failed"), span(0, 5, 6), span(1, 2, 3)]
    scale = _timeline.scale_of(tasks, NOW)
    rows = _timeline.rows_of(tasks, spans, scale, opened="", cut=False)
    assert [row.attempt for row in rows if row.span] == [1, 2, 0]


def test_a_long_stretch_without_a_change_is_cut_short():
    tasks = [task(0, (0, 51))]
    spans = [span(0, 0, 1), span(0, 1, 50), span(0, 50, 51)]
    scale = _timeline.cut_short(_timeline.scale_of(tasks, NOW), spans)
    bars = [row.bars[0] for row in _timeline.rows_of(tasks, spans, scale, opened="", cut=False)]
    assert [round(bar.width) for bar in bars] == [100, 45, 9, 45]
    assert [(bar.x, bar.width) for bar in scale.breaks()] == [(bars[2].x, bars[2].width)]
    assert "49.0 s in which nothing began or ended" in scale.breaks()[0].title
    assert [(round(tick.x), tick.label) for tick in scale.ticks() if tick.label] == [
        (0, "0"),
        (27, "600 ms"),
        (55, "50 s"),
    ]


def test_what_squeezes_nothing_is_not_cut_short():
    for ends in ([1, 2, 3, 4, 5], [1, 10], [1, 2, 9], [50]):
        spans = [span(0, began, ended) for began, ended in pairwise([0, *ends])]
        scale = _timeline.Scale(NOW - 20, NOW - 20 + ends[-1])
        assert _timeline.cut_short(scale, spans) == scale


@given(st.lists(st.integers(0, 59), min_size=2, unique=True), st.integers(1, 400))
def test_however_time_is_cut_it_goes_on_from_left_to_right(seconds, factor):
    began = NOW - 20
    last = began + factor * max(seconds)
    spans = [span(0, one, other) for one, other in pairwise(sorted(seconds))]
    scale = _timeline.cut_short(_timeline.Scale(began, last), spans)
    places = [scale.bar(moment(each), None, "", "") for each in sorted(seconds)]
    assert all(one.x < other.x for one, other in pairwise(places))
    assert all(0 <= bar.x <= bar.x + bar.width <= 100.001 for bar in places)
    labelled = [tick.x for tick in scale.ticks() if tick.label]
    assert all(other - one >= _timeline._APART for one, other in pairwise(labelled))


@given(st.floats(0.001, 1e7))
def test_an_axis_has_few_round_marks(seconds):
    ticks = _timeline.Scale(0, seconds).ticks()
    assert 1 <= len(ticks) <= _timeline.TICKS + 1
    assert ticks[0].label == "0"
    assert all(0 <= tick.x <= 100 for tick in ticks)
