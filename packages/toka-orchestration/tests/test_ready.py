from hypothesis import given
from hypothesis import strategies as st

from toka.orchestration import ready
from toka.orchestration._graph import Vertex, arrange
from toka.types import PRIORITIES

DIAMOND = arrange(
    [
        Vertex("report", "high", ("files", "debts")),
        Vertex("files", "low", ("clone",)),
        Vertex("debts", "medium", ("clone",)),
        Vertex("clone", "low"),
        Vertex("lint", "critical", (), ("files",)),
    ]
)


def test_only_what_waits_for_nothing_starts_first():
    assert ready(DIAMOND, (), (), ()).start == ("clone",)


def test_the_most_urgent_starts_first():
    assert ready(DIAMOND, {"clone"}, (), ()).start == ("debts", "files")


def test_no_more_starts_than_the_limit_leaves_room_for():
    assert ready(DIAMOND, {"clone"}, (), (), limit=1).start == ("debts",)
    assert ready(DIAMOND, {"clone"}, (), {"debts"}, limit=1).start == ()
    assert ready(DIAMOND, {"clone"}, (), {"debts"}, limit=2).start == ("files",)


def test_what_runs_or_ended_does_not_start_again():
    found = ready(DIAMOND, {"clone", "files"}, {"debts"}, {"lint"})
    assert found.start == ()


def test_an_optional_dependency_is_waited_for_to_its_end_well_or_not():
    assert "lint" not in ready(DIAMOND, {"clone"}, (), {"files"}).start
    assert "lint" in ready(DIAMOND, {"clone", "files"}, (), ()).start
    assert "lint" in ready(DIAMOND, {"clone"}, {"files"}, ()).start


def test_a_failure_makes_its_dependents_impossible_with_the_chain():
    found = ready(DIAMOND, (), {"clone"}, ())
    chains = {each.name: each.chain for each in found.impossible}
    assert chains == {
        "files": ("clone", "files"),
        "debts": ("clone", "debts"),
        "report": ("clone", "files", "report"),
    }


def test_the_rest_goes_on_after_a_failure():
    assert ready(DIAMOND, (), {"clone"}, ()).start == ("lint",)


def test_the_reason_names_every_link():
    (*_, last) = ready(DIAMOND, (), {"clone"}, ()).impossible
    assert last.reason == "report requires files requires clone, which failed."


def test_what_was_found_impossible_before_is_not_told_again():
    found = ready(DIAMOND, (), {"clone", "files", "debts"}, ())
    assert [each.name for each in found.impossible] == ["report"]


def test_a_plan_is_over_when_nothing_runs_and_nothing_can_start():
    assert not ready(DIAMOND, (), (), ()).is_over
    assert not ready(DIAMOND, {"clone", "files", "lint"}, (), {"debts"}).is_over
    assert ready(DIAMOND, {"clone", "files", "lint"}, {"debts"}, ()).is_over
    assert ready(DIAMOND, DIAMOND.order, (), ()).is_over


@given(st.data())
def test_every_run_ends_and_starts_each_at_most_once(data):
    count = data.draw(st.integers(1, 10))
    vertices = []
    for index in range(count):
        before = st.lists(st.integers(0, index - 1), unique=True) if index else st.just([])
        required = tuple([f"v{each}" for each in data.draw(before)])
        optional = tuple([f"v{each}" for each in data.draw(before) if f"v{each}" not in required])
        priority = data.draw(st.sampled_from(PRIORITIES))
        vertices.append(Vertex(f"v{index}", priority, required, optional))
    plan = arrange(vertices)
    limit = data.draw(st.integers(1, 3))
    done, failed, running, started = set(), set(), set(), []
    while True:
        found = ready(plan, done, failed, running, limit=limit)
        for name in found.start:
            assert all(other in done for other in plan.dependencies[name])
            assert all(other in done | failed for other in plan.optional[name] if other in started)
        for each in found.impossible:
            assert each.chain[0] in failed
            assert each.chain[-1] == each.name
        failed |= {each.name for each in found.impossible}
        started += found.start
        running |= set(found.start)
        assert len(running) <= limit
        if found.is_over:
            break
        if running:
            ended = data.draw(st.sampled_from(sorted(running)))
            running.remove(ended)
            (done if data.draw(st.booleans()) else failed).add(ended)
    assert len(started) == len(set(started))
    assert done | failed == set(plan.order)
