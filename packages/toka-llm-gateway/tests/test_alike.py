"""The cache of questions that mean the same, with the vectors of a real model."""

from __future__ import annotations

import pytest

from toka.llm_gateway import (
    AlikeModel,
    CallFailed,
    ConfigurationInvalid,
    Image,
    Media,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    Overloaded,
    Text,
    ToolSchema,
)
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.store.semantic import HashingEmbedder, MiniLmEmbedder

pytestmark = pytest.mark.anyio

CAPITAL = "What is the capital of France?"


@pytest.fixture(scope="module")
def minilm():
    return MiniLmEmbedder.load()


def asked(text, **fields):
    return ModelRequest((ModelMessage.user(text),), **fields)


def cached(embedder, answers, **options):
    return AlikeModel(ScriptedModel([reply(each) for each in answers]), embedder, **options)


async def test_other_words_for_the_same_question_get_the_same_answer(minilm):
    model = cached(minilm, ["Paris", "Rome"])
    first = await model.complete(asked(CAPITAL))
    again = await model.complete(asked("Which city is France's capital?"))
    assert (first.cached, again.cached) == (False, True)
    assert again.text == "Paris"
    assert again.cost is not None
    assert again.cost.micro_usd == 0
    assert (await model.complete(asked("What is the capital of Italy?"))).text == "Rome"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Is it safe to mix these two cleaners?", "Is it not safe to mix these two cleaners?"),
        ("What is 17 percent of 230?", "What is 19 percent of 230?"),
        ("Summarise chapter 3 of the book.", "Summarise chapter 4 of the book."),
        ("List the files with tests.", "List the files without tests."),
        ("Did Ann pay Bob for the car?", "Did Bob pay Ann for the car?"),
        ("Anna asks when the train leaves.", "Berta asks when the train leaves."),
        ("Why is it so slow?", "Why isn't it so slow?"),
    ],
)
async def test_a_number_a_name_or_a_negation_makes_another_question(minilm, first, second):
    model = cached(minilm, ["one", "two"], alike=0.7)
    await model.complete(asked(first))
    assert (await model.complete(asked(second))).text == "two"


OTHERS = [
    asked(CAPITAL, system="Answer in French."),
    asked(CAPITAL, metadata={"tenant": "b"}),
    asked(CAPITAL, temperature=0.5),
    asked(CAPITAL, tools=(ToolSchema("look", "Looks.", {"type": "object"}),)),
    ModelRequest((ModelMessage.user("Hi."), ModelMessage.user(CAPITAL))),
    ModelRequest(
        (ModelMessage("user", (Text(CAPITAL), Image(Media.of(b"x", "image/png")))),),
    ),
]


@pytest.mark.parametrize("other", OTHERS)
async def test_whatever_else_differs_it_is_asked_anew(other):
    model = cached(HashingEmbedder(), ["one", "two", "three"])
    await model.complete(asked(CAPITAL))
    assert (await model.complete(other)).text == "two"


async def test_long_texts_are_never_taken_for_one_another():
    letter = "kindly answer this letter in a friendly way, " * 10
    model = cached(HashingEmbedder(), ["one", "two"])
    assert [(await model.complete(asked(letter))).text for _ in range(2)] == ["one", "two"]


async def test_with_tools_nothing_is_kept():
    tooled = OTHERS[3]
    model = cached(HashingEmbedder(), ["one", "two"])
    assert [(await model.complete(tooled)).text for _ in range(2)] == ["one", "two"]


async def test_a_stream_is_given_again_as_a_stream():
    model = cached(HashingEmbedder(), ["Paris it is"])
    for wanted in (False, True):
        events = [event async for event in model.stream(asked(CAPITAL))]
        assert isinstance(events[-1], ModelResponse)
        assert events[-1].cached is wanted
        assert events[-1].text == "Paris it is"


async def test_an_answer_grows_old_and_room_is_bounded(clock):
    model = cached(HashingEmbedder(), list("abcd"), ttl=10, max_entries=1, clock=clock)
    assert (await model.complete(asked(CAPITAL))).text == "a"
    await clock.sleep(11 * 10**9)
    assert (await model.complete(asked(CAPITAL))).text == "b"
    assert (await model.complete(asked("How are you today?"))).text == "c"
    assert (await model.complete(asked(CAPITAL))).text == "d"


async def test_failures_are_not_kept():
    model = AlikeModel(ScriptedModel([Overloaded("busy"), reply("x")]), HashingEmbedder())
    with pytest.raises(CallFailed):
        await model.complete(asked(CAPITAL))
    assert (await model.complete(asked(CAPITAL))).text == "x"


@pytest.mark.parametrize("alike", [0.0, 1.01, -1.0])
async def test_a_measure_that_says_nothing_is_refused(alike):
    with pytest.raises(ConfigurationInvalid):
        AlikeModel(ScriptedModel([]), HashingEmbedder(), alike=alike)
