"""What goes over the wire, seen from the provider's side."""

from __future__ import annotations

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toka.llm_gateway import (
    AuthenticationFailed,
    InvalidRequest,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    Native,
    NotTranslatable,
    Reasoning,
    ReasoningDelta,
    ResponseInvalid,
    StopReason,
    Text,
    ToolArgumentsInvalid,
    ToolOutput,
    ToolSchema,
    ToolUse,
    ToolUseStart,
    Usage,
)
from toka.llm_gateway.formats.anthropic._dialect import AnthropicDialect
from toka.llm_gateway.formats.chat._dialect import OpenAIDialect
from toka.llm_gateway.formats.gemini._dialect import GeminiDialect
from toka.llm_gateway.formats.responses._dialect import ResponsesDialect
from toka.llm_gateway.testing import Raw, reply
from toka.llm_gateway.testing._fake_anthropic import _complaints as anthropic_complaints
from toka.llm_gateway.testing._fake_openai import _complaints as openai_complaints

pytestmark = pytest.mark.anyio

ADD = ToolSchema("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
TURN = (
    ModelMessage.user("What is 1+2 and 3+4?"),
    ModelMessage(
        "assistant",
        (
            Reasoning("Two sums.\n ", "sig=="),
            Reasoning("", "b3BhcXVl", redacted=True),
            Text("I add."),
            ToolUse("t1", "add", {"a": 1, "b": 2}),
            ToolUse("t2", "add", {"a": 3, "b": 4}),
        ),
    ),
    ModelMessage("user", (Text("Hurry."), ToolOutput("t1", "3"), ToolOutput("t2", "no", True))),
)
REQUEST = ModelRequest(
    TURN, system="Be brief.", tools=(ADD,), temperature=0.5, stop=("END",), max_output_tokens=99
)


async def test_anthropic_sees_its_own_shape(anthropic):
    model = await anthropic.start([reply("3 and 7")], extra={"service_tier": "auto"})
    await model.complete(REQUEST)
    [request] = anthropic.servers[0].requests
    assert request.headers["x-api-key"] == anthropic.servers[0].key
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    assert request.body == {
        "model": "asked-model",
        "max_tokens": 99,
        "system": "Be brief.",
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "service_tier": "auto",
        "tools": [{"name": "add", "description": "Adds.", "input_schema": dict(ADD.parameters)}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is 1+2 and 3+4?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Two sums.\n ", "signature": "sig=="},
                    {"type": "redacted_thinking", "data": "b3BhcXVl"},
                    {"type": "text", "text": "I add."},
                    {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1, "b": 2}},
                    {"type": "tool_use", "id": "t2", "name": "add", "input": {"a": 3, "b": 4}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "3"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "content": "no",
                        "is_error": True,
                    },
                    {"type": "text", "text": "Hurry."},
                ],
            },
        ],
    }


async def test_openai_sees_its_own_shape(openai):
    model = await openai.start([reply("3 and 7")], extra={"seed": 7})
    await model.complete(REQUEST)
    [request] = openai.servers[0].requests
    assert request.headers["authorization"] == f"Bearer {openai.servers[0].key}"
    assert "x-api-key" not in request.headers
    assert request.body == {
        "model": "asked-model",
        "max_tokens": 99,
        "temperature": 0.5,
        "stop": ["END"],
        "seed": 7,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": dict(ADD.parameters),
                },
            }
        ],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 1+2 and 3+4?"},
            {
                "role": "assistant",
                "content": "I add.",
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a":1,"b":2}'},
                    },
                    {
                        "id": "t2",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a":3,"b":4}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "3"},
            {"role": "tool", "tool_call_id": "t2", "content": "no"},
            {"role": "user", "content": "Hurry."},
        ],
    }


async def test_openai_itself_is_given_the_new_name_of_the_limit():
    dialect = OpenAIDialect("max_completion_tokens", {})
    body = msgspec.json.decode(dialect.encode(REQUEST, "m", stream=True))
    assert body["max_completion_tokens"] == 99
    assert "max_tokens" not in body
    assert body["stream_options"] == {"include_usage": True}


async def test_an_idempotency_key_travels(any_provider):
    model = await any_provider.start([reply("x")])
    await model.complete(ModelRequest(TURN[:1], idempotency_key="step-7"))
    assert any_provider.servers[0].requests[0].headers["idempotency-key"] == "step-7"


async def test_metadata_stays_here(any_provider):
    model = await any_provider.start([reply("x")])
    await model.complete(ModelRequest(TURN[:1], metadata={"agent": "inventory"}))
    assert "inventory" not in repr(any_provider.requests)


async def test_a_request_may_name_another_model_and_is_bounded(provider):
    model = await provider.start([reply("x")], max_output_tokens=50)
    await model.complete(ModelRequest(TURN[:1], model="other", max_output_tokens=51))
    assert provider.requests[0]["model"] == "other"
    assert provider.requests[0]["max_tokens"] == 50


PARTS = (
    Reasoning("Hm, \u00e9\u2028 ", "s" * 50),
    Text("The sums: "),
    ToolUse("t1", "add", {"a": 1, "b": [1.5, None, {"c": "\u00e9\U0001f600"}]}),
    ToolUse("t2", "noop", {}),
)


@pytest.mark.parametrize("stop", list(StopReason))
async def test_whole_and_streamed_answers_are_the_same(provider, stop):
    usage = Usage(7, 5, 3, 0, 2 if provider.name == "openai" else 0)
    answer = reply(*PARTS, stop_reason=stop, usage=usage)
    model = await provider.start([answer, answer])
    whole = await model.complete(REQUEST)
    events = [event async for event in model.stream(REQUEST)]
    streamed = events[-1]
    assert isinstance(streamed, ModelResponse)
    assert streamed.message == whole.message
    assert streamed.usage == whole.usage == usage
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.request_id == "req_0002"
    assert [e.name for e in events if isinstance(e, ToolUseStart)] == ["add", "noop"]
    assert [e for e in events if isinstance(e, ReasoningDelta)]
    if provider.name == "anthropic":
        # Signatures and order survive to the byte.
        assert whole.message.parts == PARTS
        assert whole.stop_reason == stop


async def test_a_conversation_goes_on_with_what_the_model_said(any_provider):
    first = reply(*PARTS)
    model = await any_provider.start([first, reply("done")])
    answer = await model.complete(attrs.evolve(REQUEST, stop=()))
    outputs = [ToolOutput(use.id, "ok") for use in answer.message.tool_uses]
    follow_up = ModelRequest((*TURN, answer.message, ModelMessage.outputs(*outputs)))
    assert (await model.complete(follow_up)).text == "done"


async def test_a_tool_use_without_answer_is_refused_by_the_provider(provider):
    model = await provider.start([reply("never")])
    with pytest.raises(InvalidRequest, match="tool"):
        await model.complete(ModelRequest(TURN[:2] + TURN[:1]))


async def test_a_wrong_key_is_refused_and_not_shown(any_provider):
    server = await any_provider.serve([reply("never")])
    model = any_provider.model(server, key="sk-very-secret-value")
    with pytest.raises(AuthenticationFailed) as caught:
        await model.complete(attrs.evolve(REQUEST, stop=()))
    shown = f"{caught.value!r} {caught.value} {caught.value.details} {model!r} {vars(model)!r}"
    assert "very-secret" not in shown
    assert len(any_provider.requests) == 1


async def test_empty_answers_do_not_break_the_conversation(any_provider):
    model = await any_provider.start([reply(), reply("hello")])
    empty = await model.complete(ModelRequest(TURN[:1]))
    assert empty.message.parts == ()
    again = ModelRequest((*TURN[:1], empty.message, ModelMessage.user("Well?")))
    assert (await model.complete(again)).text == "hello"


def test_foreign_reasoning_is_left_out():
    unsigned = ModelMessage("assistant", (Reasoning("from elsewhere"), Text("hi")))
    request = ModelRequest((ModelMessage.user("a"), unsigned, ModelMessage.user("b")))
    assert b"elsewhere" not in AnthropicDialect({}).encode(request, "m", stream=False)
    assert b"elsewhere" not in OpenAIDialect("max_tokens", {}).encode(request, "m", stream=False)


def test_a_text_that_json_cannot_carry_is_an_error_that_does_not_quote_it():
    request = ModelRequest((ModelMessage.user("secret \ud800 plan"),))
    with pytest.raises(InvalidRequest) as caught:
        AnthropicDialect({}).encode(request, "m", stream=False)
    assert "secret" not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("arguments", ["{", "[1]", "null", '{"a": 1', "not json", '{"a": NaN}'])
async def test_arguments_that_are_no_object_are_a_typed_error(openai, arguments):
    body = {
        "choices": [
            {
                "message": {
                    "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": arguments}}]
                },
                "finish_reason": "tool_calls",
            }
        ]
    }
    model = await openai.start([Raw(msgspec.json.encode(body))])
    with pytest.raises(ToolArgumentsInvalid):
        await model.complete(REQUEST)
    assert len(openai.requests) == 1


async def test_compatible_servers_may_leave_things_out(openai):
    body = {
        "choices": [
            {
                "message": {"content": None, "tool_calls": [{"function": {"name": "f"}}]},
                "finish_reason": "stop",
            }
        ]
    }
    model = await openai.start([Raw(msgspec.json.encode(body), content_type="text/plain")])
    response = await model.complete(REQUEST)
    assert response.message.tool_uses == (ToolUse("call_0", "f", {}),)
    assert response.stop_reason is StopReason.TOOL_USE
    assert response.model == "asked-model"
    assert not response.usage.reported
    assert response.cost is None


@pytest.mark.parametrize("reason", ["pause_turn", "", None])
async def test_an_unknown_stop_reason_is_a_typed_error(anthropic, reason):
    body = {"model": "m", "content": [], "stop_reason": reason}
    model = await anthropic.start([Raw(msgspec.json.encode(body))])
    with pytest.raises(ResponseInvalid, match="unknown reason"):
        await model.complete(REQUEST)


async def test_unknown_content_is_kept_as_it_came_and_goes_back(anthropic):
    block = {"type": "hologram", "id": "h1", "light": [1, {"x": None}]}
    body = {"model": "m", "content": [block], "stop_reason": "end_turn"}
    model = await anthropic.start([Raw(msgspec.json.encode(body))])
    answer = await model.complete(REQUEST)
    assert answer.message.parts == (Native("anthropic", block),)
    again = ModelRequest((*TURN[:1], answer.message, *TURN[:1]))
    sent = msgspec.json.decode(AnthropicDialect({}).encode(again, "m", stream=False))
    assert sent["messages"][1]["content"] == [block]
    with pytest.raises(NotTranslatable, match="hologram"):
        OpenAIDialect("max_tokens", {}).encode(again, "m", stream=False)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
spoken = st.builds(Text, texts) | st.builds(Reasoning, texts, texts)


@st.composite
def conversations(draw):
    """Any conversation that a program can have: every tool use is answered in the next message."""
    messages = [ModelMessage.user(draw(texts.filter(str.strip)))]
    for turn in range(draw(st.integers(0, 4))):
        uses = [
            ToolUse(f"t{turn}_{n}", draw(names), draw(st.dictionaries(texts, json, max_size=3)))
            for n in range(draw(st.integers(0, 3)))
        ]
        parts = draw(st.permutations([*draw(st.lists(spoken, max_size=3)), *uses]))
        messages.append(ModelMessage("assistant", tuple(parts)))
        answers = [ToolOutput(use.id, draw(texts), draw(st.booleans())) for use in uses]
        said = draw(st.lists(st.builds(Text, texts), min_size=0 if uses else 1, max_size=2))
        messages.append(ModelMessage("user", tuple(draw(st.permutations([*answers, *said])))))
    return ModelRequest(tuple(messages), system=draw(texts))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(conversations())
def test_no_conversation_is_refused_for_its_form(request):
    body = msgspec.json.decode(AnthropicDialect({}).encode(request, "m", stream=False))
    assert list(anthropic_complaints(body)) == []
    body = msgspec.json.decode(OpenAIDialect("max_tokens", {}).encode(request, "m", stream=False))
    assert list(openai_complaints(body)) == []


@given(st.binary())
def test_no_answer_breaks_the_reader(body):
    for dialect in (AnthropicDialect({}), OpenAIDialect("max_tokens", {})):
        with pytest.raises(ResponseInvalid):
            dialect.decode(body)
        assert dialect.refusal(500, body).kind


REASONED = {
    "responses": Reasoning(
        "Hm",
        '{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm"}],'
        '"encrypted_content":"gAAA"}',
        format="responses",
    ),
    "gemini": Reasoning("Hm", "c2ln", format="gemini"),
    "bedrock": Reasoning("Hm", "c2ln", format="converse"),
}


async def test_seals_survive_a_conversation(any_provider):
    name = any_provider.name
    if name not in REASONED:
        return
    sealed = [REASONED[name]]
    if name != "responses":
        written_in = sealed[0].format
        sealed.append(Reasoning("", "b24tY2FsbA==", redacted=True, format=written_in))
    said = (*sealed, ToolUse("t1", "add", {"a": 1}), ToolUse("t2", "add", {"b": [1, {"c": None}]}))
    usage = Usage(7, 5, 3, 0, 2 * (name != "bedrock"))
    answer = reply(*said, usage=usage)
    model = await any_provider.start([answer, answer, reply("done")])
    whole = await model.complete(ModelRequest(TURN[:1], tools=(ADD,)))
    events = [event async for event in model.stream(ModelRequest(TURN[:1], tools=(ADD,)))]
    streamed = events[-1]
    assert isinstance(streamed, ModelResponse)
    assert whole.message.parts == streamed.message.parts == said
    assert whole.usage == streamed.usage == usage
    assert whole.stop_reason is streamed.stop_reason is StopReason.TOOL_USE
    assert [event.name for event in events if isinstance(event, ToolUseStart)] == ["add", "add"]
    outputs = ModelMessage.outputs(ToolOutput("t1", "3"), ToolOutput("t2", "no", is_error=True))
    follow_up = ModelRequest((*TURN[:1], whole.message, outputs), tools=(ADD,))
    assert (await model.complete(follow_up)).text == "done"
    # What was sealed went back as it came.
    again = str(any_provider.requests[-1])
    assert all(seal in again for seal in ("gAAA",) * (name == "responses") or ("c2ln", "b24tY2"))


async def test_tokens_that_nobody_counts_are_estimated(openai):
    count = await (await openai.start([])).count_tokens(REQUEST)
    assert not count.exact
    assert count.tokens > 50


@pytest.mark.parametrize(
    ("dialect", "path", "answer"),
    [
        (AnthropicDialect({}), "/v1/messages/count_tokens", b'{"input_tokens": 7}'),
        (ResponsesDialect({}), "/responses/input_tokens", b'{"input_tokens": 7}'),
        (GeminiDialect({}), "/models/m:countTokens", b'{"totalTokens": 7}'),
    ],
)
def test_the_provider_is_asked_to_count(dialect, path, answer):
    counting = dialect.counting(ModelRequest(TURN[:1]), "m")
    assert counting.path == path
    assert counting.decode(answer) == 7
    with pytest.raises(ResponseInvalid):
        counting.decode(b"{}")
