"""Which agents and tasks run, in which order, and how many at once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio
import pytest

from toka.kernel import TaskStarted
from toka.llm_gateway import ToolUse
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.runtime import from_store
from toka.store.core import Query
from toka.store.memory import MemoryStore

from .engine_world import World, badly, reasons, states, task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toka.agent_runtime import TaskContext
    from toka.llm_gateway import ModelRequest
    from toka.orchestration import RunResult
    from toka.store.core import Absent, Expected, NewEvent, Receipt

pytestmark = pytest.mark.anyio

PRIORITIES = ("critical", "high", "medium", "low")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def started(world: World) -> list[str]:
    """Return agents and tasks in the order in which their tasks were started."""
    found: list[str] = []
    async for stored in world.store.read(where=Query(kinds=("task.started.",))):
        body = from_store(stored).event.body
        assert isinstance(body, TaskStarted)
        found.append(f"{stored.stream.partition('/')[2]}#{body.task}")
    return found


async def test_one_agent_runs_to_its_end(world: World):
    result = await world.run(world.define([world.agent("one")]))
    assert (result.state, states(result), result.met) == ("completed", {"one": "completed"}, True)


async def test_where_nothing_else_decides_the_most_urgent_goes_first(world: World):
    agents = [
        world.agent(f"{name}-{number}", priority=name)
        for number in range(2)
        for name in reversed(PRIORITIES)
    ]
    await world.run(world.define(agents, max_concurrent_agents=1))
    order = [f"{name}-{number}#0" for name in PRIORITIES for number in range(2)]
    assert await started(world) == order


async def test_dependencies_count_over_all_priorities(world: World):
    """The original looked at dependencies within one priority only (its fault 6)."""
    definition = world.define(
        [
            world.agent("urgent", requires=["low"], priority="critical"),
            world.agent("middle", requires=["urgent"], priority="medium"),
            world.agent("low", priority="low"),
            world.agent("other", requires=["middle"], priority="high"),
        ]
    )
    assert (await world.run(definition)).met
    assert await started(world) == ["low#0", "urgent#0", "middle#0", "other#0"]


async def test_a_random_graph_runs_in_an_order_that_keeps_every_dependency(world: World):
    chance = random.Random(7)  # noqa: S311 - no secret
    names = [f"a{number}" for number in range(30)]
    chance.shuffle(names)
    requires = {
        name: chance.sample(names[:index], min(index, chance.randrange(4)))
        for index, name in enumerate(names)
    }
    running: set[str] = set()
    ended: set[str] = set()

    async def work(ctx: TaskContext):
        name = ctx.agent.rpartition("/")[2]
        assert set(requires[name]) <= ended
        running.add(name)
        await anyio.lowlevel.checkpoint()
        running.remove(name)
        ended.add(name)

    written = sorted(names)
    agents = [
        world.agent(n, requires=requires[n], work="work", priority=chance.choice(PRIORITIES))
        for n in written
    ]
    assert (await world.run(world.define(agents, {"work": work}))).met
    assert ended == set(names)


@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_as_many_agents_run_at_once_as_the_limit_says_and_no_more(world: World, limit: int):
    """The original ignored its limit (its fault 6)."""
    running, most = 0, 0
    full = anyio.Event()

    async def work(_: TaskContext):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == limit:
            full.set()
        await full.wait()
        await anyio.wait_all_tasks_blocked()
        running -= 1

    agents = [world.agent(f"a{number}", work="work") for number in range(4 * limit)]
    with anyio.fail_after(20):
        result = await world.run(world.define(agents, {"work": work}, max_concurrent_agents=limit))
    assert result.met
    assert most == limit


async def failing(world: World) -> RunResult:
    return await world.run(
        world.define(
            [
                world.agent("a", work="badly"),
                world.agent("b", requires=["a"]),
                world.agent("c", requires=["b"]),
                world.agent("d", optional=["a", "c"]),
                world.agent("e"),
            ],
            {"badly": badly},
        )
    )


async def test_a_failed_agent_fails_what_requires_it_and_the_rest_goes_on(world: World):
    result = await failing(world)
    assert result.state == "failed"
    assert states(result) == {
        "a": "failed",
        "b": "failed",
        "c": "failed",
        "d": "completed",
        "e": "completed",
    }


async def test_the_reason_of_a_failure_names_the_whole_chain(world: World):
    result = await failing(world)
    told = reasons(result)
    assert "it broke" in told["a"]
    assert told["b"] == "b requires a, which failed."
    assert told["c"] == "c requires b requires a, which failed."
    assert result.reason == "3 of 5 agents did not meet their objectives: a, b, c."


class SlowToGiveUp(MemoryStore):
    """Answers that agent b has failed only after agent slow has completed."""

    def __init__(self) -> None:
        super().__init__()
        self.giving_up = anyio.Event()
        self.completed = anyio.Event()

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        receipt = await super().append(events, streams=streams or {}, head=head, absent=absent)
        last = events[-1].stream.rpartition("/")[2], events[-1].kind
        if last == ("b", "agent.failed.v1"):
            self.giving_up.set()
            await self.completed.wait()
            await anyio.wait_all_tasks_blocked()
        if last == ("slow", "agent.completed.v1"):
            self.completed.set()
        return receipt


async def test_an_agent_that_ends_while_another_is_given_up_is_not_overlooked(tmp_path: Path):
    store = SlowToGiveUp()
    world = World(tmp_path, store)

    async def slow(_: TaskContext):
        await store.giving_up.wait()

    agents = [
        world.agent("a", work="badly"),
        world.agent("b", requires=["a"]),
        world.agent("slow", work="slow"),
        world.agent("last", requires=["slow"]),
    ]
    with anyio.fail_after(20):
        result = await world.run(world.define(agents, {"badly": badly, "slow": slow}))
    assert states(result) == {
        "a": "failed",
        "b": "failed",
        "slow": "completed",
        "last": "completed",
    }


async def test_what_waits_for_something_optional_waits_for_its_end(world: World):
    ended = False

    async def slow(_: TaskContext):
        nonlocal ended
        await anyio.wait_all_tasks_blocked()
        ended = True
        return "found"

    async def later(ctx: TaskContext):
        assert ended
        return ctx.results["slow"]

    agents = [
        world.agent("later", optional=["slow"], work="later", priority="critical"),
        world.agent("slow", work="slow", priority="low"),
    ]
    async with world.open() as host:
        run = await host.begin(world.define(agents, {"slow": slow, "later": later}))
        assert (await host.orchestrator.execute(run)).met


async def test_results_of_tasks_and_of_required_agents_can_be_seen(world: World):
    async def first(_: TaskContext):
        return {"number": 7}

    async def second(ctx: TaskContext):
        return ctx.results

    seen = {"description": "seen", "check": "results.one.work.number == 7"}
    agents = [
        world.agent("one", work="first"),
        world.agent("two", requires=["one"], work="second", objectives=[seen]),
    ]
    assert (await world.run(world.define(agents, {"first": first, "second": second}))).met


async def test_a_model_is_told_its_task_with_the_values_in_it(world: World):
    requests: list[ModelRequest] = []

    def script(request: ModelRequest):
        requests.append(request)
        return reply(ToolUse("1", "finish", {"result": 4, "objectives": []}))

    ask = {**task("ask", after=["work"]), "model": {"system": "Be ${inputs.tone}."}}
    ask["description"] = "Double ${results.work} for ${agent.name}"
    work = task("work", entry=f"{world.module}:two")
    agent = world.agent("a", ask, work, inputs={"tone": {"default": "brief"}})
    agent["security"] = {"capabilities_required": ["model:call:**"]}

    async def two(_: TaskContext):
        return 2

    world.model = lambda: ScriptedModel(script)
    assert (await world.run(world.define([agent], {"two": two}))).met
    (request,) = requests
    assert request.messages[0].text == "Double 2 for a"
    assert "Be brief." in request.system


async def test_tasks_run_after_what_they_depend_on_and_the_urgent_first(world: World):
    tasks = [
        task("last", after=["middle", "do urgent"], priority="critical"),
        task("middle", after=["slow"]),
        task("slow", priority="low"),
        task("urgent", priority="high"),
    ]
    assert (await world.run(world.define([world.agent("a", *tasks)]))).met
    assert await started(world) == ["a#3", "a#2", "a#1", "a#0"]


async def test_a_failed_task_cancels_what_depends_on_it_and_the_rest_is_done(world: World):
    tasks = [
        task("broken", entry=f"{world.module}:badly"),
        task("after", after=["broken"]),
        task("far", after=["after"]),
        task("other"),
    ]
    definition = world.define([world.agent("a", *tasks)], {"badly": badly})
    async with world.open() as host:
        run = await host.begin(definition)
        result = await host.orchestrator.execute(run)
        view = await host.orchestrator.find(definition.key)
    assert states(result) == {"a": "failed"}
    assert reasons(result)["a"].startswith("Task broken failed: ")
    assert view is not None
    (agent,) = (agent for path, agent in view.agents.items() if path != run)
    assert [each.phase for each in agent.tasks.values()] == [
        "failed",
        "cancelled",
        "cancelled",
        "completed",
    ]
    assert "Task broken failed" in agent.tasks[2].reason


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_conditional_task_exists_where_its_input_is_true(world: World, wanted: bool):
    agent = world.agent("a", task("always"), inputs={"thorough": {"type": "boolean"}})
    tasks = agent["tasks"]
    assert isinstance(tasks, dict)
    tasks["conditional"] = {"thorough": [task("more", after=["always"])]}
    given = {"thorough": str(wanted).lower()}
    assert (await world.run(world.define([agent], given=given))).met
    assert await started(world) == (["a#0", "a#1"] if wanted else ["a#0"])


async def test_two_hundred_agents_in_one_run(world: World):
    agents = [world.agent(f"a{n}", requires=[f"a{n - 10}"] if n >= 10 else ()) for n in range(200)]
    with anyio.fail_after(30):
        result = await world.run(world.define(agents, max_concurrent_agents=50))
    assert result.met
    assert len(result.agents) == 200


@pytest.mark.parametrize(
    ("check", "met", "why"),
    [
        ("results.work == 3", True, "check: results.work == 3"),
        ("results.work == 4", False, "check: results.work == 4"),
        ("results.work", False, "its check gave int instead of true or false"),
        ("results.elsewhere == 1", False, "elsewhere"),
        ("1 / 0 == 1", False, "zero"),
        ("", True, "all tasks completed"),
    ],
)
async def test_objectives_are_judged_by_their_checks(world: World, check: str, met: bool, why: str):
    async def three(_: TaskContext):
        return 3

    objective = {"description": "three"} | ({"check": check} if check else {})
    agent = world.agent("a", work="three", objectives=[objective])
    result = await world.run(world.define([agent], {"three": three}))
    (judged,) = result.agents[0].objectives
    assert (result.agents[0].state, judged.met, result.met) == ("completed", met, met)
    assert why in judged.why
    assert result.state == ("completed" if met else "failed")


async def test_objectives_of_a_failed_agent_say_why(world: World):
    objectives = [{"description": "plain"}, {"description": "x", "check": "results.work == 1"}]
    agent = world.agent("a", work="badly", objectives=objectives)
    result = await world.run(world.define([agent], {"badly": badly}))
    assert [each.met for each in result.agents[0].objectives] == [False, False]
    assert all("it broke" in each.why for each in result.agents[0].objectives)
