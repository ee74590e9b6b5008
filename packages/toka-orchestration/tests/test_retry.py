"""A run done anew from one of its steps: what follows the step is done, the rest is taken over."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio
import attrs
import pytest

from toka.kernel import Kernel, StepCopied
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.orchestration import (
    RunActive,
    SpecChanged,
    StepNotRecorded,
    UnknownRun,
    UnknownStep,
    define_retry,
    load_run,
    require_source_unchanged,
)
from toka.runtime import Rejected, explain, find_event, from_store, replay
from toka.types import AgentId, EventId, TerminateAgent

from .engine_world import Host, NotingStore, World, copy_log, path, reasons, states, task

if TYPE_CHECKING:
    from pathlib import Path

    from toka.agent_runtime import TaskContext
    from toka.orchestration import RunDefinition, RunResult

    from .engine_world import Work

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Bench:
    """Steps that count how often they are done, and break while they are told to."""

    world: World
    done: Counter[str] = attrs.field(factory=Counter[str])
    broken: set[str] = attrs.field(factory=set[str])

    async def step(self, ctx: TaskContext, what: str, **arguments):
        async def do(**_):
            self.done[what] += 1
            if what in self.broken:
                raise RuntimeError(f"{what} broke")
            return f"{what} {self.done[what]}"

        return await ctx.step(what, do, effect="external", arguments=arguments, in_doubt="retry")

    def steps(self, *names: str) -> Work:
        async def work(ctx: TaskContext):
            return [await self.step(ctx, name) for name in names]

        return work

    async def again(self, host: Host, first: RunResult, name: str) -> RunResult:
        """Retry a run from a step that is called so, and count from there."""
        self.done.clear()
        self.broken.clear()
        step = await event_of(host, first.run, name)
        return await host.run(await define_retry(host.runtime.store, first.run, step))


async def event_of(host: Host, run: AgentId, name: str) -> EventId:
    """Return the last event of a run that tells what was done under that name."""
    return (await events_of(host, run, name))[-1]


async def events_of(host: Host, run: AgentId, name: str) -> list[EventId]:
    found: list[EventId] = []
    async for stored in host.runtime.store.read():
        event = from_store(stored).event
        intent = getattr(event.body, "intent", None)
        named = getattr(event.body, "name", "") if isinstance(event.body, StepCopied) else ""
        if event.intent == run and (named or getattr(intent, "name", "")) == name:
            found.append(event.id)
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(World(tmp_path))


def a_line(bench: Bench) -> RunDefinition:
    """Return a run of one agent with two tasks of two steps each."""
    world = bench.world
    work = {"one": bench.steps("a", "b"), "two": bench.steps("c", "d")}
    first = task("first", entry=f"{world.module}:one")
    second = task("second", after=["first"], entry=f"{world.module}:two")
    return world.define([world.agent("line", first, second)], work)


async def test_what_came_before_is_taken_over_and_what_follows_is_done(bench):
    bench.broken.add("d")
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        assert states(first) == {"line": "failed"}
        second = await bench.again(host, first, "d")
        assert states(second) == {"line": "completed"}
        assert bench.done == Counter("d")
        view = await load_run(host.runtime.store, second.run)
        assert (view.steps, view.copied) == (4, 3)


@pytest.mark.parametrize(("name", "again"), [("a", "abcd"), ("b", "bcd"), ("c", "cd"), ("d", "d")])
async def test_a_step_may_be_anywhere_in_its_agent(bench, name, again):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        second = await bench.again(host, first, name)
        assert second.met
        assert bench.done == Counter(again)


async def test_the_earlier_run_is_as_it_was_and_the_log_is_whole(bench):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        before = [stored async for stored in host.runtime.store.read()]
        await bench.again(host, first, "c")
        after = [stored async for stored in host.runtime.store.read()]
        assert after[: len(before)] == before
        assert not {e.stream for e in after[len(before) :]} & {path(first.run, "line"), first.run}
        report = await replay(Kernel(), host.runtime.store, verify=True)
        assert report.digest == host.runtime.state.digest()


async def test_an_explanation_leads_to_who_made_an_outcome_first(bench):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        second = await bench.again(host, first, "d")
        third = await bench.again(host, second, "d")
        copied = await find_event(host.runtime.store, await event_of(host, third.run, "a"))
        assert copied is not None
        told = await explain(host.runtime.store, copied)
        streams = [each.event.stream for each in told.copied_from]
        assert streams == [path(second.run, "line"), path(first.run, "line")]
        origin = told.copied_from[-1].event
        assert told.tokens[origin.token].subject == origin.actor == path(first.run, "line")


def a_diamond(bench: Bench) -> RunDefinition:
    """Return a run in which the last agent waits for two that run side by side."""
    world = bench.world
    work = {name: bench.steps(f"{name}1", f"{name}2") for name in ("left", "right", "last")}
    return world.define(
        [
            world.agent("left", work="left"),
            world.agent("right", work="right"),
            world.agent("last", work="last", optional=["left"], requires=["right"]),
        ],
        work,
    )


async def test_agents_beside_keep_their_outcomes_and_those_that_wait_do_not(bench):
    async with bench.world.open() as host:
        first = await host.run(a_diamond(bench))
        second = await bench.again(host, first, "left2")
        assert second.met
        assert bench.done == Counter(["left2", "last1", "last2"])


async def test_what_failed_beside_is_tried_again_and_what_waits_for_it_follows(bench):
    bench.broken.add("left2")
    async with bench.world.open() as host:
        first = await host.run(a_diamond(bench))
        assert states(first) == {"left": "failed", "right": "completed", "last": "completed"}
        second = await bench.again(host, first, "right2")
        assert second.met
        assert bench.done == Counter(["right2", "left2", "last1", "last2"])


def with_branches(bench: Bench) -> RunDefinition:
    async def work(ctx: TaskContext):
        await bench.step(ctx, "before")
        branches = [ctx.branch(name) for name in "xyz"]
        async with anyio.create_task_group() as group:
            for branch in branches:
                group.start_soon(both, branch)
        return await bench.step(ctx, "after")

    async def both(branch: TaskContext):
        name = branch.path[-1]
        await bench.step(branch, f"{name}1")
        await bench.step(branch, f"{name}2")

    return bench.world.define([bench.world.agent("fan", work="work")], {"work": work})


async def test_branches_beside_keep_their_outcomes_and_the_trunk_after_them_does_not(bench):
    async with bench.world.open() as host:
        first = await host.run(with_branches(bench))
        second = await bench.again(host, first, "y2")
        assert second.met
        assert bench.done == Counter(["y2", "after"])


async def test_branches_that_begin_after_a_step_follow_it(bench):
    async with bench.world.open() as host:
        first = await host.run(with_branches(bench))
        await bench.again(host, first, "before")
        names = ["before", "after", *(f"{name}{n}" for name in "xyz" for n in (1, 2))]
        assert bench.done == Counter(names)


async def test_branches_that_failed_are_all_tried_again(bench):
    bench.broken |= {"x2", "z1"}
    async with bench.world.open() as host:
        first = await host.run(with_branches(bench))
        assert not first.met
        done_y = bench.done["y2"]
        second = await bench.again(host, first, "x2")
        assert second.met
        again = {"x2", "z1", "z2", "after"} | (set() if done_y else {"y2"})
        assert set(bench.done) - {"y1", "y2"} == again - {"y2"}
        assert set(bench.done.values()) == {1}


async def test_a_failure_that_was_dealt_with_is_kept(bench):
    async def work(ctx: TaskContext):
        try:
            await bench.step(ctx, "try")
        except Exception:  # noqa: BLE001 - a program may
            await bench.step(ctx, "make good")
        return await bench.step(ctx, "end")

    definition = bench.world.define([bench.world.agent("one", work="work")], {"work": work})
    bench.broken |= {"try", "end"}
    async with bench.world.open() as host:
        first = await host.run(definition)
        second = await bench.again(host, first, "end")
        assert second.met
        assert bench.done == Counter(["end"])


async def test_any_attempt_at_a_task_may_be_gone_on_with(bench):
    world = bench.world
    agent = world.agent("one", task("t", retry={"attempts": 2, "initial": "1ms"}), work="work")
    definition = world.define([agent], {"work": bench.steps("a", "b", "c")})
    bench.broken.add("b")
    async with world.open() as host:
        first = await host.run(definition)
        assert bench.done == Counter(a=2, b=2)
        for events, again in (("first", "bc"), ("last", "bc")):
            found = await events_of(host, first.run, "b")
            bench.done.clear()
            bench.broken.clear()
            step = found[0] if events == "first" else found[-1]
            second = await host.run(await define_retry(host.runtime.store, first.run, step))
            assert second.met
            assert bench.done == Counter(again)


async def test_arguments_that_name_the_run_are_those_of_the_new_run(bench):
    async def work(ctx: TaskContext):
        await bench.step(ctx, "report", agent=ctx.agent)
        return await bench.step(ctx, "end", task=ctx.task)

    definition = bench.world.define([bench.world.agent("one", work="work")], {"work": work})
    async with bench.world.open() as host:
        first = await host.run(definition)
        second = await bench.again(host, first, "end")
        third = await bench.again(host, second, "end")
        assert third.met
        assert bench.done == Counter(["end"])


async def test_the_artifacts_are_those_of_the_earlier_run(bench):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        second = await bench.again(host, first, "c")
        assert second.artifacts == first.artifacts
        assert second.run != first.run


async def test_a_model_is_paid_once(bench):
    world = bench.world
    world.model = lambda: ScriptedModel(lambda _: reply("Yes."))

    async def work(ctx: TaskContext):
        answer = await ctx.model("Is it so?")
        await bench.step(ctx, "end")
        return answer.message.text

    agent = world.agent(
        "one",
        work="work",
        security={"capabilities_required": ["model:call:**"]},
        budget={"calls": 1},
    )
    definition = world.define([agent], {"work": work})
    async with world.open() as host:
        first = await host.run(definition)
        assert first.met, reasons(first)
        second = await bench.again(host, first, "end")
        assert second.met, reasons(second)
        assert (first.spent.calls, second.spent.calls) == (1, 0)


def with_mail(bench: Bench) -> RunDefinition:
    """Return a run in which one agent writes to another twice, with a step before each."""
    world = bench.world

    async def write(ctx: TaskContext):
        reader = AgentId(ctx.agent.replace("writer", "reader"))
        for number in (1, 2):
            text = await bench.step(ctx, f"write{number}")
            await ctx.send(reader, text)

    async def read(ctx: TaskContext):
        texts = []
        for number in (1, 2):
            texts.append(await ctx.receive())
            await bench.step(ctx, f"read{number}", text=texts[-1])
        return texts

    security = {"capabilities_required": ["agent:message:**"]}
    return world.define(
        [
            world.agent("reader", work="read"),
            world.agent("writer", work="write", security=security),
        ],
        {"write": write, "read": read},
    )


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("write1", ["write1", "write2", "read1", "read2"]),
        ("write2", ["write2", "read2"]),
        ("read1", ["read1", "read2"]),
        ("read2", ["read2"]),
    ],
)
async def test_messages_are_sent_again_to_whoever_reads_them_again(bench, name, again):
    async with bench.world.open() as host:
        first = await host.run(with_mail(bench))
        assert first.met, reasons(first)
        with anyio.fail_after(10):
            second = await bench.again(host, first, name)
        assert second.met, reasons(second)
        assert bench.done == Counter(again)


async def test_a_retried_run_that_is_broken_off_goes_on_where_it_was(bench):
    bench.broken.add("last2")
    full = NotingStore()
    world = attrs.evolve(bench.world, store=full)
    async with world.open() as host:
        first = await host.run(a_diamond(bench))
        step = await event_of(host, first.run, "right2")
        run = await host.begin(await define_retry(host.runtime.store, first.run, step))
        begun = host.runtime.position
        bench.broken.clear()
        bench.done.clear()
        await host.orchestrator.execute(run)
    assert bench.done == Counter(["right2", "last1", "last2"])
    cuts = [end for end in full.ends if end >= begun]
    assert len(cuts) > 15
    for cut in cuts:
        half = attrs.evolve(world, store=await copy_log(full, cut))
        bench.done.clear()
        async with half.open() as host:
            result = await host.orchestrator.execute(run)
            view = await load_run(host.runtime.store, run)
        assert (result.met, view.copied) == (True, 3), (cut, reasons(result))
        assert set(bench.done) <= {"right2", "last1", "last2"}, cut


async def test_a_run_that_goes_on_is_not_retried(bench):
    async with bench.world.open() as host:
        run = await host.begin(a_line(bench))
        with pytest.raises(RunActive):
            await define_retry(host.runtime.store, run, EventId("01JD3X8ZK5Q6T7V8W9XAYBZCDE"))


async def test_a_cancelled_run_is_retried_from_a_step_that_had_no_outcome(bench):
    async def work(ctx: TaskContext):
        await bench.step(ctx, "a")
        await ctx.step("hang", hang, effect="external")

    async def hang():
        bench.done["hang"] += 1
        if bench.done["hang"] == 1:
            begun.set()
            await anyio.sleep_forever()

    begun = anyio.Event()
    definition = bench.world.define([bench.world.agent("one", work="work")], {"work": work})
    async with bench.world.open() as host:
        run = await host.begin(definition)
        async with anyio.create_task_group() as group:
            group.start_soon(host.orchestrator.execute, run)
            await begun.wait()
            await host.submit(TerminateAgent(run, "enough"))
        step = await event_of(host, run, "hang")
        second = await host.run(await define_retry(host.runtime.store, run, step))
        assert second.met
        assert bench.done == Counter(a=1, hang=2)


@pytest.mark.parametrize("event", ["01JD3X8ZK5Q6T7V8W9XAYBZCDE", "nonsense", ""])
async def test_what_is_no_step_of_the_run_is_refused(bench, event):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        with pytest.raises(UnknownStep):
            await define_retry(host.runtime.store, first.run, EventId(event))


async def test_a_step_of_another_run_is_refused(bench):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        other = await host.run(a_line(bench))
        step = await event_of(host, other.run, "a")
        with pytest.raises(UnknownStep):
            await define_retry(host.runtime.store, first.run, step)
        with pytest.raises(UnknownRun):
            await define_retry(host.runtime.store, AgentId("01JD3X8ZK5Q6T7V8W9XAYBZCDE"), step)


async def test_whoever_may_not_read_the_earlier_run_cannot_take_over_from_it(bench):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        definition = await define_retry(
            host.runtime.store, first.run, await event_of(host, first.run, "b")
        )
        token = host.world.token(f"agent:spawn:{definition.name}")
        with pytest.raises(Rejected) as caught:
            await host.orchestrator.begin(definition, token)
        assert caught.value.rejection.needed == f"event:read:{first.run}/**"


async def test_an_edited_specification_is_refused_and_a_missing_one_is_not(bench):
    definition = a_line(bench)
    require_source_unchanged(definition)
    changed = a_line(bench)
    file = bench.world.folder / "specs" / "agents.json"
    file.write_text(file.read_text().replace("do second", "do more"))
    with pytest.raises(SpecChanged, match=r"task 1 \(second\) differs in description") as caught:
        require_source_unchanged(changed)
    assert "run it anew" in caught.value.hint
    file.unlink()
    file.parent.joinpath(f"{bench.world.module}.py").unlink()
    require_source_unchanged(attrs.evolve(changed, source=str(file)))


async def test_a_compacted_log_has_nothing_to_take_over(bench, monkeypatch):
    async with bench.world.open() as host:
        first = await host.run(a_line(bench))
        step = await event_of(host, first.run, "b")
        definition = await define_retry(host.runtime.store, first.run, step)
        read = host.runtime.store.read_stream

        async def compacted(stream, **parts):
            async for event in read(stream, **parts):
                yield attrs.evolve(event, payload=b"")

        monkeypatch.setattr(host.runtime.store, "read_stream", compacted)
        from toka.orchestration._retry import kept_outcomes  # noqa: PLC0415

        with pytest.raises(StepNotRecorded):
            await kept_outcomes(host.runtime.store, definition, first.run)
