"""Going on with a run: from every point of its log, after every kind of interruption."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio
import attrs
import pytest

from toka.agent_runtime import AgentRuntime, EntryInvalid, StepDiffers, TaskOutcome
from toka.kernel import StepCompleted, TaskStarted
from toka.orchestration import (
    ArtifactsUnusable,
    Interrupted,
    OrchestrationError,
    RunBusy,
    SpecChanged,
    UnknownRun,
    load_run,
    require_unchanged,
)
from toka.runtime import LogFailed, Rejected, from_store
from toka.store.core import EVERYTHING, StoreFailed, StoreLocked, open_store
from toka.store.memory import MemoryStore
from toka.types import AgentId, Failure, SpawnAgent, TerminateAgent, task_id

from .engine_world import NotingStore, World, badly, copy_log, forever, path, reasons, states, task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toka.agent_runtime import TaskContext
    from toka.orchestration import RunDefinition, RunResult
    from toka.store.core import Absent, EventStore, Expected, NewEvent, Receipt

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Effects(Counter[str]):
    """Counts what was really done, by task, attempt and number."""

    async def count(self, ctx: TaskContext) -> int:
        total = 0
        for number in range(3):

            async def effect(number: int = number) -> int:
                self[f"{ctx.task.partition('/')[2]} {ctx.attempt} {number}"] += 1
                return number

            value = await ctx.step(f"effect-{number}", effect)
            assert isinstance(value, int)
            total += value
        return total

    async def fail(self, ctx: TaskContext) -> None:
        await self.count(ctx)
        raise RuntimeError("it broke")


def definition(world: World, effects: Effects) -> RunDefinition:
    counted = {"description": "counted", "check": "results.count == 3"}
    counting = [task("count"), task("again", after=["count"])]
    return world.define(
        [
            world.agent("a", *counting, work="count", objectives=[counted]),
            world.agent("b", work="fail", restart={"policy": "on_failure", "max_restarts": 1}),
            world.agent("c", requires=["b"]),
            world.agent("d", requires=["a"], optional=["b"]),
        ],
        {"count": effects.count, "fail": effects.fail},
        max_concurrent_agents=2,
    )


def comparable(result: RunResult) -> object:
    return (result.state, result.reason, states(result), reasons(result), result.agents)


async def recorded(store: EventStore) -> set[str]:
    """Return the effects whose outcome a log has."""
    found: set[str] = set()
    attempts: dict[str, int] = {}
    async for stored in store.read():
        body = from_store(stored).event.body
        if isinstance(body, TaskStarted):
            attempts[f"{stored.stream}#{body.task}"] = body.attempt
        if isinstance(body, StepCompleted) and body.intent is not None:
            task = f"{stored.stream}#{body.task}"
            number = body.intent.name.removeprefix("effect-")
            found.add(f"{task.partition('/')[2]} {attempts[task]} {number}")
    return found


async def test_a_run_goes_on_from_every_commit_of_its_log_to_the_same_end(world: World):
    effects = Effects()
    full = NotingStore()
    world = attrs.evolve(world, store=full)
    what = definition(world, effects)
    expected = await world.run(what)
    assert states(expected) == {
        "a": "completed",
        "b": "failed",
        "c": "failed",
        "d": "completed",
    }
    assert len(full.ends) > 30
    for events in full.ends:
        again = attrs.evolve(world, store=await copy_log(full, events))
        done_before = await recorded(again.store)
        effects.clear()
        async with again.open() as host:
            unfinished = host.orchestrator.unfinished()
            begun = await host.orchestrator.find(what.key)
            if begun is None:
                continue
            assert bool(unfinished) == (not begun.ended)
            result = await host.orchestrator.execute(begun.run)
        assert comparable(result) == comparable(expected), events
        assert not done_before & set(effects), events
        assert set(effects.values()) <= {1}, events


async def test_an_ended_run_is_not_run_again(world: World):
    effects = Effects()
    async with world.open() as host:
        run = await host.begin(definition(world, effects))
        first = await host.orchestrator.execute(run)
        effects.clear()
        position = host.runtime.position
        assert await host.orchestrator.execute(run) == first
        assert (effects, host.runtime.position) == (Counter(), position)


async def interrupted(world: World, what: RunDefinition, *, at: anyio.Event) -> AgentId:
    """Begin a run, and stop executing it when something has happened, as Ctrl-C does."""
    async with world.open() as host:
        run = await host.begin(what)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(host.orchestrator.execute, run)
                await at.wait()
                scope.cancel()
        assert scope.cancelled_caught
        kept = [
            known
            for name in host.runtime.state.agents()
            for known in host.runtime.state.tasks(name).values()
        ]
        assert kept
        assert all(known.phase == "queued" and known.lease is None for known in kept)
        # At once, on the same machine too:
        assert run in host.orchestrator.unfinished()
    return run


async def test_a_stopped_execution_gives_every_task_back_and_can_be_gone_on_with(world: World):
    reached, stop = anyio.Event(), anyio.Event()
    waiting = 0

    async def work(ctx: TaskContext):
        nonlocal waiting

        async def effect() -> int:
            return 1

        await ctx.step("first", effect)
        if not stop.is_set():
            waiting += 1
            if waiting == 3:
                reached.set()
            await anyio.sleep_forever()
        await ctx.step("second", effect)

    what = world.define([world.agent(f"a{n}", work="work") for n in range(3)], {"work": work})
    run = await interrupted(world, what, at=reached)
    stop.set()
    async with attrs.evolve(world, holder="somebody else").open() as host:
        result = await host.orchestrator.execute(run)
    assert result.met


async def test_an_execution_can_be_cancelled_and_repeated_on_one_host(world: World):
    began, stop = anyio.Event(), anyio.Event()

    async def work(_: TaskContext):
        began.set()
        await stop.wait()

    async with world.open() as host:
        run = await host.begin(world.define([world.agent("a", work="work")], {"work": work}))
        async with anyio.create_task_group() as group:
            group.start_soon(host.orchestrator.execute, run)
            await began.wait()
            group.cancel_scope.cancel()
        stop.set()
        assert (await host.orchestrator.execute(run)).met


async def test_a_second_execution_of_a_run_on_one_host_is_refused(world: World):
    began, stop = anyio.Event(), anyio.Event()

    async def work(_: TaskContext):
        began.set()
        await stop.wait()

    async with world.open() as host:
        run = await host.begin(world.define([world.agent("a", work="work")], {"work": work}))
        async with anyio.create_task_group() as group:
            group.start_soon(host.orchestrator.execute, run)
            await began.wait()
            with pytest.raises(RunBusy, match=run):
                await host.orchestrator.execute(run)
            stop.set()
        assert (await host.orchestrator.execute(run)).met


async def test_a_task_that_another_holder_runs_is_refused_with_its_name(world: World):
    async with world.open() as host:
        run = await host.begin(
            world.define([world.agent("a", work="forever")], {"forever": forever})
        )
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(host.orchestrator.execute, run)
                while host.runtime.state.task(task_id(path(run, "a"), 0)) is None:
                    await anyio.wait_all_tasks_blocked()
                await anyio.wait_all_tasks_blocked()
                host.agents.holder = "another"
                rival = type(host.orchestrator)(host.runtime, host.agents, host.desk)
                with pytest.raises(Rejected, match="here runs task") as refused:
                    await rival.execute(run)
                assert refused.value.code == "kernel.lease_held"
                scope.cancel()


async def test_a_second_process_on_one_log_is_refused_with_the_holder(tmp_path: Path):
    first = await open_store(f"sqlite:{tmp_path}/log.db")
    try:
        with pytest.raises(StoreLocked):
            await open_store(f"sqlite:{tmp_path}/log.db")
    finally:
        await first.aclose()


async def test_two_hosts_on_one_store_do_nothing_twice(tmp_path: Path):
    """A store without a lock: the log itself accepts one of two writers."""
    effects = Effects()
    store = MemoryStore()
    one, two = World(tmp_path, store, holder="one"), World(tmp_path, store, holder="two")
    two.key, two.module = one.key, one.module
    what = definition(one, effects)
    async with one.open() as host:
        run = await host.begin(what)
        async with two.open() as other:
            # The second opening has moved the log on, so the first host may not write any more.
            with pytest.raises(LogFailed):
                await host.orchestrator.execute(run)
            await other.orchestrator.execute(run)
    assert set(effects.values()) == {1}


async def test_the_newest_run_of_a_key_is_found(world: World):
    what = definition(world, Effects())
    other = attrs.evolve(what, key="another")
    async with world.open() as host:
        assert await host.orchestrator.find(what.key) is None
        await host.begin(what)
        newest = await host.begin(what)
        await host.begin(other)
        await host.submit(SpawnAgent(None, "a-root-of-somebody-else", ()))
        found = await host.orchestrator.find(what.key)
        assert found is not None
        assert found.run == newest
        with pytest.raises(OrchestrationError, match="cannot be read"):
            await host.orchestrator.execute(host.orchestrator.unfinished()[-1])


class Counting(MemoryStore):
    """Counts the events that it gives away."""

    given = 0

    async def read_page(self, after, limit, *, where=EVERYTHING, backward=False):
        page = await super().read_page(after, limit, where=where, backward=backward)
        self.given += len(page)
        return page


async def test_looking_for_a_key_reads_none_of_the_other_runs(tmp_path):
    store = Counting()
    world = World(tmp_path, store)
    what = definition(world, Effects())
    async with world.open() as host:
        for number in range(30):
            await host.begin(attrs.evolve(what, key=f"another {number}"))
        before = store.given
        assert await host.orchestrator.find("unknown") is None
        assert store.given == before
        assert await host.orchestrator.find("another 7") is not None
        assert store.given == before + 1


async def test_the_same_request_begins_one_run(world: World):
    what = definition(world, Effects())
    async with world.open() as host:
        token = world.token("agent:spawn:**")
        runs = [await host.orchestrator.begin(what, token, idempotency_key="one") for _ in range(3)]
        assert len(set(runs)) == 1


async def test_an_unknown_run_is_said_to_be_unknown(world: World):
    async with world.open() as host:
        with pytest.raises(UnknownRun, match="There is no run"):
            await host.orchestrator.execute(AgentId("01M7YMWK0MCHNZB886T2YRTXR1"))
        with pytest.raises(UnknownRun):
            await load_run(host.runtime.store, AgentId("01M7YMWK0MCHNZB886T2YRTXR1"))


async def test_a_run_of_no_tasks_completes(world: World):
    agent = {"name": "idle", "inputs": {"on": {"type": "boolean", "default": False}}}
    agent["tasks"] = {"conditional": {"on": [task("never")]}}
    result = await world.run(world.define([agent]))
    assert (result.state, states(result)) == ("completed", {"idle": "completed"})


async def test_a_changed_specification_is_refused_with_what_differs_first(world: World):
    def steps(*tools: str) -> RunDefinition:
        tasks = [task("one"), task("two", steps=[{"tool": each, "with": {}} for each in tools])]
        return world.define([world.agent("a", *tasks)])

    recorded = steps("list_files", "read_file", "list_files")
    require_unchanged(recorded, steps("list_files", "read_file", "list_files"))
    with pytest.raises(SpecChanged, match=r"step 1 of task 1 \(two\) was .*read_file.* and is"):
        require_unchanged(recorded, steps("list_files", "write_file", "read_file"))
    with pytest.raises(SpecChanged, match=r"step 2 of task 1 \(two\) is gone"):
        require_unchanged(recorded, steps("list_files", "read_file"))
    with pytest.raises(SpecChanged, match=r"agent b .*it is new"):
        require_unchanged(recorded, world.define([*_agents(world), world.agent("b")]))


def _agents(world: World) -> list[dict]:
    steps = [{"tool": each, "with": {}} for each in ("list_files", "read_file", "list_files")]
    return [world.agent("a", task("one"), task("two", steps=steps))]


async def test_changed_code_under_a_half_done_task_stops_the_execution_and_gives_it_back(
    world: World,
):
    reached = anyio.Event()

    async def nothing() -> None:
        return None

    async def before(ctx: TaskContext):
        await ctx.step("first", nothing)
        reached.set()
        await anyio.sleep_forever()

    async def after(ctx: TaskContext):
        await ctx.step("other", nothing)

    agents = [world.agent("a", work="work"), world.agent("b", work="forever")]
    what = world.define(agents, {"work": before, "forever": forever})
    run = await interrupted(world, what, at=reached)
    world.define(agents, {"work": after, "forever": forever})
    async with world.open() as host:
        with pytest.raises(StepDiffers, match="first"):
            await host.orchestrator.execute(run)
        for name in "ab":
            known = host.runtime.state.task(task_id(path(run, name), 0))
            assert known is not None
            assert known.phase == "queued"


async def test_code_that_cannot_be_loaded_fails_its_agent_and_the_rest_goes_on(world: World):
    agents = [
        world.agent("a", task("work", retry={"attempts": 5, "initial": "1h"}), work="missing"),
        world.agent("b"),
        world.agent("c", requires=["a"]),
    ]
    with anyio.fail_after(10):
        result = await world.run(world.define(agents))
    assert states(result) == {"a": "failed", "b": "completed", "c": "failed"}
    assert "missing" in reasons(result)["a"]


async def test_code_of_a_half_done_task_that_cannot_be_loaded_stops_the_execution(world: World):
    reached, mended = anyio.Event(), anyio.Event()

    async def nothing() -> None:
        return None

    async def work(ctx: TaskContext):
        await ctx.step("first", nothing)
        reached.set()
        await mended.wait()

    agents = [world.agent("a", work="work")]
    run = await interrupted(world, world.define(agents, {"work": work}), at=reached)
    world.define(agents)
    async with world.open() as host:
        with pytest.raises(EntryInvalid, match="work"):
            await host.orchestrator.execute(run)
        world.define(agents, {"work": work})
        mended.set()
        assert (await host.orchestrator.execute(run)).met


@pytest.mark.parametrize("what", ["run", "agent"])
async def test_what_is_ended_from_outside_stops_at_once(world: World, what: str):
    began = anyio.Event()
    stopped: list[str] = []

    async def work(ctx: TaskContext):
        if len(stopped) == 0 and ctx.agent.endswith("/b"):
            began.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(ctx.agent.rpartition("/")[2])

    async def brief(_: TaskContext):
        await began.wait()

    agents = [
        world.agent("a", work="work" if what == "run" else "brief"),
        world.agent("b", work="work"),
        world.agent("c", requires=["b"]),
    ]
    results: list[RunResult] = []
    async with world.open() as host:
        run = await host.begin(world.define(agents, {"work": work, "brief": brief}))

        async def execute() -> None:
            results.append(await host.orchestrator.execute(run))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(execute)
                await began.wait()
                if what == "run":
                    token = world.token("agent:control:**")
                    await host.orchestrator.cancel(run, "enough", token)
                else:
                    await host.submit(TerminateAgent(path(run, "b"), "enough"))
    (result,) = results
    if what == "run":
        assert (result.state, result.reason) == ("cancelled", "enough")
        assert set(states(result).values()) == {"terminated"}
        assert sorted(stopped) == ["a", "b"]
    else:
        assert states(result) == {"a": "completed", "b": "terminated", "c": "failed"}
        assert reasons(result)["c"] == "c requires b, which failed."
    assert not host.orchestrator.unfinished()


async def test_a_run_that_was_cancelled_while_nobody_executed_it_is_cancelled(world: World):
    async with world.open() as host:
        run = await host.begin(world.define([world.agent("a")]))
        await host.orchestrator.cancel(run, "never mind", world.token("agent:control:**"))
        result = await host.orchestrator.execute(run)
    assert (result.state, states(result)) == ("cancelled", {"a": "configured"})
    with pytest.raises(Rejected):
        async with world.open() as host:
            await host.orchestrator.cancel(run, "again", world.token("agent:control:**"))


class FullDisk(MemoryStore):
    """A store that cannot be written from some append on."""

    def __init__(self, appends: int) -> None:
        super().__init__()
        self.left = appends

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        self.left -= 1
        if self.left < 0:
            raise StoreFailed("The disk is full.")
        return await super().append(events, streams=streams or {}, head=head, absent=absent)


@pytest.mark.parametrize("appends", range(2, 30, 3))
async def test_a_log_that_fails_stops_everything_with_that_one_error(world: World, appends: int):
    effects = Effects()
    full = FullDisk(appends)
    broken = attrs.evolve(world, store=full)
    what = definition(broken, effects)
    with pytest.raises(LogFailed, match="disk is full"):
        await broken.run(what)
    # Nothing that was acknowledged is lost:
    again = attrs.evolve(world, store=await copy_log(full))
    async with again.open() as host:
        for run in host.orchestrator.unfinished():
            assert (await host.orchestrator.execute(run)).state == "failed"


async def test_a_task_that_is_given_back_again_and_again_stops_the_execution(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    calls = 0

    async def run_task(*_: object, **__: object) -> TaskOutcome:
        nonlocal calls
        calls += 1
        return TaskOutcome("released", failure=Failure("agent.task_released", "It got lost."))

    async with world.open() as host:
        run = await host.begin(world.define([world.agent("a")]))
        monkeypatch.setattr(AgentRuntime, "run_task", run_task)
        with pytest.raises(Interrupted, match="It got lost"):
            await host.orchestrator.execute(run)
        assert calls == 2
        monkeypatch.undo()
        assert (await host.orchestrator.execute(run)).met


async def test_artifacts_that_cannot_be_made_are_said_plainly(world: World):
    what = world.define([world.agent("a", work="badly")], {"badly": badly})
    (world.folder / "file").write_text("")
    what = attrs.evolve(what, artifacts=str(world.folder / "file" / "artifacts"))
    with pytest.raises(ArtifactsUnusable, match="cannot be made"):
        await world.run(what)
