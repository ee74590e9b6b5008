from __future__ import annotations

import pytest

from toka.llm_gateway import (
    ArgumentsDelta,
    Cost,
    Model,
    ModelMessage,
    ModelRequest,
    Overloaded,
    PartEnd,
    Reasoning,
    ReasoningDelta,
    StopReason,
    Text,
    TextDelta,
    ToolUse,
    ToolUseStart,
)
from toka.llm_gateway.testing import ScriptedModel, reply

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("x"),))


async def test_lines_are_said_in_order_and_exactly_once():
    model = ScriptedModel([reply("a"), reply("b")])
    assert (await model.complete(ASK)).text == "a"
    with pytest.raises(AssertionError, match="1 of the script's 2"):
        model.check_consumed()
    assert (await model.complete(ASK)).text == "b"
    model.check_consumed()
    with pytest.raises(AssertionError, match="one more"):
        await model.complete(ASK)


async def test_a_function_finds_the_line():
    model = ScriptedModel(lambda request: reply(request.messages[-1].text.upper()))
    assert (await model.complete(ASK)).text == "X"
    assert model.last_request is ASK
    assert model.calls == 1
    model.check_consumed()


async def test_a_failure_is_raised():
    model = ScriptedModel([Overloaded("busy"), reply("ok")])
    with pytest.raises(Overloaded):
        await model.complete(ASK)
    assert (await model.complete(ASK)).text == "ok"


async def test_a_stream_is_made_of_the_answer():
    use = ToolUse("t", "add", {"a": 1})
    answer = reply(Reasoning("hm"), "text", use, cost=Cost(5))
    events = [event async for event in ScriptedModel([answer]).stream(ASK)]
    assert events == [
        ReasoningDelta("hm"),
        PartEnd(Reasoning("hm")),
        TextDelta("text"),
        PartEnd(Text("text")),
        ToolUseStart("t", "add"),
        ArgumentsDelta("t", '{"a":1}'),
        PartEnd(use),
        answer,
    ]
    assert answer.stop_reason is StopReason.TOOL_USE


async def test_it_is_a_model():
    model: Model = ScriptedModel([reply("a")])
    estimate = model.estimate(ASK)
    answer = await model.complete(ASK)
    assert answer.cost is not None
    assert estimate.cost is not None
    assert answer.cost <= estimate.cost
    await model.aclose()
