"""Folding: any log gives a picture, and the same one however it is cut."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka import kernel
from toka.kernel import (
    AgentSpawned,
    ApprovalRequested,
    ApprovalResolved,
    KernelEvent,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskRetried,
    TaskRevived,
    TaskScheduled,
    TaskStarted,
)
from toka.orchestration import RunResult, Runs, load_run, result_of
from toka.orchestration._supervision import begins_again
from toka.runtime import Logged, from_store
from toka.types import (
    UNLIMITED,
    AgentId,
    Amounts,
    Budget,
    EntityId,
    EventId,
    Failure,
    RestartPolicy,
    TaskSpec,
    ulid,
)

from .engine_world import World, badly, task

if TYPE_CHECKING:
    from pathlib import Path

    from toka.kernel import Body

RUN = AgentId(ulid(1, bytes(10)))
TASKS = st.integers(0, 2)
APPROVALS = st.sampled_from([EntityId(ulid(2, bytes([n]) * 10)) for n in range(3)])

st.register_type_strategy(msgspec.Raw, st.sampled_from([msgspec.Raw(b"null"), msgspec.Raw(b"1")]))
st.register_type_strategy(TaskSpec, st.builds(TaskSpec, st.sampled_from(["one", "two"])))
st.register_type_strategy(cast("Any", AgentId), st.sampled_from([RUN, AgentId(f"{RUN}/a")]))
st.register_type_strategy(cast("Any", EntityId), APPROVALS)
st.register_type_strategy(Amounts, st.just(Amounts(money=3)))
st.register_type_strategy(Budget, st.just(UNLIMITED))

SPAWNED = AgentSpawned("run", None, (), (), UNLIMITED, msgspec.Raw(b"{}"))

KINDS = [each for each in vars(kernel).values() if isinstance(each, type) and hasattr(each, "kind")]


def bodies() -> st.SearchStrategy[Body]:
    def build(kind: type) -> st.SearchStrategy[Body]:
        names = attrs.fields_dict(kind)
        fixed: dict[str, st.SearchStrategy[Any]] = {"task": TASKS} if "task" in names else {}
        if "parent" in names:
            fixed["parent"] = st.sampled_from([None, RUN])
        return st.builds(kind, **fixed)

    kinds = [kind for kind in KINDS if kind is not KernelEvent]
    return st.one_of([build(kind) for kind in kinds])


def events() -> st.SearchStrategy[list[KernelEvent]]:
    event = st.builds(
        KernelEvent,
        id=st.just(EventId(ulid(3, bytes(10)))),
        stream=st.sampled_from([RUN, f"{RUN}/a", f"{RUN}/b", "tokens", "hosts", "extensions/x"]),
        body=bodies(),
        time=st.integers(0, 2**62),
        parents=st.just(()),
        intent=st.sampled_from(["", RUN]),
        actor=st.just("somebody"),
        token=st.just("token"),
    )
    return st.lists(event, max_size=40)


def fold(runs: Runs, logged: list[Logged]) -> Runs:
    for each in logged:
        runs.apply(each)
    return runs


@settings(max_examples=150, deadline=None)
@given(events(), st.integers(0, 40))
def test_any_events_fold_and_in_two_halves_to_the_same(made: list[KernelEvent], cut: int):
    everything = [
        logged(1, SPAWNED, stream=RUN),
        *[Logged(position, event) for position, event in enumerate(made, 2)],
    ]
    whole = fold(Runs(), everything)
    half = fold(Runs(), everything[:cut])
    later = fold(copy.deepcopy(half), everything[cut:])
    assert whole.by_id == later.by_id
    assert whole.position == later.position == len(everything)


def logged(position: int, body: Body, time: int = 5, stream: str = f"{RUN}/a") -> Logged:
    identifier = EventId(ulid(position, bytes(10)))
    return Logged(position, KernelEvent(identifier, stream, body, time, (), RUN, "x", "token"))


@pytest.fixture
def asking() -> Runs:
    """Return a run whose one task waits for two answers."""
    runs = Runs()
    runs.apply(logged(1, SPAWNED, stream=RUN))
    runs.apply(logged(2, attrs.evolve(SPAWNED, name="a", parent=RUN)))
    runs.apply(logged(3, TaskScheduled(0, TaskSpec("work"))))
    runs.apply(logged(4, TaskStarted(0, 1, 1, "here", 9, 1)))
    for number in range(2):
        approval = EntityId(ulid(2, bytes([number]) * 10))
        asked = ApprovalRequested(approval, 0, 1, "run", b"", "May I?", 99, "deny")
        runs.apply(logged(5 + number, asked))
    return runs


def test_a_task_asks_as_long_as_one_of_its_questions_is_open(asking: Runs):
    (view,) = asking.by_id.values()
    work = view.agents[AgentId(f"{RUN}/a")].tasks[0]
    assert (work.phase, len(view.approvals)) == ("asking", 2)
    first, second = view.approvals
    asking.apply(logged(7, ApprovalResolved(first, 0, "approve", "")))
    assert (work.phase, list(view.approvals)) == ("asking", [second])
    asking.apply(logged(8, ApprovalResolved(second, 0, "deny", "")))
    assert (work.phase, list(view.approvals)) == ("running", [])


def test_the_questions_of_a_task_end_with_it_but_not_with_its_being_given_back(asking: Runs):
    (view,) = asking.by_id.values()
    asking.apply(logged(7, TaskReleased(0, 1, "stopped")))
    assert len(view.approvals) == 2
    asking.apply(logged(8, TaskCancelled(0, "not wanted", with_agent=False)))
    assert view.approvals == {}


def test_attempts_are_kept_with_their_times_and_ends(asking: Runs):
    (view,) = asking.by_id.values()
    task = view.agents[AgentId(f"{RUN}/a")].tasks[0]
    failure = Failure("it.broke", "It broke.")
    asking.apply(logged(7, TaskReleased(0, 1, "stopped"), time=6))
    asking.apply(logged(8, TaskStarted(0, 1, 2, "here", 9, 1), time=7))
    asking.apply(logged(9, TaskRetried(0, 2, 2, failure, 0), time=8))
    asking.apply(logged(10, TaskStarted(0, 2, 3, "here", 9, 1), time=9))
    asking.apply(logged(11, TaskFailed(0, 3, failure), time=10))
    asking.apply(logged(12, TaskRevived(0, 3), time=11))
    found = [(one.number, one.started, one.ended, one.state, one.reason) for one in task.attempts]
    assert found == [(1, 5, 8, "failed", "It broke."), (2, 9, 10, "failed", "It broke.")]


@pytest.mark.anyio
async def test_folding_a_whole_log_gives_what_loading_one_run_gives(tmp_path: Path):
    world = World(tmp_path)
    agents = [
        world.agent("a", task("one"), task("two", after=["one"])),
        world.agent("b", work="badly", restart="on_failure"),
        world.agent("c", requires=["b"]),
    ]
    what = world.define(agents, {"badly": badly})
    results: list[RunResult] = []
    async with world.open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            results.append(await host.run(what))

        for _ in range(3):
            group.start_soon(run)
    everything = Runs()
    async for stored in world.store.read():
        everything.apply(Logged(stored.position, from_store(stored).event))
    assert len(everything.by_id) == 3
    for view in everything.by_id.values():
        loaded = await load_run(world.store, view.run)
        view.position = loaded.position
        assert view == loaded
    assert {each.run for each in results} == {view.run for view in everything.by_id.values()}
    assert [result_of(view) for view in everything.by_id.values()] == sorted(
        results, key=lambda each: [*everything.by_id].index(EntityId(each.run))
    )


@given(st.lists(st.integers(0, 100)), st.integers(0, 5), st.integers(1, 50))
def test_no_window_holds_more_restarts_than_the_limit(gaps: list[int], most: int, within: int):
    policy = RestartPolicy("on_failure", most, within)
    restarts: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        if begins_again(policy, restarts, failed=True, ended=now):
            restarts.append(now)
    for end in restarts:
        assert len([each for each in restarts if end - within < each <= end]) <= most
    assert not begins_again(policy, (), failed=False, ended=now)


def test_every_kind_of_event_is_tried():
    assert len(KINDS) > 30
