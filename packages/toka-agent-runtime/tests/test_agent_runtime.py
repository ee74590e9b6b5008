"""Leases, ends and attempts of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from toka.agent_runtime import (
    ApprovalPolicy,
    Code,
    RetryPolicy,
    TaskContext,
    TaskLimits,
    TaskOptions,
    TaskOutcome,
)
from toka.runtime import Rejected
from toka.types import (
    NANOSECONDS,
    CancelTask,
    Message,
    ResumeAgent,
    SendMessage,
    StartTask,
    SuspendAgent,
    TerminateAgent,
    agent_of,
)

from .helpers import VirtualClock, World

if TYPE_CHECKING:
    from toka.types import Json

pytestmark = pytest.mark.anyio


async def nothing() -> Json:
    return None


async def forever(ctx: TaskContext) -> None:
    async def wait() -> Json:
        await anyio.sleep_forever()

    await ctx.step("wait", wait, effect="external", in_doubt="retry")


async def test_a_second_runner_is_refused_and_told_who_holds_the_task():
    async with World().open() as host:
        task = await host.task()
        started = StartTask(task, "somebody else", 60 * NANOSECONDS)
        await host.runtime.submit(Message(host.agent_token(task), started))
        with pytest.raises(Rejected, match="somebody else") as caught:
            await host.run(Code(forever))
    assert caught.value.code == "kernel.lease_held"


async def test_a_lease_is_renewed_while_the_task_runs():
    clock = VirtualClock()
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:
        group.start_soon(host.run, Code(forever))
        await clock.turn(100)
        task = host.runtime.state.task(await host.task())
        assert task is not None
        assert task.lease is not None
        assert task.lease.expires > clock.now()
        group.cancel_scope.cancel()
    assert host.kinds().count("lease.renewed.v1") == 10


async def test_a_run_that_lost_its_lease_stops_at_once():
    clock, outcomes = VirtualClock(), list[TaskOutcome]()
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:
        task = await host.task()

        async def run() -> None:
            outcomes.append(await host.run(Code(forever)))

        group.start_soon(run)
        await clock.turn(0.1)
        # The same holder may take its own lease over: a restarted process, for example.
        again = StartTask(task, host.runtime.holder, 60 * NANOSECONDS)
        await host.runtime.submit(Message(host.agent_token(task), again))
        await clock.turn(1)
    assert outcomes[0].status == "released"
    assert outcomes[0].failure is not None
    assert "lost" in outcomes[0].failure.message


@pytest.mark.parametrize("what", ["task", "agent"])
async def test_a_task_that_is_ended_from_outside_is_stopped(what: str):
    clock, outcomes = VirtualClock(), list[TaskOutcome]()
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:
        task = await host.task()

        async def run() -> None:
            outcomes.append(await host.run(Code(forever)))

        group.start_soon(run)
        await clock.turn(0.1)
        end = (
            CancelTask(task, "enough")
            if what == "task"
            else TerminateAgent(agent_of(task), "enough")
        )
        await host.runtime.submit(Message(host.boss, end))
        await clock.turn(1)
    assert outcomes[0].status == "cancelled"


async def test_a_suspended_agent_ends_what_it_began_and_begins_nothing():
    done: list[str] = []

    async def program(ctx: TaskContext) -> Json:
        async def suspend() -> Json:
            await host.runtime.submit(Message(host.boss, SuspendAgent(ctx.agent, "wait")))
            done.append("first")
            return "first"

        async def second() -> Json:
            done.append("second")
            return "second"

        return [
            await ctx.step("first", suspend, effect="external"),
            await ctx.step("second", second, effect="external"),
        ]

    async with World().open() as host:
        outcome = await host.run(Code(program))
        assert (outcome.status, done) == ("released", ["first"])
        agent = agent_of(await host.task())
        await host.runtime.submit(Message(host.boss, ResumeAgent(agent)))
        assert (await host.run(Code(program))).result == ["first", "second"]
    assert done == ["first", "second"]


async def test_a_task_that_fails_is_tried_again_from_the_beginning():
    clock, attempts = VirtualClock(), list[int]()

    async def program(ctx: TaskContext) -> Json:
        attempts.append(ctx.attempt)
        await ctx.step("before", nothing)
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
        return ctx.attempt

    options = TaskOptions(retry=RetryPolicy(attempts=3))
    outcomes: list[TaskOutcome] = []
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            outcomes.append(await host.run(Code(program), options=options))

        group.start_soon(run)
        await clock.turn(10)
    assert attempts == [1, 2, 3]
    assert outcomes[0].result == 3
    assert host.kinds().count("task.retried.v1") == 2
    assert host.kinds().count("step.completed.v1") == 3


async def test_a_task_that_fails_for_good_says_what_failed():
    async def program(_: TaskContext) -> None:
        raise LookupError("nobody there")

    async with World().open() as host:
        outcome = await host.run(Code(program))
        assert outcome.status == "failed"
        assert outcome.failure is not None
        assert outcome.failure.message == "LookupError: nobody there"
        again = await host.run(Code(program))
    assert again == outcome, "what has ended is told, not run again"


async def test_a_failure_in_a_task_group_is_named():
    async def program(ctx: TaskContext) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ctx.branch("a").tool, "unknown")

    async with World().open() as host:
        outcome = await host.run(Code(program))
    assert outcome.failure is not None
    assert outcome.failure.code == "tools.unknown_tool"


async def test_a_task_that_takes_too_long_is_failed():
    clock, outcomes = VirtualClock(), list[TaskOutcome]()
    options = TaskOptions(limits=TaskLimits(timeout=5 * NANOSECONDS))
    async with World(clock=clock).open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            outcomes.append(await host.run(Code(forever), options=options))

        group.start_soon(run)
        await clock.turn(6)
    assert outcomes[0].failure is not None
    assert outcomes[0].failure.code == "agent.task_timed_out"


async def test_a_result_that_is_no_json_fails_the_task():
    async def program(_: TaskContext) -> Json:
        return object()  # type: ignore[return-value]

    async with World().open() as host:
        outcome = await host.run(Code(program))
    assert outcome.failure is not None
    assert outcome.failure.code == "agent.result_invalid"


async def test_messages_are_sent_once_and_received_once():
    async def program(ctx: TaskContext) -> Json:
        await ctx.send(ctx.agent, {"number": 1})
        await ctx.send(ctx.agent, {"number": 2})
        return [await ctx.receive(), await ctx.receive(timeout=5)]

    async with World().open() as host:
        outcome = await host.run(Code(program))
        mailbox = host.runtime.state.mailbox(agent_of(await host.task()))
    assert outcome.result == [{"number": 1}, {"number": 2}]
    assert not mailbox


async def test_a_message_that_comes_later_is_waited_for():
    async def program(ctx: TaskContext) -> Json:
        return await ctx.receive()

    outcomes: list[TaskOutcome] = []
    async with World().open() as host, anyio.create_task_group() as group:
        agent = agent_of(await host.task())

        async def run() -> None:
            outcomes.append(await host.run(Code(program)))

        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        await host.runtime.submit(Message(host.boss, SendMessage(agent, msgspec.Raw(b'"hi"'))))
    assert outcomes[0].result == "hi"


async def test_waiting_for_a_message_ends_at_its_deadline():
    clock, outcomes = VirtualClock(), list[TaskOutcome]()

    async def program(ctx: TaskContext) -> Json:
        return [await ctx.receive(timeout=30)]

    async with World(clock=clock).open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            outcomes.append(await host.run(Code(program)))

        group.start_soon(run)
        await clock.turn(29)
        assert not outcomes
        await clock.turn(2)
    assert outcomes[0].result == [None]


async def test_an_approval_that_nobody_answers_has_its_stated_outcome():
    clock, outcomes = VirtualClock(), list[TaskOutcome]()

    async def program(ctx: TaskContext) -> Json:
        policy = ApprovalPolicy(timeout=60 * NANOSECONDS)
        return await ctx.approve("Delete everything?", policy=policy)

    async with World(clock=clock).open() as host, anyio.create_task_group() as group:

        async def run() -> None:
            outcomes.append(await host.run(Code(program)))

        group.start_soon(run)
        await clock.turn(10)
        assert not outcomes
        await clock.turn(60)
    assert outcomes[0].result is False


async def test_what_a_program_observes_is_recorded_once():
    async def program(ctx: TaskContext) -> Json:
        await ctx.observe("progress", {"percent": 50})
        return ctx.inputs["name"]

    async with World().open() as host:
        outcome = await host.run(Code(program), variables={"inputs": {"name": "x"}})
    assert outcome.result == "x"
    assert host.kinds().count("observation.emitted.v1") == 1
