from __future__ import annotations

import pytest

from toka.llm_gateway import (
    ConfigurationInvalid,
    Cost,
    ModelMessage,
    ModelRequest,
    OutputInvalid,
    OutputSchema,
    StopReason,
    Usage,
    complete_structured,
)
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.types import InvalidValueError

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
}
ASK = ModelRequest(
    (ModelMessage.user("1+2?"),), output=OutputSchema(SCHEMA), idempotency_key="step"
)


@pytest.mark.parametrize("text", ['{"total": 3}', '```json\n{"total": 3}\n```', ' {"total":3}\n'])
async def test_what_fits_is_taken(text):
    model = ScriptedModel([reply(text)])
    answer = await complete_structured(model, ASK)
    assert answer.value == {"total": 3}
    assert not answer.repaired


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [("three", "not JSON"), ('{"total": "3"}', r"\$\.total"), ("{}", "required")],
)
async def test_what_does_not_fit_is_repaired_once(wrong, complaint):
    model = ScriptedModel(
        [
            reply(wrong, usage=Usage(10, 5), cost=Cost(2)),
            reply('{"total": 3}', usage=Usage(20, 5), cost=Cost(3)),
        ]
    )
    answer = await complete_structured(model, ASK)
    assert answer.repaired
    assert answer.value == {"total": 3}
    assert answer.response.usage == Usage(30, 10)
    assert answer.response.cost == Cost(5)
    asked = model.last_request
    assert asked is not None
    assert asked.messages[1].text == wrong
    assert complaint.replace("\\", "") in asked.messages[2].text
    assert asked.idempotency_key == "step:repair"


async def test_a_second_wrong_answer_is_an_error_that_says_what():
    model = ScriptedModel([reply("no"), reply("{}")])
    with pytest.raises(OutputInvalid) as caught:
        await complete_structured(model, ASK)
    assert "required" in str(caught.value.details["complaints"])
    cut = reply('{"total"', stop_reason=StopReason.MAX_TOKENS)
    with pytest.raises(OutputInvalid, match="cut off"):
        await complete_structured(ScriptedModel([cut, cut]), ASK)


async def test_nonsense_is_refused_before_anything_is_asked():
    model = ScriptedModel([])
    with pytest.raises(InvalidValueError):
        await complete_structured(model, ModelRequest(ASK.messages))
    wrong = ModelRequest(ASK.messages, output=OutputSchema({"type": "nothing"}))
    with pytest.raises(ConfigurationInvalid):
        await complete_structured(model, wrong)


async def test_any_object_will_do_where_no_schema_is_given():
    request = ModelRequest(ASK.messages, output=OutputSchema(None))
    answer = await complete_structured(ScriptedModel([reply("[1]"), reply("{}")]), request)
    assert answer.value == {}
