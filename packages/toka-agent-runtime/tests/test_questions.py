"""Questions to people: asked once, answered once, and the answer lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio
import msgspec
import pytest

from toka.agent_runtime import ApprovalPolicy, Code, ModelProgram, StepFailed, TaskContext
from toka.kernel import ApprovalConsumed, ApprovalRequested, Inquiry, StepCompleted
from toka.kernel import StepFailed as Failed
from toka.llm_gateway import Estimate, ToolUse
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.runtime import Rejected
from toka.tools import ToolRegistry
from toka.types import NULL, Message, ResolveApproval

from .helpers import AGENT, CutStore, Host, VirtualClock, World, powercut_in, run_until_cut

if TYPE_CHECKING:
    from toka.kernel import ApprovalState
    from toka.types import EntityId, Json

pytestmark = pytest.mark.anyio

ASKER = (*AGENT, "person:ask:operator")
WHERE: dict[str, Json] = {"question": "Where to?", "choices": ["staging", "production"]}


def world(**parts) -> World:
    return World(tools=(ToolRegistry.builtin().get("ask_person"),), **parts)


async def where(ctx: TaskContext) -> Json:
    try:
        return await ctx.tool("ask_person", **WHERE)
    except StepFailed as error:
        return {"code": error.code, "message": str(error)}


def open_question(host: Host) -> tuple[EntityId, ApprovalState]:
    ((approval, asked),) = (
        pair for pair in host.runtime.state.approvals.items() if pair[1].answer is None
    )
    return approval, asked


async def answer(
    host: Host,
    said: Json = "staging",
    decision: Literal["approve", "deny"] = "approve",
    reason: str = "",
) -> None:
    person = host.world.token("approval:resolve:**", subject="ada")
    raw = NULL if decision == "deny" else msgspec.Raw(msgspec.json.encode(said))
    operation = ResolveApproval(open_question(host)[0], decision, reason, raw)
    await host.runtime.submit(Message(person, operation))


async def asked_and_then(host: Host, then, program=where, **how) -> Json:
    """Return what the program returns if `then` happens as soon as it waits."""
    results: list[Json] = []

    async def run() -> None:
        results.append((await host.run(Code(program), permissions=ASKER, **how)).result)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        await then()
    return results[0]


async def test_an_answer_is_the_result_of_the_call_and_says_whose_it_is():
    async with world().open() as host:
        result = await asked_and_then(host, lambda: answer(host, reason="Safer."))
        assert result == {"answer": "staging", "truncated": False, "by": "ada"}
        assert host.kinds()[-3:] == [
            "approval.consumed.v1",
            "step.completed.v1",
            "task.completed.v1",
        ]
        done, completed = next(
            (event, event.body) for event in host.events if isinstance(event.body, StepCompleted)
        )
        consumed = next(event for event in host.events if isinstance(event.body, ApprovalConsumed))
        assert consumed.id in done.parents
        assert completed.toll is None  # what a person says does not taint


async def test_what_is_asked_stands_with_its_form_and_its_data():
    async def look() -> None:
        _, asked = open_question(host)
        assert (asked.name, asked.question) == ("ask_person", "Where to?")
        assert isinstance(asked.inquiry, Inquiry)
        assert msgspec.json.decode(asked.inquiry.form)["enum"] == WHERE["choices"]
        request = next(e.body for e in host.events if isinstance(e.body, ApprovalRequested))
        assert msgspec.json.decode(request.shown)["question"] == "Where to?"
        with pytest.raises(Rejected, match="none of") as refused:
            await answer(host, "moon")
        assert refused.value.code == "kernel.answer_invalid"
        await answer(host, "production")

    async with world().open() as host:
        result = await asked_and_then(host, look)
    assert isinstance(result, dict)
    assert result["answer"] == "production"


async def test_nobody_is_asked_twice_wherever_the_power_fails():
    for cut_at in range(1, 12):
        machine = world(store=CutStore(cut_at))
        results: list[Json] = []
        for _ in range(12):
            try:
                async with machine.open() as host:
                    results.append(await asked_and_then(host, lambda: answer_if_open(host)))
                break
            except BaseException as error:
                if not powercut_in(error):
                    raise
                machine = await machine.after_power_cut()
        bodies = await machine.store.bodies()
        assert sum(isinstance(body, ApprovalRequested) for body in bodies) == 1
        assert sum(isinstance(body, StepCompleted) for body in bodies) == 1
        assert results == [{"answer": "staging", "truncated": False, "by": "ada"}]


async def answer_if_open(host: Host) -> None:
    if any(asked.answer is None for asked in host.runtime.state.approvals.values()):
        await answer(host)


async def test_what_was_answered_while_nothing_ran_counts_when_it_goes_on():
    clock = VirtualClock()
    machine = world(clock=clock)
    async with machine.open() as host:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: host.run(Code(where), permissions=ASKER))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        await answer(host)
        await clock.turn(80_000)
        outcome = await host.run(Code(where), permissions=ASKER)
    assert outcome.result == {"answer": "staging", "truncated": False, "by": "ada"}


async def test_a_no_is_told_with_its_reason_and_is_used_up():
    async def twice(ctx: TaskContext) -> Json:
        return [await where(ctx), await where(ctx)]

    async def no_then_yes() -> None:
        await answer(host, decision="deny", reason="Ask finance.")
        await anyio.wait_all_tasks_blocked()
        await answer(host)

    async with world().open() as host:
        result = await asked_and_then(host, no_then_yes, twice)
        bodies = [event.body for event in host.events]
    assert isinstance(result, list)
    assert result[0] == {
        "code": "tools.person_declined",
        "message": "ada declined to answer: Ask finance.",
    }
    assert result[1] == {"answer": "staging", "truncated": False, "by": "ada"}
    assert sum(isinstance(body, ApprovalConsumed) for body in bodies) == 2
    (failed,) = (body for body in bodies if isinstance(body, Failed))
    assert failed.intent is not None
    assert failed.intent.effect == "none"


async def test_a_question_that_expired_is_another_one_than_the_same_asked_again():
    async def ask_on(ctx: TaskContext) -> Json:
        return [await where(ctx), await where(ctx)]

    clock = VirtualClock()
    machine = world(clock=clock)
    async with machine.open() as host:
        host.agents.approvals = ApprovalPolicy(10_000_000_000, "approve")
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: host.run(Code(ask_on), permissions=ASKER))
            await clock.turn(11)
            assert "approval.expired.v1" in host.kinds()
            group.cancel_scope.cancel()
        result = await asked_and_then(host, lambda: answer(host), ask_on)
        asked = [event for event in host.events if isinstance(event.body, ApprovalRequested)]
    assert isinstance(result, list)
    assert result[0] == {"code": "tools.timeout", "message": "Nobody answered within 10 s."}
    assert result[1] == {"answer": "staging", "truncated": False, "by": "ada"}
    assert len(asked) == 2


async def test_a_question_sets_its_own_time_within_what_the_run_allows():
    async def hurried(ctx: TaskContext) -> Json:
        return await ctx.tool("ask_person", question="Quick?", timeout=5)

    clock = VirtualClock()
    async with world(clock=clock).open() as host:

        async def look() -> None:
            assert open_question(host)[1].expires == clock.now() + 5_000_000_000
            await answer(host, "yes")

        await asked_and_then(host, look, hurried)


@pytest.mark.parametrize(
    ("arguments", "permissions", "code"),
    [
        (WHERE, AGENT, "kernel.capability_denied"),
        ({"question": ""}, ASKER, "tools.invalid_arguments"),
        ({"question": "?", "schema": {}, "choices": ["a"]}, ASKER, "tools.invalid_arguments"),
        ({"question": "?", "schema": {"pattern": "a"}}, ASKER, "kernel.malformed_request"),
        ({"question": " "}, ASKER, "kernel.limit_exceeded"),
    ],
)
async def test_what_cannot_be_asked_is_a_failed_step_and_bothers_nobody(
    arguments, permissions, code
):
    async def program(ctx: TaskContext) -> Json:
        with pytest.raises(StepFailed) as caught:
            await ctx.tool("ask_person", **arguments)
        return caught.value.code

    machine = world()
    async with machine.open() as host:
        assert (await host.run(Code(program), permissions=permissions)).result == code
    again = await run_until_cut(machine, lambda host: host.run(Code(program)))
    assert again is not None
    assert again.result == code
    assert not [b for b in await machine.store.bodies() if isinstance(b, ApprovalRequested)]


async def test_a_model_asks_in_the_form_that_it_wants():
    schema: Json = {"type": "object", "properties": {"days": {"type": "integer"}}}
    call = ToolUse("1", "ask_person", {"question": "How long?", "schema": schema})
    finish = ToolUse("2", "finish", {"result": "ok", "objectives": []})
    model = ScriptedModel([reply(call), reply(finish)], estimate=Estimate(10, 10, None))
    async with world(model=lambda: model).open() as host, anyio.create_task_group() as group:
        group.start_soon(lambda: host.run(ModelProgram("Plan it."), permissions=ASKER))
        await anyio.wait_all_tasks_blocked()
        await answer(host, {"days": 3})
    assert '"by":"ada"' in str(model.last_request)
    assert '{"days":3}' in str(model.last_request)
