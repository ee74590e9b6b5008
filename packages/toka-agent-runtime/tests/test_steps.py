"""Durable steps as a program of code sees them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import anyio
import pytest

from toka.agent_runtime import (
    Code,
    RetryPolicy,
    StepDenied,
    StepDiffers,
    StepFailed,
    StepInDoubt,
    StepMisplaced,
    StepTimedOut,
    TaskContext,
    TaskOutcome,
)
from toka.kernel import ApprovalRequested, StepCompleted, StepRepeated, StepStarted
from toka.kernel import StepFailed as StepFailedFact
from toka.tools import ToolError, tool
from toka.types import NANOSECONDS, Message, ResolveApproval

from .helpers import PERSON, CutStore, Host, VirtualClock, World, run_until_cut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.types import Json

pytestmark = pytest.mark.anyio


async def nothing(**_: Json) -> Json:
    return None


B = TypeVar("B")


def facts(host: Host, kind: type[B]) -> list[B]:
    return [event.body for event in host.events if isinstance(event.body, kind)]


async def test_a_step_without_effect_is_one_event():
    async def program(ctx: TaskContext) -> Json:
        return await ctx.step("add", add, arguments={"first": 1, "second": 2})

    async def add(first: int, second: int) -> Json:
        return first + second

    async with World().open() as host:
        outcome = await host.run(Code(program))
    assert outcome.result == 3
    assert host.kinds() == ["task.started.v1", "step.completed.v1", "task.completed.v1"]


async def test_an_external_step_is_on_disk_before_it_happens():
    seen: list[list[str]] = []

    async def program(ctx: TaskContext) -> None:
        async def effect() -> Json:
            seen.append([body.kind for body in await host.world.store.bodies()])
            return None

        await ctx.step("send", effect, effect="external")

    async with World().open() as host:
        await host.run(Code(program))
    assert seen[0][-1] == "step.started.v1"
    assert host.kinds()[1:3] == ["step.started.v1", "step.completed.v1"]


async def test_what_a_program_gets_is_what_the_log_has():
    async def program(ctx: TaskContext) -> Json:
        async def odd() -> Json:
            return (1, float("nan"), {"b": 1, "a": 2})

        value = await ctx.step("odd", odd)
        assert value == [1, None, {"a": 2, "b": 1}]
        return value

    async with World().open() as host:
        assert (await host.run(Code(program))).completed


async def test_a_result_that_is_no_json_is_a_failed_step():
    async def program(ctx: TaskContext) -> Json:
        async def bad() -> Json:
            return object()  # type: ignore[return-value]

        with pytest.raises(StepFailed, match="not JSON") as caught:
            await ctx.step("bad", bad)
        return caught.value.code

    async with World().open() as host:
        assert (await host.run(Code(program))).result == "agent.result_invalid"


async def test_two_steps_at_once_on_one_path_are_refused():
    async def program(ctx: TaskContext) -> None:
        async def slow() -> Json:
            with pytest.raises(StepMisplaced, match="branch"):
                await ctx.step("inner", nothing)
            return None

        await ctx.step("outer", slow)

    async with World().open() as host:
        assert (await host.run(Code(program))).completed


async def test_branches_work_at_the_same_time_with_keys_that_do_not_depend_on_it():
    async def program(ctx: TaskContext) -> Json:
        branches = [ctx.branch(name) for name in "abc"]
        first_began, results = anyio.Event(), dict[str, str]()

        async def work(branch: TaskContext, wait: bool) -> None:
            async def effect() -> Json:
                if wait:
                    await first_began.wait()
                first_began.set()
                return branch.idempotency_key

            results[branch.path] = str(await branch.step("work", effect, effect="external"))

        async with anyio.create_task_group() as group:
            for index, branch in enumerate(branches):
                group.start_soon(work, branch, index == 0)
        return results

    async with World().open() as host:
        outcome = await host.run(Code(program))
    assert isinstance(outcome.result, dict)
    assert set(outcome.result) == {"root/0:a", "root/1:b", "root/2:c"}
    assert len(set(map(str, outcome.result.values()))) == 3


async def test_the_idempotency_key_is_the_same_when_a_step_is_done_again():
    keys: list[str] = []

    async def program(ctx: TaskContext) -> None:
        async def effect() -> Json:
            keys.append(ctx.idempotency_key)
            return None

        await ctx.step("first", nothing)
        await ctx.step("second", effect, effect="external", in_doubt="retry")

    world = World(CutStore(7))
    assert await run_until_cut(world, lambda host: host.run(Code(program))) is None
    async with (await world.after_power_cut()).open() as host:
        assert (await host.run(Code(program))).completed
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert len(facts(host, StepRepeated)) == 1


async def test_there_is_no_key_outside_a_step():
    async def program(ctx: TaskContext) -> None:
        with pytest.raises(StepMisplaced):
            _ = ctx.idempotency_key

    async with World().open() as host:
        assert (await host.run(Code(program))).completed


# Drift


async def three(ctx: TaskContext) -> None:
    for name in ("one", "two", "three"):
        await ctx.step(name, nothing, arguments={"name": name})


async def replaced(ctx: TaskContext) -> None:
    await ctx.step("one", nothing, arguments={"name": "one"})
    await ctx.step("zwei", nothing, arguments={"name": "two"})


async def other_arguments(ctx: TaskContext) -> None:
    await ctx.step("one", nothing, arguments={"name": "eins"})


async def other_effect(ctx: TaskContext) -> None:
    await ctx.step("one", nothing, arguments={"name": "one"}, effect="external")


async def shorter(ctx: TaskContext) -> None:
    await ctx.step("one", nothing, arguments={"name": "one"})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replaced, r"'two' on record \(path root, number 1\).*'zwei' there; they differ in: name"),
        (other_arguments, "differ in: arguments"),
        (other_effect, "differ in: effect"),
        (shorter, r"'two' on record .* ended without it"),
    ],
)
async def test_a_changed_program_is_found_out_and_the_old_one_can_go_on(
    changed: Callable[[TaskContext], Awaitable[None]], words: str
):
    async def same(ctx: TaskContext) -> None:
        await three(ctx)

    world = World(CutStore(7))
    assert await run_until_cut(world, lambda host: host.run(Code(three))) is None
    world = await world.after_power_cut()
    async with world.open() as host:
        with pytest.raises(StepDiffers, match=words) as caught:
            await host.run(Code(changed))
        assert caught.value.code == "agent.step_differs"
        assert caught.value.details["task"] == await host.task()
        assert (await host.run(Code(same))).completed


async def test_no_except_of_a_program_swallows_drift():
    done: list[str] = []

    async def changed(ctx: TaskContext) -> Json:
        try:
            await ctx.step("other", nothing)
        except Exception:  # noqa: BLE001 - what careless programs do
            done.append("swallowed")
        await ctx.step("one", nothing, arguments={"name": "one"})
        done.append("went on")
        return None

    world = World(CutStore(7))
    assert await run_until_cut(world, lambda host: host.run(Code(three))) is None
    async with (await world.after_power_cut()).open() as host:
        with pytest.raises(StepDiffers):
            await host.run(Code(changed))
    assert done == ["swallowed"]


async def test_a_renamed_branch_is_found_out():
    async def program(ctx: TaskContext) -> None:
        await ctx.branch("left").step("one", nothing)
        await ctx.step("stop", nothing)

    async def changed(ctx: TaskContext) -> None:
        await ctx.branch("right").step("one", nothing)

    world = World(CutStore(6))
    assert await run_until_cut(world, lambda host: host.run(Code(program))) is None
    async with (await world.after_power_cut()).open() as host:
        with pytest.raises(StepDiffers, match=r"branch 'left'.*branch 'right'"):
            await host.run(Code(changed))


# In doubt


async def _in_doubt(policy: str, decision: str = "") -> tuple[list[str], Host, Json]:
    done: list[str] = []

    async def program(ctx: TaskContext) -> Json:
        async def pay() -> Json:
            done.append("paid")
            return "paid"

        try:
            return await ctx.step("pay", pay, effect="external", in_doubt=policy)  # type: ignore[arg-type]
        except StepInDoubt as error:
            return error.code

    world = World(CutStore(6))
    assert await run_until_cut(world, lambda host: host.run(Code(program))) is None
    assert done == ["paid"]
    result: Json = None
    async with (await world.after_power_cut()).open() as host, anyio.create_task_group() as group:
        if decision:
            group.start_soon(answer_when_asked, host, decision)
        result = (await host.run(Code(program))).result
        group.cancel_scope.cancel()
    return done, host, result


async def answer_when_asked(host: Host, decision: str, after: int = 0) -> None:
    person = host.world.token(*PERSON, subject="person")
    async for logged in host.runtime.subscribe(after):
        body = logged.event.body
        if isinstance(body, ApprovalRequested):
            answer = ResolveApproval(body.approval, decision)  # type: ignore[arg-type]
            await host.runtime.submit(Message(person, answer))


async def test_a_step_in_doubt_is_retried_if_its_policy_says_so():
    done, _, result = await _in_doubt("retry")
    assert (len(done), result) == (2, "paid")


async def test_a_step_in_doubt_is_skipped_if_its_policy_says_so():
    done, host, result = await _in_doubt("skip")
    assert (len(done), result) == (1, "agent.step_in_doubt")
    assert len(facts(host, StepFailedFact)) == 1


async def test_a_step_in_doubt_is_asked_about_and_done_again():
    done, host, result = await _in_doubt("ask", "approve")
    assert (len(done), result) == (2, "paid")
    (asked,) = facts(host, ApprovalRequested)
    assert isinstance(asked, ApprovalRequested)
    assert "may or may not have taken effect" in asked.question


async def test_a_step_in_doubt_is_asked_about_and_left():
    done, _, result = await _in_doubt("ask", "deny")
    assert (len(done), result) == (1, "agent.step_in_doubt")


async def test_the_answer_for_a_step_in_doubt_is_good_for_one_time():
    paid: list[str] = []

    async def program(ctx: TaskContext) -> Json:
        async def pay() -> Json:
            paid.append("paid")
            if len(paid) in cut_at:
                world.store.cut()
            return "paid"

        await ctx.step("pay", pay, effect="external")
        await ctx.step("pay", pay, effect="external")
        return len(paid)

    async def approved(host: Host) -> TaskOutcome:
        async with anyio.create_task_group() as group:
            group.start_soon(answer_when_asked, host, "approve", host.runtime.position)
            outcomes.append(await host.run(Code(program)))
            group.cancel_scope.cancel()
        return outcomes[0]

    world, cut_at, outcomes = World(), {1, 2, 4}, list[TaskOutcome]()
    for questions in (0, 1, 2, 3):
        await run_until_cut(world, approved)
        bodies = await world.store.bodies()
        assert sum(isinstance(body, ApprovalRequested) for body in bodies) == questions
        world = await world.after_power_cut()
    assert [outcome.result for outcome in outcomes] == [5]


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_program_asks_a_person_once_even_across_a_power_cut(decision: str):
    async def program(ctx: TaskContext) -> Json:
        answer = await ctx.approve("Publish?", details={"draft": 1})
        await ctx.step("after", nothing)
        return answer

    world = World()
    async with world.open() as host, anyio.create_task_group() as group:
        group.start_soon(host.run, Code(program))
        await anyio.wait_all_tasks_blocked()
        world = await world.after_power_cut()
        group.cancel_scope.cancel()
    result: Json = None
    async with world.open() as host, anyio.create_task_group() as group:
        group.start_soon(answer_when_asked, host, decision)
        result = (await host.run(Code(program))).result
        group.cancel_scope.cancel()
    requests = [b for b in await world.store.bodies() if isinstance(b, ApprovalRequested)]
    assert len(requests) == 1
    assert result is (decision == "approve")


# Retries and time


async def test_a_step_is_tried_again_after_waits_that_grow():
    clock, moments = VirtualClock(), list[int]()
    policy = RetryPolicy(attempts=4, initial=NANOSECONDS, longest=3 * NANOSECONDS)

    async def program(ctx: TaskContext) -> Json:
        async def flaky() -> Json:
            moments.append(clock.now())
            if len(moments) < 4:
                raise ToolError("not yet")
            return "now"

        return await ctx.step("flaky", flaky, retry=policy)

    outcomes: list[Json] = []
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:
        host.agents.random = lambda: 1.0

        async def run() -> None:
            outcomes.append((await host.run(Code(program))).result)

        group.start_soon(run)
        await clock.turn(10)
    assert outcomes == ["now"]
    waits = [(b - a) // NANOSECONDS for a, b in pairwise(moments)]
    assert waits == [1, 2, 3]
    (step,) = facts(host, StepCompleted)
    assert isinstance(step, StepCompleted)
    assert step.toll is not None
    assert step.toll.attempts == 4


async def test_a_message_of_any_form_is_recorded():
    async def program(ctx: TaskContext) -> Json:
        async def broken() -> Json:
            raise OSError("e\u0301 \ud800")

        with pytest.raises(StepFailed) as caught:
            await ctx.step("broken", broken, effect="external")
        return caught.value.message

    async with World().open() as host:
        assert (await host.run(Code(program))).result == "OSError: \u00e9 \\ud800"


async def test_a_failure_that_is_not_named_is_not_repeated():
    calls: list[int] = []

    async def program(ctx: TaskContext) -> Json:
        async def broken() -> Json:
            calls.append(1)
            raise KeyError("x")

        with pytest.raises(StepFailed, match="KeyError") as caught:
            await ctx.step("broken", broken, retry=RetryPolicy(attempts=3, retry_on=("tools.*",)))
        return caught.value.code

    async with World().open() as host:
        assert (await host.run(Code(program))).result == "agent.step_raised"
    assert len(calls) == 1


async def test_a_step_that_takes_too_long_is_ended_and_cleans_up():
    clock, cleaned = VirtualClock(), list[str]()

    async def program(ctx: TaskContext) -> Json:
        async def slow() -> Json:
            try:
                await anyio.sleep_forever()
            finally:
                cleaned.append("yes")

        with pytest.raises(StepTimedOut, match="longer than 5 s"):
            await ctx.step("slow", slow, timeout=5 * NANOSECONDS)
        return "went on"

    outcomes: list[Json] = []
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            outcomes.append((await host.run(Code(program))).result)

        group.start_soon(run)
        await clock.turn(4.9)
        assert not cleaned
        await clock.turn(0.2)
    assert (outcomes, cleaned) == (["went on"], ["yes"])


async def test_a_sleep_counts_from_when_it_first_began():
    clock = VirtualClock()

    async def program(ctx: TaskContext) -> Json:
        await ctx.sleep(60)
        return await ctx.now()

    world, began = World(CutStore(), clock=clock), clock.now()
    async with world.open() as host, anyio.create_task_group() as group:
        group.start_soon(host.run, Code(program))
        await clock.turn(40)
        group.cancel_scope.cancel()
    outcomes: list[Json] = []
    async with (await world.after_power_cut()).open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            outcomes.append((await host.run(Code(program))).result)

        group.start_soon(run)
        await clock.turn(19)
        assert not outcomes
        await clock.turn(2)
    assert outcomes == [began + 60 * NANOSECONDS]


# Cancellation


async def test_a_step_cancelled_by_its_own_program_is_recorded_when_the_program_goes_on():
    async def program(ctx: TaskContext) -> Json:
        async def effect() -> Json:
            await anyio.sleep_forever()

        for kind in ("external", "none"):
            with anyio.move_on_after(0.01):
                await ctx.step(f"{kind} race", effect, effect=kind)  # type: ignore[arg-type]
        return await ctx.step("after", said)

    async def said() -> Json:
        return "after"

    async with World().open() as host:
        outcome = await host.run(Code(program))
    assert outcome.result == "after"
    codes = [body.failure.code for body in facts(host, StepFailedFact)]  # type: ignore[union-attr]
    assert codes == ["agent.step_cancelled", "agent.step_cancelled"]


async def test_a_cancelled_step_at_the_end_does_not_keep_the_task_open():
    async def program(ctx: TaskContext) -> Json:
        async def effect() -> Json:
            await anyio.sleep_forever()

        with anyio.move_on_after(0.01):
            await ctx.branch("race").step("slow", effect, effect="external")
        return "done"

    async with World().open() as host:
        assert (await host.run(Code(program))).result == "done"


async def test_a_run_that_is_cancelled_records_no_outcome_and_can_go_on():
    calls: list[int] = []

    async def program(ctx: TaskContext) -> Json:
        async def effect() -> Json:
            calls.append(1)
            if len(calls) == 1:
                await anyio.sleep_forever()
            return "second time"

        return await ctx.step("slow", effect, effect="external", in_doubt="retry")

    async with World().open() as host:
        with anyio.move_on_after(0.02):
            await host.run(Code(program))
        assert host.kinds() == ["task.started.v1", "step.started.v1"]
        state = host.runtime.state.task(await host.task())
        assert state is not None
        assert state.phase == "queued", "the task was given back"
        assert (await host.run(Code(program))).result == "second time"
    assert len(facts(host, StepStarted)) == 1


# Permission


@tool(
    side_effect="external",
    taints=False,
    requests=lambda arguments, _: (f"fs:write:{arguments['path']}",),
)
async def touch(path: str) -> str:
    """Touch."""
    TOUCHED.append(path)
    return path


@tool(side_effect="read_only", requests=lambda arguments, _: (f"fs:read:{arguments['path']}",))
async def look(path: str) -> str:
    """Look, and bring something from outside."""
    TOUCHED.append(path)
    return path


TOUCHED: list[str] = []


@pytest.fixture(autouse=True)
def _no_touches() -> None:
    TOUCHED.clear()


@pytest.mark.parametrize("name", ["touch", "look"])
async def test_a_refused_tool_never_runs_and_the_refusal_is_recorded(name: str):
    async def program(ctx: TaskContext) -> Json:
        with pytest.raises(StepDenied, match="needs the permission") as caught:
            await ctx.tool(name, path="/secret")
        return caught.value.code

    async with World(tools=(touch, look)).open() as host:
        outcome = await host.run(Code(program), permissions=("agent:act:**", "fs:*:/open/**"))
    assert outcome.result == "kernel.capability_denied"
    assert TOUCHED == []
    (failed,) = facts(host, StepFailedFact)
    assert isinstance(failed, StepFailedFact)
    assert failed.intent is not None
    assert failed.intent.effect == "none"


async def test_a_refusal_is_replayed_as_it_was():
    async def program(ctx: TaskContext) -> Json:
        with pytest.raises(StepDenied) as caught:
            await ctx.tool("touch", path="/secret")
        await ctx.step("next", nothing)
        return [caught.value.code, caught.value.message]

    world = World(CutStore(6), tools=(touch,))
    narrow = ("agent:act:**",)
    assert (
        await run_until_cut(world, lambda host: host.run(Code(program), permissions=narrow)) is None
    )
    async with (await world.after_power_cut()).open() as host:
        # It is allowed now, but it was refused then.
        outcome = await host.run(Code(program))
    assert isinstance(outcome.result, list)
    assert outcome.result[0] == "kernel.capability_denied"
    assert TOUCHED == []


@pytest.mark.parametrize(("decision", "touched"), [("approve", ["/in", "/out"]), ("deny", ["/in"])])
async def test_a_tainted_task_needs_a_person_for_what_is_granted_untainted(
    decision: str, touched: list[str]
):
    async def program(ctx: TaskContext) -> Json:
        await ctx.tool("look", path="/in")
        try:
            return await ctx.tool("touch", path="/out")
        except StepDenied as error:
            return error.code

    result: Json = None
    async with World(tools=(touch, look)).open() as host, anyio.create_task_group() as group:
        group.start_soon(answer_when_asked, host, decision)
        outcome = await host.run(
            Code(program),
            permissions=("agent:act:**", "fs:read:**"),
            untainted=("fs:write:**",),
        )
        result = outcome.result
        group.cancel_scope.cancel()
    assert touched == TOUCHED
    assert result == ("/out" if decision == "approve" else "kernel.approval_denied")


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("nothing_like_it", {}, "tools.unknown_tool"),
        ("touch", {"path": 5}, "tools.invalid_arguments"),
        ("touch", {}, "tools.invalid_arguments"),
    ],
)
async def test_a_wrong_call_is_a_failed_step(name: str, arguments: dict[str, Json], code: str):
    async def program(ctx: TaskContext) -> Json:
        with pytest.raises(StepFailed) as caught:
            await ctx.tool(name, **arguments)
        return caught.value.code

    async with World(tools=(touch,)).open() as host:
        assert (await host.run(Code(program))).result == code
    assert TOUCHED == []
