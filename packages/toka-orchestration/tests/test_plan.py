from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.orchestration import (
    DependencyCycleError,
    DuplicateNameError,
    SeveralSpecErrors,
    SpecSet,
    UnknownDependencyError,
    active_tasks,
    plan,
    plan_tasks,
)
from toka.types import (
    PRIORITIES,
    AgentSpec,
    Dependencies,
    Dependency,
    Metadata,
    Priority,
    Role,
    TaskDefinition,
)


def agent(name, *required, optional=(), priority: Priority = "medium", stream="", tasks=()):
    return AgentSpec(
        Metadata(name, workstream=stream),
        Role(priority=priority),
        tasks=tuple(tasks),
        dependencies=Dependencies(
            tuple([Dependency(each) for each in required]),
            tuple([Dependency(each) for each in optional]),
        ),
    )


def specs(*agents):
    return SpecSet(agents)


def test_dependencies_come_first_whatever_the_priorities():
    made = plan(specs(agent("a", "b", priority="critical"), agent("b", priority="low")))
    assert made.order == ("b", "a")


def test_dependencies_among_low_and_medium_count():
    made = plan(specs(agent("a", "b", priority="low"), agent("b", "c"), agent("c", priority="low")))
    assert made.order == ("c", "b", "a")


def test_the_more_urgent_go_first_where_nothing_else_decides():
    names = [agent(priority, priority=priority) for priority in reversed(PRIORITIES)]
    assert plan(specs(*names)).order == PRIORITIES


def test_the_order_of_writing_decides_last():
    assert plan(specs(agent("z"), agent("a"), agent("m"))).order == ("z", "a", "m")


def test_waves_are_as_few_as_possible():
    made = plan(specs(agent("d", "b", "c"), agent("b", "a"), agent("c"), agent("a")))
    assert made.waves == (("c", "a"), ("b",), ("d",))


def test_the_critical_path_is_a_longest_chain():
    made = plan(
        specs(agent("a"), agent("b", "a"), agent("c", "b"), agent("x", priority="critical"))
    )
    assert made.critical_path == ("a", "b", "c")


def test_an_optional_dependency_that_is_present_is_waited_for():
    made = plan(specs(agent("a", optional=["b"]), agent("b", priority="low")))
    assert made.order == ("b", "a")
    assert made.dependencies["a"] == ()
    assert made.optional["a"] == ("b",)


def test_an_optional_dependency_that_is_absent_is_a_warning():
    (warning,) = plan(specs(agent("a", optional=["gone"]))).warnings
    assert "'gone'" in warning.message


def test_an_unknown_required_dependency_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownDependencyError, match="Did you mean 'inventory'"):
        plan(specs(agent("a", "inventroy"), agent("inventory")))


def test_all_unknown_dependencies_are_told_together():
    with pytest.raises(SeveralSpecErrors) as caught:
        plan(specs(agent("a", "x"), agent("b", "y")))
    assert len(caught.value.errors) == 2


def test_a_cycle_is_refused_with_its_path():
    with pytest.raises(DependencyCycleError, match="c -> a -> b -> c"):
        plan(specs(agent("x"), agent("c", "a"), agent("a", "b"), agent("b", "c")))


def test_an_agent_that_requires_itself_is_a_cycle():
    with pytest.raises(DependencyCycleError, match="a -> a"):
        plan(specs(agent("a", "a")))


def test_a_cycle_across_priorities_is_found():
    with pytest.raises(DependencyCycleError):
        plan(specs(agent("a", "b", priority="critical"), agent("b", "a", priority="low")))


def test_a_cycle_through_an_optional_dependency_says_which_one_it_is():
    with pytest.raises(DependencyCycleError, match=r"a -> b \(optional\) -> a"):
        plan(specs(agent("a", optional=["b"]), agent("b", "a")))


def test_two_agents_of_one_name_are_refused():
    with pytest.raises(DuplicateNameError):
        plan(specs(agent("a"), agent("a")))


def test_a_workstream_stands_for_all_its_agents():
    made = plan(
        specs(agent("c", "workstream:Ground work"), agent("a", stream="Ground work"), agent("b"))
    )
    assert made.dependencies["c"] == ("a",)


def test_an_unknown_workstream_is_refused():
    with pytest.raises(UnknownDependencyError, match="workstream:ground"):
        plan(specs(agent("c", "workstream:grund"), agent("a", stream="ground")))


def test_waiting_for_ones_own_workstream_is_a_cycle():
    with pytest.raises(DependencyCycleError):
        plan(specs(agent("a", "workstream:w", stream="w")))


def test_an_agent_named_by_a_task_is_required():
    task = TaskDefinition("t", "do", depends_on=("b",))
    assert plan(specs(agent("a", tasks=[task]), agent("b"))).dependencies["a"] == ("b",)


def test_an_unknown_name_in_a_task_is_refused():
    task = TaskDefinition("t", "do", depends_on=("b",))
    with pytest.raises(UnknownDependencyError):
        plan(specs(agent("a", tasks=[task])))


def test_tasks_are_ordered_by_id_and_by_text():
    tasks = [
        TaskDefinition("c", "third", depends_on=("second",)),
        TaskDefinition("b", "second", depends_on=("a",)),
        TaskDefinition("a", "first"),
    ]
    assert plan_tasks(tasks).order == ("a", "b", "c")


def test_urgent_tasks_go_first():
    tasks = [TaskDefinition("a", "first", priority="low"), TaskDefinition("b", "second")]
    assert plan_tasks(tasks).order == ("b", "a")


def test_a_cycle_among_tasks_is_refused_with_its_path():
    tasks = (
        TaskDefinition("a", "x", depends_on=("b",)),
        TaskDefinition("b", "y", depends_on=("x",)),
    )
    with pytest.raises(DependencyCycleError, match="a -> b -> a"):
        plan(specs(agent("one", tasks=tasks)))


def test_conditional_tasks_exist_where_their_input_is_true():
    spec = agent("a", tasks=[TaskDefinition("t", "x"), TaskDefinition("u", "y", condition="deep")])
    assert [task.id for task in active_tasks(spec, {})] == ["t"]
    assert [task.id for task in active_tasks(spec, {"deep": True})] == ["t", "u"]


def test_a_task_does_not_wait_for_one_that_does_not_exist_in_this_run():
    task = TaskDefinition("t", "x", depends_on=("deep1",))
    assert plan_tasks([task]).dependencies["t"] == ()


def test_a_chain_of_a_thousand_agents_is_planned():
    agents = [agent(f"a{index}", f"a{index + 1}") for index in range(999)]
    made = plan(specs(*agents, agent("a999")))
    assert made.order[0] == "a999"
    assert len(made.waves) == len(made.critical_path) == 1_000


@st.composite
def acyclic(draw):
    count = draw(st.integers(1, 12))
    agents = []
    for index in range(count):
        before = st.lists(st.integers(0, index - 1), unique=True) if index else st.just([])
        required, optional = draw(before), draw(before)
        agents.append(
            agent(
                f"a{index}",
                *[f"a{each}" for each in required],
                optional=[f"a{each}" for each in optional],
                priority=draw(st.sampled_from(PRIORITIES)),
            )
        )
    return draw(st.permutations(agents))


@given(acyclic())
def test_every_order_is_topological(agents):
    made = plan(specs(*agents))
    position = {name: index for index, name in enumerate(made.order)}
    assert sorted(position) == sorted(each.name for each in agents)
    for name in made.order:
        waits = made.dependencies[name] + made.optional[name]
        assert all(position[other] < position[name] for other in waits)


@given(acyclic())
def test_every_wave_only_waits_for_earlier_waves(agents):
    made = plan(specs(*agents))
    level = {name: index for index, wave in enumerate(made.waves) for name in wave}
    for name, own in level.items():
        waits = made.dependencies[name] + made.optional[name]
        assert max([level[other] for other in waits], default=-1) == own - 1
    assert len(made.critical_path) == len(made.waves)


@given(acyclic())
def test_the_same_agents_give_the_same_plan(agents):
    assert plan(specs(*agents)) == plan(specs(*agents))


@given(acyclic(), st.data())
def test_every_cycle_is_found_and_is_one(agents, data):
    by_name = {each.name: each for each in agents}
    made = plan(specs(*agents))
    start = data.draw(st.sampled_from(made.order))
    reachable, queue = {start}, [start]
    while queue:
        waits = made.dependencies[queue[-1]] + made.optional[queue.pop()]
        queue += [name for name in waits if name not in reachable]
        reachable |= set(waits)
    end = data.draw(st.sampled_from(sorted(reachable)))
    closing = agent(end, start, *made.dependencies[end], optional=made.optional[end])
    with pytest.raises(DependencyCycleError) as caught:
        plan(specs(*[closing if each.name == end else each for each in agents]))
    path = caught.value.message.partition("circle: ")[2].rstrip(".").replace(" (optional)", "")
    cycle = path.split(" -> ")
    assert cycle[0] == cycle[-1]
    for name, following in pairwise(cycle):
        source = closing if name == end else by_name[name]
        waits = [*source.dependencies.required, *source.dependencies.optional]
        assert following in [wait.agent for wait in waits]
