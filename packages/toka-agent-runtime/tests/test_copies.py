"""Steps whose outcomes come from an earlier run: taken over once, and never done again."""

from __future__ import annotations

from collections import Counter

import anyio
import attrs
import pytest

from toka.agent_runtime import (
    Code,
    OutcomeMissing,
    RetryPolicy,
    StepDiffers,
    StepFailed,
    TaskContext,
    TaskOptions,
)
from toka.kernel import ApprovalRequested, StepCompleted, StepCopied, StepStarted
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.runtime import Rejected, find_outcome
from toka.tools import ToolError, tool
from toka.types import (
    AgentId,
    Amounts,
    EventId,
    Message,
    ResolveApproval,
    ScheduleTask,
    SpawnAgent,
    TaskSpec,
    TerminateAgent,
    agent_of,
    root_agent,
    root_of,
    task_id,
)

from .helpers import BOSS, Host, World, run_until_cut

pytestmark = pytest.mark.anyio

BIG = "x" * 100_000


@attrs.define(eq=False)
class Effects:
    """Tools that count, one of which reads from outside."""

    done: Counter[str] = attrs.field(factory=Counter[str])
    broken: bool = True

    def tools(self):
        @tool(
            side_effect="external",
            name="pay",
            description="",
            taints=False,
            honours_idempotency_key=True,
        )
        async def pay(what: str) -> str:
            self.done[what] += 1
            return f"paid {what}"

        @tool(side_effect="read_only", name="fetch", description="", taints=True)
        async def fetch(what: str) -> str:
            self.done[what] += 1
            return BIG

        @tool(side_effect="idempotent", name="fragile", description="", taints=False)
        async def fragile(what: str) -> str:
            self.done[what] += 1
            if self.broken:
                raise ToolError("It broke.")
            return what

        return pay, fetch, fragile


async def program(ctx: TaskContext):
    page = await ctx.tool("fetch", what="page")
    answer = await ctx.model("Say something.")
    await ctx.tool("pay", what=f"bill of {ctx.agent}")
    number = await ctx.random()
    branch = ctx.branch("side")
    await branch.tool("pay", what="side")
    assert await ctx.approve("May I?")
    broken = await ctx.tool("fragile", what="last")
    return [len(str(page)), answer.message.text, number, broken]


def model_of(effects):
    def answer(_):
        effects.done["model"] += 1
        return reply("Something.")

    return lambda: ScriptedModel(answer)


def world_of(effects: Effects) -> World:
    return World(tools=effects.tools(), model=model_of(effects))


async def approve(host: Host) -> None:
    person = host.world.token("approval:resolve:**", subject="person")
    async for logged in host.runtime.subscribe():
        if isinstance(logged.event.body, ApprovalRequested):
            asked = logged.event.body.approval
            await host.runtime.submit(Message(person, ResolveApproval(asked, "approve")))


async def run_approved(host: Host):
    await host.task()
    async with anyio.create_task_group() as group:
        group.start_soon(approve, host)
        try:
            with anyio.fail_after(10):
                return await host.run(Code(program))
        finally:
            group.cancel_scope.cancel()
    raise AssertionError


async def first_run(host: Host):
    outcome = await run_approved(host)
    assert outcome.status == "failed"
    root = agent_of(await host.task())
    await host.runtime.submit(Message(host.boss, TerminateAgent(root, "It failed.")))
    return root


async def outcomes_of(host: Host, root):
    """Return what was recorded before a step, by place."""
    found = {}
    async for event in host.runtime.read_stream(root):
        body = event.body
        if isinstance(body, (StepCompleted, StepCopied)):
            found[body.path, body.ordinal] = event.id
    assert found
    return found


async def second_task(host: Host, root, key: str = "again"):
    """Return the task of a run that may copy from the first one's."""
    boss = host.world.token(*BOSS, f"event:read:{root}/**")
    spawn = SpawnAgent(None, "worker", BOSS, copies_from=root)
    receipt = await host.runtime.submit(Message(boss, spawn, key))
    agent = root_agent(root_of(AgentId(receipt.events[-1].stream)))
    schedule = Message(host.boss, ScheduleTask(agent, TaskSpec("again")), f"{key}-task")
    await host.runtime.submit(schedule)
    return task_id(agent, 0)


async def retry(host: Host, root, copies, what=program, *, key="again", options=None):
    task = await second_task(host, root, key)
    return await host.agents.run_task(
        task,
        Code(what),
        host.agent_token(task),
        copies=copies,
        options=options or TaskOptions(),
        on_event=host.events.append,
    )


async def test_what_was_done_is_taken_over_and_the_rest_is_done():
    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        before, effects.broken = Counter(effects.done), False
        host.events.clear()
        outcome = await retry(host, root, await outcomes_of(host, root))
        assert outcome.status == "completed"
        assert effects.done - before == Counter(last=1)
        kinds = Counter(kind for kind in host.kinds() if kind.startswith("step."))
        assert kinds == {"step.copied.v1": 6, "step.completed.v1": 1}
        assert not any(isinstance(event.body, ApprovalRequested) for event in host.events)


async def test_what_was_paid_for_once_is_charged_once():
    effects = Effects(broken=False)
    async with world_of(effects).open() as host:
        await run_approved(host)
        root = agent_of(await host.task())
        first = host.runtime.state.agent(root)
        assert first is not None
        assert first.account.spent.calls == 1
        await host.runtime.submit(Message(host.boss, TerminateAgent(root, "")))
        await retry(host, root, await outcomes_of(host, root))
        (second,) = host.runtime.state.agents().values()
        assert second.account.spent == second.account.reserved == Amounts()
        assert second.tainted


async def test_a_copied_outcome_says_where_it_came_from():
    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        copies = await outcomes_of(host, root)
        host.events.clear()
        await retry(host, root, copies)
        found: list[StepCopied] = []
        for event in host.events:
            if isinstance(event.body, StepCopied):
                found.append(event.body)
                assert copies[event.body.path, event.body.ordinal] in event.parents
                outcome = await find_outcome(host.runtime.store, event.id)
                assert outcome is not None
                assert outcome.chain[-1].event.stream == root
        assert (found[0].name, found[0].taint) == ("fetch", ("tool:fetch",))
        assert [body.taint for body in found[1:]] == [()] * 5


async def test_the_power_may_go_at_any_append_of_a_retried_run():
    cut, was_cut = 1, True
    while was_cut:
        effects = Effects()
        world = world_of(effects)
        async with world.open() as host:
            root = await first_run(host)
            copies = await outcomes_of(host, root)
        store = await world.store.copy(1 + cut // 2, moment="before" if cut % 2 else "after")
        world = attrs.evolve(world, store=store)
        before, effects.broken = Counter(effects.done), False
        outcome = await run_until_cut(world, lambda host: retry(host, root, copies))  # noqa: B023
        was_cut = outcome is None
        if outcome is None:
            world = await world.after_power_cut()
            async with world.open() as host:
                outcome = await retry(host, root, copies)
        assert outcome.status == "completed"
        again = effects.done - before
        assert set(again) == {"last"}
        assert again["last"] <= 2
        assert (await world.store.verify()).ok
        cut += 1
    assert cut > 16


async def test_a_changed_program_is_found_out_before_anything_of_it_is_recorded():
    async def changed(ctx: TaskContext):
        return await ctx.tool("fetch", what="another page")

    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        copies, before = await outcomes_of(host, root), Counter(effects.done)
        host.events.clear()
        with pytest.raises(StepDiffers, match="differ in: arguments") as caught:
            await retry(host, root, copies, changed)
        assert "one before it" in caught.value.hint
        assert effects.done == before
        assert not any(kind.startswith("step.") for kind in host.kinds())


async def test_a_changed_program_is_found_out_after_a_crash_as_well():
    async def changed(ctx: TaskContext):
        await ctx.tool("fetch", what="page")
        await ctx.model("Say something else.")

    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        copies = await outcomes_of(host, root)
        for _ in range(2):
            with pytest.raises(StepDiffers):
                await retry(host, root, copies, changed)


async def test_a_step_between_copied_ones_may_be_done_again():
    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        copies = await outcomes_of(host, root)
        del copies["root", 1]
        before, effects.broken = Counter(effects.done), False
        outcome = await retry(host, root, copies)
        assert outcome.status == "completed"
        assert effects.done - before == Counter(model=1, last=1)


async def test_every_attempt_takes_over_the_same():
    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        before = Counter(effects.done)
        options = TaskOptions(retry=RetryPolicy(attempts=3, initial=1))
        outcome = await retry(host, root, await outcomes_of(host, root), options=options)
        assert outcome.status == "failed"
        assert effects.done - before == Counter(last=3)


async def test_a_copied_failure_is_raised_as_it_was():
    async def careful(ctx: TaskContext):
        with pytest.raises(StepFailed, match="It broke"):
            await ctx.tool("fragile", what="x")
        return await ctx.tool("pay", what="after")

    effects = Effects()
    async with world_of(effects).open() as host:
        await host.run(Code(careful))
        root = agent_of(await host.task())
        failed = [event for event in host.events if event.kind == "step.failed.v1"]
        await host.runtime.submit(Message(host.boss, TerminateAgent(root, "")))
        effects.broken = False
        before = Counter(effects.done)
        await retry(host, root, {("root", 0): failed[0].id}, careful)
        assert effects.done - before == Counter(after=1)


async def test_what_the_log_has_not_is_no_outcome():
    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        started = [e.id for e in host.events if isinstance(e.body, StepStarted)]
        for number, missing in enumerate((EventId("01JD3X8ZK5Q6T7V8W9XAYBZCDE"), started[0])):
            with pytest.raises(OutcomeMissing):
                await retry(host, root, {("root", 0): missing}, key=str(number))


async def test_a_run_that_was_not_spawned_to_copy_copies_nothing():
    effects = Effects()
    async with world_of(effects).open() as host:
        root = await first_run(host)
        copies = await outcomes_of(host, root)
        task = await second_task(host, None)
        token = host.agent_token(task)
        with pytest.raises(Rejected) as caught:
            await host.agents.run_task(task, Code(program), token, copies=copies)
        assert caught.value.code == "kernel.nothing_to_copy"
