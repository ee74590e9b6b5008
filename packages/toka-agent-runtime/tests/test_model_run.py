"""The model loop, with models that say what a script says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toka.agent_runtime import FINISH, Code, ModelProgram, TaskContext, TaskOutcome
from toka.kernel import StepStarted
from toka.llm_gateway import (
    Estimate,
    Overloaded,
    Reasoning,
    StopReason,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.tools import tool
from toka.types import Budget, Objective

from .helpers import Host, World

if TYPE_CHECKING:
    from toka.llm_gateway import ModelResponse
    from toka.llm_gateway.testing import ScriptLine
    from toka.types import Json

pytestmark = pytest.mark.anyio


@tool(side_effect="none", taints=False)
async def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


def finish(result: Json = "done", *objectives: Json) -> ModelResponse:
    return reply(ToolUse("end", FINISH, {"result": result, "objectives": objectives}))


async def converse(
    *script: ScriptLine, program: ModelProgram | None = None, budget: Budget | None = None
) -> tuple[TaskOutcome, ScriptedModel, Host]:
    model = ScriptedModel(list(script), estimate=Estimate(10, 10, None))
    async with World(tools=(add,), model=lambda: model).open() as host:
        await host.task(budget=budget or Budget())
        program = program or ModelProgram("Add.", name="adder", domain="sums")
        outcome = await host.run(program)
    return outcome, model, host


async def test_a_model_uses_tools_and_finishes():
    outcome, model, _ = await converse(
        reply("I add.", ToolUse("1", "add", {"first": 1, "second": 2})), finish(3)
    )
    assert outcome.result == {"result": 3, "objectives": [], "turns": 2}
    assert model.last_request is not None
    assert model.last_request.messages[2].parts == (ToolOutput("1", "3"),)
    assert [schema.name for schema in model.last_request.tools] == ["add", FINISH]
    assert "adder, working on sums" in model.last_request.system
    model.check_consumed()


async def test_several_tool_uses_are_done_in_their_order():
    uses = [ToolUse(str(n), "add", {"first": n, "second": 0}) for n in range(3)]
    outcome, model, _ = await converse(reply(*uses), finish())
    assert outcome.completed
    assert model.last_request is not None
    outputs = model.last_request.messages[2].parts
    assert [part.content for part in outputs if isinstance(part, ToolOutput)] == ["0", "1", "2"]


async def test_words_of_failure_are_not_failure_and_words_of_success_not_success():
    outcome, _, _ = await converse(
        reply("Success! Everything is done, no error at all."),
        finish("error: failed, unable to, cannot, impossible"),
    )
    assert outcome.completed
    assert isinstance(outcome.result, dict)
    assert outcome.result["turns"] == 2


async def test_objectives_are_stated_one_by_one():
    program = ModelProgram("Add.", objectives=(Objective("a sum"), Objective("a proof")))
    met: Json = {"met": True, "evidence": "3"}
    outcome, model, _ = await converse(
        finish("x", met),
        finish("x", met, {"met": "yes", "evidence": ""}),
        finish("x", met, {"met": False, "evidence": "none"}),
        program=program,
    )
    assert isinstance(outcome.result, dict)
    assert outcome.result["objectives"] == [met, {"met": False, "evidence": "none"}]
    assert model.last_request is not None
    told = [m.parts[0] for m in model.last_request.messages if m.role == "user"][1:]
    assert [part.content for part in told if isinstance(part, ToolOutput)] == [
        "'objectives' must have 2 entries, one for each objective.",
        "objectives[1] must have 'met' (true or false) and 'evidence' (text).",
    ]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (ToolUse("1", "subtract", {}), "There is no tool 'subtract'"),
        (ToolUse("1", "add", {"first": "x", "second": 2}), "tools.invalid_arguments"),
    ],
)
async def test_a_wrong_call_is_told_to_the_model(use: ToolUse, words: str):
    outcome, model, _ = await converse(reply(use), finish())
    assert outcome.completed
    assert model.last_request is not None
    (told,) = model.last_request.messages[2].parts
    assert isinstance(told, ToolOutput)
    assert told.is_error
    assert words in told.content


@pytest.mark.parametrize("line", [reply("Hm."), reply(ToolUse("1", "subtract", {}))])
async def test_a_model_that_gets_nowhere_is_stopped(line: ModelResponse):
    outcome, model, _ = await converse(*[line] * 4)
    assert outcome.failure is not None
    assert outcome.failure.code == "agent.model_confused"
    model.check_consumed()


async def test_turns_are_bounded():
    turn = reply(ToolUse("1", "add", {"first": 1, "second": 1}))
    outcome, _, _ = await converse(*[turn] * 5, program=ModelProgram("Add.", max_turns=5))
    assert outcome.failure is not None
    assert outcome.failure.code == "agent.model_turns_spent"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (StopReason.REFUSAL, "agent.model_refused"),
        (StopReason.MAX_TOKENS, "agent.model_cut_off"),
    ],
)
async def test_an_answer_that_is_none_ends_the_loop(reason: StopReason, code: str):
    outcome, _, _ = await converse(reply("No.", stop_reason=reason))
    assert outcome.failure is not None
    assert outcome.failure.code == code


async def test_a_spent_budget_ends_the_loop_before_the_call():
    turn = reply(ToolUse("1", "add", {"first": 1, "second": 1}))
    outcome, model, host = await converse(*[turn] * 3, budget=Budget(calls=3))
    assert outcome.failure is not None
    assert outcome.failure.code == "agent.model_budget_spent"
    assert model.calls == 3
    starts = [e.body for e in host.events if isinstance(e.body, StepStarted)]
    assert len(starts) == 3


async def test_what_a_call_took_is_settled():
    outcome, _, host = await converse(finish())
    assert outcome.completed
    (agent,) = host.runtime.state.agents().values()
    assert (agent.account.spent.money, agent.account.spent.tokens, agent.account.spent.calls) == (
        100,
        15,
        1,
    )
    assert agent.account.reserved.calls == 0


async def test_a_failed_call_fails_the_task_with_its_code():
    outcome, _, _ = await converse(Overloaded("Too many people."))
    assert outcome.failure is not None
    assert outcome.failure.code == "llm.overloaded"


async def test_a_model_is_not_called_without_permission():
    model = ScriptedModel([])
    async with World(tools=(add,), model=lambda: model).open() as host:
        outcome = await host.run(ModelProgram("Add."), permissions=("agent:act:**",))
    assert outcome.failure is not None
    assert outcome.failure.code == "kernel.capability_denied"
    assert model.calls == 0


async def test_a_task_without_a_model_says_so():
    async with World().open() as host:
        outcome = await host.run(ModelProgram("Add."))
    assert outcome.failure is not None
    assert outcome.failure.code == "agent.no_model"


async def test_a_turn_records_only_what_is_new():
    turns = [reply(ToolUse(str(n), "add", {"first": n, "second": 1})) for n in range(40)]
    outcome, _, host = await converse(*turns, finish())
    assert outcome.completed
    sizes = [
        len(bytes(event.body.intent.arguments))
        for event in host.events
        if isinstance(event.body, StepStarted)
    ]
    assert max(sizes[1:]) < min(sizes[1:]) + 16


async def test_reasoning_is_kept_as_it_came():
    thought = Reasoning("Let me see.", "sealed", redacted=False)
    outcome, model, _ = await converse(
        reply(thought, ToolUse("1", "add", {"first": 1, "second": 2})), finish()
    )
    assert outcome.completed
    assert model.last_request is not None
    assert model.last_request.messages[1].parts[0] == thought


async def test_code_asks_a_model_once():
    async def program(ctx: TaskContext) -> Json:
        answer = await ctx.model("What is 1 + 1?", system="Be brief.")
        return [answer.text, answer.usage.output_tokens]

    model = ScriptedModel([reply("2")])
    async with World(model=lambda: model).open() as host:
        assert (await host.run(Code(program))).result == ["2", 5]
    assert model.last_request is not None
    assert model.last_request.system == "Be brief."
    assert model.last_request.idempotency_key
