"""The gateway as the official SDKs see it, unmodified."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pydantic
import pytest

from toka.llm_gateway import (
    ContentFiltered,
    ContextTooLong,
    Embeddings,
    Estimate,
    HttpOptions,
    InvalidRequest,
    ModelLimits,
    ModelTimeout,
    OpenAIChatModel,
    Overloaded,
    PriceTable,
    ProviderError,
    RateLimited,
    Reasoning,
    StreamInterrupted,
    Text,
    TextDelta,
    ToolUse,
    Usage,
)
from toka.llm_gateway.server import Gateway, ModelCatalog, serve
from toka.llm_gateway.testing import ScriptedModel, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ASK = [{"role": "user", "content": "hello"}]
ADD = {
    "name": "add",
    "description": "Adds.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@asynccontextmanager
async def served(script, **settings) -> AsyncIterator[Any]:
    model = script if hasattr(script, "stream") else ScriptedModel(script)
    gateway = Gateway(ModelCatalog({"toka": model}), **settings)
    async with serve(gateway) as url:
        yield url, model


@asynccontextmanager
async def openai_client(script, *, retries=0, **settings) -> AsyncIterator[Any]:
    async with (
        served(script, **settings) as (url, model),
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=retries) as client,
    ):
        yield client, model


@asynccontextmanager
async def anthropic_client(script, *, retries=0, **settings) -> AsyncIterator[Any]:
    async with (
        served(script, **settings) as (url, model),
        anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=retries) as client,
    ):
        yield client, model


async def test_openai_chat():
    async with openai_client([reply("Hi there.")]) as (client, model):
        answer = await client.chat.completions.create(
            model="toka",
            messages=[{"role": "system", "content": "Be kind."}, *ASK],
            max_completion_tokens=50,
            temperature=0.2,
        )
    assert answer.choices[0].message.content == "Hi there."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens > 0
    assert answer._request_id.startswith("req_")
    assert model.last_request.system == "Be kind."
    assert model.last_request.max_output_tokens == 50


async def test_openai_chat_streamed():
    async with openai_client([reply("one two three")]) as (client, _):
        stream = await client.chat.completions.create(
            model="toka", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert chunks[-1].usage.completion_tokens > 0
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


async def test_openai_tools_go_and_come_back():
    uses = (ToolUse("c1", "add", {"a": 1}), ToolUse("c2", "add", {"a": 2}))
    tools = [{"type": "function", "function": ADD}]
    async with openai_client([reply(*uses), reply(*uses), reply("3")]) as (client, model):
        whole = await client.chat.completions.create(model="toka", messages=ASK, tools=tools)
        async with client.chat.completions.stream(
            model="toka", messages=ASK, tools=tools
        ) as stream:
            streamed = await stream.get_final_completion()
        for answer in (whole, streamed):
            calls = answer.choices[0].message.tool_calls
            assert [json.loads(call.function.arguments) for call in calls] == [{"a": 1}, {"a": 2}]
            assert answer.choices[0].finish_reason == "tool_calls"
        outputs = [{"role": "tool", "tool_call_id": f"c{n}", "content": "x"} for n in (1, 2)]
        said = whole.choices[0].message.model_dump(exclude_none=True)
        last = await client.chat.completions.create(
            model="toka", messages=[*ASK, said, *outputs], tools=tools
        )
    assert last.choices[0].message.content == "3"
    assert [use.id for use in model.last_request.messages[1].tool_uses] == ["c1", "c2"]
    assert len(model.last_request.messages[2].parts) == 2


async def test_openai_parsed_output():
    class Sum(pydantic.BaseModel):
        total: int

    async with openai_client([reply('{"total": 3}')]) as (client, model):
        answer = await client.chat.completions.parse(
            model="toka", messages=ASK, response_format=Sum
        )
    assert answer.choices[0].message.parsed == Sum(total=3)
    assert model.last_request.output.name == "Sum"


async def test_openai_responses():
    parts = (Reasoning("Hm."), Text("Hi."), ToolUse("c1", "add", {"a": 1}))
    async with openai_client([reply(*parts), reply(*parts), reply("done")]) as (client, model):
        tools = [{"type": "function", **ADD, "strict": False}]
        whole = await client.responses.create(model="toka", input="hello", tools=tools)
        async with client.responses.stream(model="toka", input="hello", tools=tools) as stream:
            deltas = [e.delta async for e in stream if e.type == "response.output_text.delta"]
            streamed = await stream.get_final_response()
        for answer in (whole, streamed):
            assert answer.output_text == "Hi."
            assert [item.type for item in answer.output] == [
                "reasoning",
                "message",
                "function_call",
            ]
            assert answer.status == "completed"
            assert answer.usage.total_tokens > 0
        assert "".join(deltas) == "Hi."
        output = {"type": "function_call_output", "call_id": "c1", "output": "2"}
        turns = [{"role": "user", "content": "hello"}, *whole.output, output]
        last = await client.responses.create(model="toka", input=turns, tools=tools)
    assert last.output_text == "done"
    assert model.last_request.messages[1].tool_uses[0].arguments == {"a": 1}


async def test_known_limits_are_listed_and_kept():
    toka = ("scripted", "scripted")
    known = ModelLimits(8192, 100, frozenset({"text", "image"}), tools=True)
    prices = PriceTable("", {}, {toka: known})
    async with anthropic_client([], prices=prices) as (client, _):
        listed = [each async for each in client.models.list()]
        one = await client.models.retrieve("toka")
    assert [each.id for each in listed] == ["toka"]
    assert (one.max_input_tokens, one.max_tokens) == (8192, 100)
    assert one.input_modalities == ["image", "text"]
    assert one.tools is True
    async with openai_client([]) as (client, _):
        assert "max_tokens" not in (await client.models.retrieve("toka")).model_extra
    # Port 9 discards: whatever was sent there would fail otherwise.
    prices = PriceTable("", {}, {("openai", "m"): known})
    small = OpenAIChatModel(
        "m", None, base_url="http://127.0.0.1:9/v1", options=HttpOptions(prices=prices)
    )
    async with openai_client(small, retries=2) as (client, _):
        with pytest.raises(openai.BadRequestError, match="100 at most") as caught:
            await client.chat.completions.create(model="toka", messages=ASK, max_tokens=101)
    assert caught.value.code == "llm.model_unfit"


async def test_openai_models_and_embeddings():
    class Embedder:
        provider = "local"
        name = "small"

        async def embed(self, texts, *, dimensions=None):
            vectors = tuple((float(len(text)), 0.5) for text in texts)
            assert dimensions in {None, 2}
            return Embeddings(vectors, Usage(3), "small", "local")

        def estimate(self, texts):
            return Estimate(len(texts), 0, None)

        async def aclose(self):
            pass

    async with openai_client([], embeddings={"small": Embedder()}) as (client, _):
        names = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("toka")
        made = await client.embeddings.create(model="small", input=["ab", "abc"])
        floats = await client.embeddings.create(
            model="small", input="abcd", encoding_format="float"
        )
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model="none", input="x")
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model="small", input=[[1, 2]])
    assert names == ["toka", "small"]
    assert one.owned_by == "scripted"
    assert [vector.embedding for vector in made.data] == [[2.0, 0.5], [3.0, 0.5]]
    assert floats.data[0].embedding == [4.0, 0.5]
    assert made.usage.prompt_tokens == 3


async def test_anthropic_messages():
    parts = (Reasoning("Hm.", "sig=="), Text("Hi."), ToolUse("t1", "add", {"a": 1}))
    tools = [{"name": "add", "description": "Adds.", "input_schema": ADD["parameters"]}]
    async with anthropic_client([reply(*parts), reply(*parts), reply("done")]) as (client, model):
        ask = {"model": "toka", "max_tokens": 99, "tools": tools}
        whole = await client.messages.create(messages=ASK, **ask)
        async with client.messages.stream(messages=ASK, **ask) as stream:
            pieces = [text async for text in stream.text_stream]
            streamed = await stream.get_final_message()
        for answer in (whole, streamed):
            thinking, text, use = answer.content
            assert (thinking.thinking, thinking.signature) == ("Hm.", "sig==")
            assert text.text == "Hi."
            assert use.input == {"a": 1}
            assert answer.stop_reason == "tool_use"
            assert answer.usage.output_tokens > 0
        assert "".join(pieces) == "Hi."
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "2"}
        turns = [
            *ASK,
            {"role": "assistant", "content": streamed.content},
            {"role": "user", "content": [result]},
        ]
        last = await client.messages.create(messages=turns, **ask)
        count = await client.messages.count_tokens(model="toka", messages=ASK)
        names = [each.id async for each in client.models.list()]
    assert last.content[0].text == "done"
    assert model.last_request.messages[1].parts == parts
    assert count.input_tokens > 0
    assert names == ["toka"]


ERRORS = [
    (InvalidRequest("no"), 400, "BadRequestError"),
    (ContextTooLong("long"), 400, "BadRequestError"),
    (ContentFiltered("no"), 400, "BadRequestError"),
    (RateLimited("slow"), 429, "RateLimitError"),
    (Overloaded("full"), 503, "InternalServerError"),
    (ProviderError("broke"), 502, "InternalServerError"),
    (ModelTimeout("late"), 504, "InternalServerError"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("error", "status", "name"), ERRORS)
async def test_failures_before_the_first_token_have_their_status(error, status, name, stream):
    async with openai_client([error]) as (client, _):
        with pytest.raises(getattr(openai, name)) as caught:
            await client.chat.completions.create(model="toka", messages=ASK, stream=stream)
    assert caught.value.status_code == status
    async with anthropic_client([error]) as (client, _):
        with pytest.raises(anthropic.APIStatusError) as refused:
            await client.messages.create(model="toka", max_tokens=9, messages=ASK, stream=stream)
    assert refused.value.status_code == status


class Breaking(ScriptedModel):
    async def stream(self, request):
        self.last_request = request
        yield TextDelta("half a ")
        raise StreamInterrupted("cut")


async def drained(stream, into):
    async for event in stream:
        into.append(event)


async def test_a_stream_that_breaks_is_an_error_in_every_sdk():
    async with openai_client(Breaking([])) as (client, _):
        chunks, events = [], []
        stream = await client.chat.completions.create(model="toka", messages=ASK, stream=True)
        with pytest.raises(openai.APIError, match="cut"):
            await drained(stream, chunks)
        assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "half a "
        stream = await client.responses.create(model="toka", input="x", stream=True)
        with pytest.raises(openai.APIError, match="cut"):
            await drained(stream, events)
        assert "response.completed" not in [event.type for event in events]
    async with anthropic_client(Breaking([])) as (client, _):
        stream = await client.messages.create(model="toka", max_tokens=9, messages=ASK, stream=True)
        events = []
        with pytest.raises(anthropic.APIError, match="cut"):
            await drained(stream, events)
        assert "message_stop" not in [event.type for event in events]


async def test_sdks_come_back_only_where_that_helps():
    limited = RateLimited("slow", details={"retry_after_ns": 1_000_000})
    async with openai_client([limited, reply("at last")], retries=2) as (client, model):
        answer = await client.chat.completions.create(model="toka", messages=ASK)
        assert answer.choices[0].message.content == "at last"
        assert model.calls == 2
    # The gateway has tried already: a broken provider is not multiplied by the SDK's tries.
    broken = [ProviderError("broke"), reply("x")]
    async with openai_client(broken, retries=2) as (client, model):
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="toka", messages=ASK)
        assert model.calls == 1
    async with anthropic_client(broken, retries=2) as (client, model):
        with pytest.raises(anthropic.InternalServerError):
            await client.messages.create(model="toka", max_tokens=9, messages=ASK)
        assert model.calls == 1


async def test_an_unknown_model_and_a_malformed_request_are_told_apart():
    async with openai_client([]) as (client, _):
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="other", messages=ASK)
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="toka", messages=[])
        with pytest.raises(openai.BadRequestError, match="logprobs"):
            await client.chat.completions.create(model="toka", messages=ASK, logprobs=True)
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            await client.responses.create(model="toka", input="x", previous_response_id="r")
