"""Limits of time, restarts, suspension and tokens, by a clock that the tests turn."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest

from toka.kernel import AgentRestarted, TaskStarted
from toka.runtime import Rejected, from_store
from toka.store.memory import MemoryStore
from toka.types import NANOSECONDS, ResumeAgent, SuspendAgent, task_id

from .engine_world import (
    Host,
    VirtualClock,
    World,
    badly,
    copy_log,
    path,
    reasons,
    states,
    task,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from toka.agent_runtime import TaskContext
    from toka.orchestration import RunDefinition, RunResult
    from toka.store.core import Absent, Expected, NewEvent, Receipt
    from toka.types import AgentId

pytestmark = pytest.mark.anyio

LONG = 600


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock) -> World:
    return World(tmp_path, clock=clock)


async def slow(ctx: TaskContext):
    await ctx.sleep(LONG)


def limited(timeout: str) -> dict:
    return {"security": {"resource_limits": {"timeout": timeout}}}


@attrs.define(eq=False)
class Executing:
    """A run that is being executed on a machine that is on."""

    host: Host
    run: AgentId
    results: list[RunResult] = attrs.field(factory=list)

    @property
    def result(self) -> RunResult:
        """How it ended."""
        (result,) = self.results
        return result

    async def execute(self) -> None:
        self.results.append(await self.host.orchestrator.execute(self.run))


@asynccontextmanager
async def executing(world: World, what: RunDefinition | AgentId) -> AsyncIterator[Executing]:
    """Execute a run until it has ended or the test leaves; then the machine is switched off."""
    async with world.open() as host:
        run = what if isinstance(what, str) else await host.begin(what)
        it = Executing(host, run)
        async with anyio.create_task_group() as group:
            group.start_soon(it.execute)
            await anyio.wait_all_tasks_blocked()
            yield it
            group.cancel_scope.cancel()


async def test_an_agent_fails_when_its_time_is_up_and_the_others_go_on(
    world: World, clock: VirtualClock
):
    agents = [
        world.agent("slow", work="slow", **limited("10s")),
        world.agent("after", requires=["slow"]),
        world.agent("other", work="slow"),
    ]
    async with executing(world, world.define(agents, {"slow": slow})) as it:
        await clock.turn(9)
        assert it.host.runtime.state.task(task_id(path(it.run, "slow"), 0)) is not None
        await clock.turn(2)
        state = it.host.runtime.state.agent(path(it.run, "after"))
        assert state is not None
        assert state.phase == "failed"
        assert not it.results
        await clock.turn(LONG)
    assert states(it.result) == {"slow": "failed", "after": "failed", "other": "completed"}
    assert reasons(it.result)["slow"] == "It did not end within 10 s."


async def test_a_run_fails_when_its_time_is_up(world: World, clock: VirtualClock):
    agents = [world.agent("a", work="slow"), world.agent("b", requires=["a"]), world.agent("c")]
    what = world.define(agents, {"slow": slow}, workstream_timeout="20s")
    async with executing(world, what) as it:
        await clock.turn(19)
        assert not it.results
        await clock.turn(2)
    assert (it.result.state, it.result.reason) == ("failed", "The run did not end within 20 s.")
    assert states(it.result) == {"a": "terminated", "b": "terminated", "c": "completed"}
    assert not it.host.runtime.state.families


@pytest.mark.parametrize("whose", ["run", "agent"])
async def test_what_is_resumed_does_not_get_its_time_again(
    world: World, clock: VirtualClock, whose: str
):
    blocks = limited("20s") if whose == "agent" else {}
    settings: dict[str, Any] = {"workstream_timeout": "20s"} if whose == "run" else {}
    agents = [world.agent("a", work="slow", **blocks)]
    what = world.define(agents, {"slow": slow}, **settings)
    async with executing(world, what) as first:
        await clock.turn(15)
    await clock.turn(3)
    async with executing(world, first.run) as second:
        await clock.turn(1)
        assert not second.results
    await clock.turn(100)
    async with executing(world, first.run) as third:
        pass
    assert third.result.state == "failed"
    assert "did not end within 20 s" in f"{third.result.reason} {reasons(third.result)}"


class SlowStore(MemoryStore):
    """A store that stalls once, when a certain agent is spawned; what comes later waits too."""

    def __init__(self, clock: VirtualClock, name: str) -> None:
        super().__init__()
        self._clock = clock
        self._name = name
        self._lock = anyio.Lock()

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        # As with a real disk, what was handed over is written whatever becomes of the caller.
        with anyio.CancelScope(shield=True):
            await self._lock.acquire()
        try:
            if any(event.stream.endswith(f"/{self._name}") for event in events):
                self._name = "nobody"
                with anyio.CancelScope(shield=True):
                    await self._clock.sleep(31 * NANOSECONDS)
            return await super().append(events, streams=streams or {}, head=head, absent=absent)
        finally:
            self._lock.release()


async def test_agents_whose_spawning_takes_too_long_have_failed(world: World, clock: VirtualClock):
    stalling = attrs.evolve(world, store=SlowStore(clock, "second"))
    agents = [
        stalling.agent("first", restart="on_failure"),
        stalling.agent("second", restart="always"),
        stalling.agent("third", requires=["second"]),
    ]
    async with executing(stalling, stalling.define(agents)) as it:
        await clock.turn(40)
    assert it.result.state == "failed"
    assert states(it.result)["second"] == "failed"
    assert reasons(it.result)["second"] == "It was not spawned within 30 s."
    assert "second (It was not spawned within 30 s.)" in it.result.reason


class Failing:
    """Fails some times, then does its work."""

    def __init__(self, times: int, seconds: float = 0) -> None:
        self.left = times
        self.seconds = seconds
        self.done = 0

    async def work(self, ctx: TaskContext):
        if self.seconds:
            await ctx.sleep(self.seconds)
        self.done += 1
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError("it broke")


@pytest.mark.parametrize(
    ("policy", "fails", "state", "done"),
    [
        ("never", 1, "failed", 1),
        ("on_failure", 0, "completed", 1),
        ("on_failure", 2, "completed", 3),
        ("on_failure", 3, "completed", 4),
        ("on_failure", 4, "failed", 4),
        ("always", 0, "completed", 4),
        ("always", 2, "completed", 4),
        ("always", 9, "failed", 4),
    ],
)
async def test_restarts_as_the_policy_says_within_the_intensity_limit(
    world: World, policy: str, fails: int, state: str, done: int
):
    failing = Failing(fails)
    agents = [
        world.agent("a", work="work", restart={"policy": policy, "max_restarts": 3}),
        world.agent("b", requires=["a"]),
    ]
    result = await world.run(world.define(agents, {"work": failing.work}))
    assert (states(result)["a"], states(result)["b"], failing.done) == (state, state, done)


async def test_restarts_far_enough_apart_go_on_for_ever(world: World, clock: VirtualClock):
    failing = Failing(10, seconds=31)
    restart = {"policy": "on_failure", "max_restarts": 2, "within": "60s"}
    agents = [world.agent("a", work="work", restart=restart)]
    async with executing(world, world.define(agents, {"work": failing.work})) as it:
        await clock.turn(31 * 11)
    assert (it.result.met, failing.done) == (True, 11)


async def test_restarts_before_a_crash_count(world: World):
    failing = Failing(100)
    restart = {"policy": "on_failure", "max_restarts": 3}
    what = world.define([world.agent("a", work="work", restart=restart)], {"work": failing.work})
    await world.run(what)
    restarts = [
        stored.position
        async for stored in world.store.read()
        if isinstance(from_store(stored).event.body, AgentRestarted)
    ]
    assert len(restarts) == 3
    for made, position in enumerate(restarts):
        # The events of a restart are one commit: the agent's, and one for its task.
        again = attrs.evolve(world, store=await copy_log(world.store, position + 1))
        failing.done = 0
        async with again.open() as host:
            (run,) = host.orchestrator.unfinished()
            await host.orchestrator.execute(run)
        assert failing.done == 3 - made


async def test_what_waited_for_a_failed_task_is_done_after_the_restart(world: World):
    failing = Failing(1)
    done: list[str] = []

    async def note(ctx: TaskContext):
        done.append(ctx.task.rpartition("#")[2])

    entry = f"{world.module}:work"
    tasks = [task("first"), task("second", entry=entry), task("third", after=["second"])]
    agents = [world.agent("a", *tasks, work="note", restart="on_failure")]
    result = await world.run(world.define(agents, {"work": failing.work, "note": note}))
    assert result.met
    assert (failing.done, done) == (2, ["0", "2"])


async def test_an_agent_that_always_begins_again_does_all_its_tasks_anew(world: World):
    done: list[int] = []

    async def note(_: TaskContext):
        done.append(len(done))
        return len(done)

    tasks = [task("one"), task("two", after=["one"])]
    restart = {"policy": "always", "max_restarts": 2}
    agents = [
        world.agent(
            "a",
            *tasks,
            work="note",
            restart=restart,
            objectives=[{"description": "the last", "check": "results.two == 6"}],
        )
    ]
    result = await world.run(world.define(agents, {"note": note}))
    assert result.met
    assert len(done) == 6


async def test_each_life_has_its_own_time(world: World, clock: VirtualClock):
    failing = Failing(2, seconds=8)
    agents = [world.agent("a", work="work", restart="on_failure", **limited("10s"))]
    async with executing(world, world.define(agents, {"work": failing.work})) as it:
        await clock.turn(30)
    assert (it.result.met, failing.done) == (True, 3)


async def test_what_was_given_up_or_terminated_is_not_restarted(world: World):
    agents = [
        world.agent("a", work="badly"),
        world.agent("b", requires=["a"], restart="always"),
    ]
    result = await world.run(world.define(agents, {"badly": badly}))
    assert states(result) == {"a": "failed", "b": "failed"}
    assert not [body for body in await world.bodies() if isinstance(body, AgentRestarted)]


@pytest.mark.parametrize("when", ["before it starts", "between its steps", "before it ends"])
@pytest.mark.parametrize("what", ["agent", "run"])
async def test_what_is_suspended_waits_and_goes_on_when_it_is_resumed(
    world: World, when: str, what: str
):
    reached, go_on = anyio.Event(), anyio.Event()
    steps: list[int] = []

    async def gate(_: TaskContext):
        if when == "before it starts":
            reached.set()
            await go_on.wait()

    async def work(ctx: TaskContext):
        for number in range(3):

            async def effect(number: int = number) -> None:
                steps.append(number)
                if (number, when) in {(1, "between its steps"), (2, "before it ends")}:
                    reached.set()
                    await go_on.wait()

            await ctx.step(f"effect-{number}", effect)

    agents = [world.agent("gate", work="gate"), world.agent("a", requires=["gate"], work="work")]
    definition = world.define(agents, {"gate": gate, "work": work})
    async with executing(world, definition) as it:
        await reached.wait()
        target = path(it.run, "a") if what == "agent" else it.run
        await it.host.submit(SuspendAgent(target, "a closer look"))
        go_on.set()
        await anyio.wait_all_tasks_blocked()
        assert not it.results
        if when == "before it starts":
            assert steps == []
        await it.host.submit(ResumeAgent(target, "seen"))
        with anyio.fail_after(5):
            while not it.results:
                await anyio.wait_all_tasks_blocked()
    assert it.result.met
    assert set(steps) == {0, 1, 2}


async def test_a_suspended_agent_is_failed_in_time_and_waited_for_after_a_crash(
    world: World, clock: VirtualClock
):
    agents = [world.agent("a", work="slow", **limited("10m")), world.agent("b")]
    what = world.define(agents, {"slow": slow})
    async with executing(world, what) as it:
        await it.host.submit(SuspendAgent(path(it.run, "a"), "wait"))
    async with executing(world, it.run) as again:
        await clock.turn(LONG - 2)
        assert not again.results
        await clock.turn(2)
    assert states(again.result) == {"a": "failed", "b": "completed"}


async def test_tokens_are_renewed_for_as_long_as_a_run_lasts(world: World, clock: VirtualClock):
    brief = attrs.evolve(world, lifetime_seconds=60)

    async def long(ctx: TaskContext):
        for _ in range(6):
            await ctx.sleep(25)

    agents = [brief.agent("a", work="long"), brief.agent("b", requires=["a"])]
    async with executing(brief, brief.define(agents, {"long": long})) as it:
        await clock.turn(151)
    assert it.result.met


async def test_a_crash_does_not_shorten_the_wait_before_another_attempt(
    world: World, clock: VirtualClock
):
    failing = Failing(1)
    retry = {"attempts": 2, "initial": "60s", "longest": "60s"}
    agents = [world.agent("a", task("work", retry=retry), work="work")]
    what = world.define(agents, {"work": failing.work})
    async with world.open() as host:
        host.agents.random = lambda: 1.0
        run = await host.begin(what)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(host.orchestrator.execute, run)
                await clock.turn(10)
                scope.cancel()
    began = clock.now()
    async with executing(world, run) as it:
        await clock.turn(61)
    assert it.result.met
    times = [
        stored.time
        async for stored in world.store.read()
        if isinstance(from_store(stored).event.body, TaskStarted)
    ]
    assert len(times) == 2
    assert times[1] - times[0] >= 59 * NANOSECONDS
    assert times[1] > began


async def test_a_restart_that_the_budget_does_not_allow_leaves_the_agent_failed(world: World):
    failing = Failing(9)

    async def spend(ctx: TaskContext):
        await ctx.tool("list_files", path=".")
        await failing.work(ctx)

    agents = [world.agent("a", work="spend", restart="on_failure", budget={"calls": 1})]
    try:
        result = await world.run(world.define(agents, {"spend": spend}))
    except Rejected as rejected:  # pragma: no cover - a failure says more than an error
        pytest.fail(str(rejected))
    assert states(result) == {"a": "failed"}
