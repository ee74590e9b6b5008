from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import (
    ConfigurationInvalid,
    ContextTooLong,
    Document,
    FallbackModel,
    Image,
    InvalidRequest,
    Media,
    ModelLimits,
    ModelMessage,
    ModelRequest,
    ModelUnfit,
    PriceTable,
    Text,
    ToolOutput,
    ToolSchema,
    ToolUse,
)
from toka.llm_gateway.testing import ScriptedModel, reply

TABLE = PriceTable.built_in()
PICTURE = Image(Media.of(b"x" * 9000, "image/png"))
PAPER = Document(Media.of(b"%PDF-1.7", "application/pdf"))
TOOL = ToolSchema("add", "Adds.", {"type": "object"})
limits = st.builds(
    ModelLimits,
    st.none() | st.integers(1, 10**7),
    st.none() | st.integers(1, 10**6),
    st.none() | st.frozensets(st.sampled_from(["text", "image", "document"]), min_size=1),
    st.none() | st.booleans(),
)


def asked(*parts, **settings) -> ModelRequest:
    return ModelRequest((ModelMessage("user", parts or (Text("Hi."),)),), **settings)


@given(limits, limits)
def test_what_is_known_goes_over_what_is_not(upper, lower):
    both = upper.over(lower)
    for name in ("context_window", "max_output_tokens", "modalities", "tools"):
        over, under = getattr(upper, name), getattr(lower, name)
        assert getattr(both, name) == (under if over is None else over)


def test_what_is_unknown_refuses_nothing():
    request = asked(Text("word " * 10**6), PICTURE, PAPER, max_output_tokens=10**9, tools=(TOOL,))
    ModelLimits().check(request, "m")


@pytest.mark.parametrize(
    ("known", "request_", "what"),
    [
        (ModelLimits(max_output_tokens=99), asked(max_output_tokens=100), "max_output_tokens"),
        (ModelLimits(tools=False), asked(tools=(TOOL,)), "tools"),
        (ModelLimits(modalities=frozenset({"text"})), asked(Text("x"), PICTURE), "image"),
        (ModelLimits(modalities=frozenset({"text", "image"})), asked(PAPER), "document"),
        (
            ModelLimits(modalities=frozenset({"text"})),
            asked(ToolOutput("t", (Text("here"), PICTURE))),
            "image",
        ),
    ],
)
def test_what_the_model_cannot_take_is_refused_by_name(known, request_, what):
    with pytest.raises(ModelUnfit) as caught:
        known.check(request_, "m")
    assert caught.value.details["what"] == what
    assert not caught.value.retryable


def test_what_is_at_the_limit_passes():
    known = ModelLimits(10, 100, frozenset({"text", "image"}), tools=True)
    known.check(asked(Text("ab" * 40), PICTURE, max_output_tokens=100, tools=(TOOL,)), "m")


@pytest.mark.parametrize(
    "request_",
    [
        asked(Text("ab" * 40 + "!")),
        asked(Text("x"), system="ab" * 40),
        asked(ToolOutput("t", "ab" * 41)),
        asked(ToolOutput("t", (Text("ab" * 20), Text("ab" * 21)))),
    ],
)
def test_an_input_that_cannot_fit_is_refused_without_showing_it(request_):
    with pytest.raises(ContextTooLong) as caught:
        ModelLimits(context_window=10).check(request_, "m")
    assert "abab" not in str(caught.value)


def test_spaces_lines_and_pictures_are_no_reason_to_refuse():
    drawn = "\n".join([" " * 40 + "}" + "=" * 70] * 3)
    ModelLimits(context_window=10).check(asked(Text(drawn), PICTURE), "m")


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_too_long_an_answer_is_refused_before_anything_is_sent(any_provider, stream):
    server = await any_provider.serve([reply("hello")])
    known = ModelLimits(max_output_tokens=50)
    model = any_provider.model(server)
    prices = PriceTable("", {}, {(model.provider, "asked-model"): known})
    model = any_provider.model(server, prices=prices)
    with pytest.raises(ModelUnfit):
        await _ask(model, asked(max_output_tokens=51), stream)
    assert server.requests == []
    bounded = any_provider.model(server, prices=prices, max_output_tokens=50)
    assert (await _ask(bounded, asked(max_output_tokens=51), stream)).text == "hello"


async def _ask(model, request, stream):
    if not stream:
        return await model.complete(request)
    return [event async for event in model.stream(request)][-1]


@pytest.mark.anyio
async def test_a_route_that_has_room_is_asked_instead(openai):
    server = await openai.serve([])
    known = ModelLimits(context_window=1, tools=False)
    prices = PriceTable("", {}, {("openai", "asked-model"): known})
    roomy = ScriptedModel([reply("I can."), reply("I can.")])
    model = FallbackModel([openai.model(server, prices=prices), roomy])
    assert (await model.complete(asked(tools=(TOOL,)))).text == "I can."
    response = await model.complete(asked(Text("A long story.")))
    assert response.text == "I can."
    assert response.attempts == 1
    assert server.requests == []
    assert [route.failures for route in model.health()] == [0, 0]


@pytest.mark.anyio
async def test_where_no_route_has_room_the_refusal_is_raised(openai):
    server = await openai.serve([])
    prices = PriceTable("", {}, {("openai", "asked-model"): ModelLimits(max_output_tokens=1)})
    model = FallbackModel([openai.model(server, prices=prices)] * 2)
    with pytest.raises(ModelUnfit) as caught:
        await model.complete(asked())
    assert caught.value.details["routes_failed"] == ["llm.model_unfit"] * 2
    assert issubclass(ModelUnfit, InvalidRequest)


def test_the_shipped_limits_are_found_by_name_and_snapshot():
    assert TABLE.limits_of("openai", "gpt-4o-2024-08-06").max_output_tokens == 16_384
    assert TABLE.limits_of("anthropic", "claude-opus-5-5").context_window == 1_000_000
    assert TABLE.limits_of("openai", "llama-3") == ModelLimits()
    assert all(known != ModelLimits() for known in TABLE.limits.values())
    for known in TABLE.limits.values():
        if known.context_window is not None and known.max_output_tokens is not None:
            assert known.max_output_tokens < known.context_window


def test_an_entry_may_have_limits_alone_and_changes_only_what_it_names():
    own = PriceTable.parse(
        "[ollama]\nllama3 = { context_window = 8192, modalities = ['text'], tools = false }\n"
        "[openai]\ngpt-4o = { max_output_tokens = 4096 }"
    )
    assert own.find("ollama", "llama3") is None
    merged = TABLE.merged(own)
    assert merged.limits_of("ollama", "llama3") == ModelLimits(
        8192, None, frozenset({"text"}), tools=False
    )
    assert merged.limits_of("openai", "gpt-4o").max_output_tokens == 4096
    assert merged.limits_of("openai", "gpt-4o").context_window == 128_000
    assert merged.find("openai", "gpt-4o") == TABLE.find("openai", "gpt-4o")


@pytest.mark.parametrize(
    "entry",
    [
        "{}",
        "{ context_window = 0 }",
        "{ context_window = 1.5 }",
        "{ context_window = true }",
        '{ max_output_tokens = "8192" }',
        "{ modalities = [] }",
        '{ modalities = "text" }',
        '{ modalities = ["text", "smell"] }',
        '{ modalities = ["text", "text"] }',
        "{ tools = 1 }",
        "{ tools = true, input = 1 }",
        "{ input = 1, output = 1, long_above = 5, long = { context_window = 3 } }",
    ],
)
def test_limits_that_are_none_are_refused(entry):
    with pytest.raises(ConfigurationInvalid, match=r"one\.m"):
        PriceTable.parse(f"[one]\nm = {entry}")


def test_a_tool_use_is_no_content_of_a_kind():
    known = ModelLimits(modalities=frozenset({"text"}))
    use = ModelMessage("assistant", (ToolUse("t", "add", {}),))
    request = ModelRequest(
        (ModelMessage.user("x"), use, ModelMessage.outputs(ToolOutput("t", "3")))
    )
    known.check(request, "m")
