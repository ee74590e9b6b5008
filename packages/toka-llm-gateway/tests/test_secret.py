from __future__ import annotations

import asyncio
import copy
import pickle

import pytest

from toka.llm_gateway import (
    AnthropicModel,
    ApiKey,
    CallFailed,
    ConfigurationInvalid,
    HttpOptions,
    ModelMessage,
    ModelRequest,
    OpenAIChatModel,
    ResponseInvalid,
    RetryPolicy,
)
from toka.llm_gateway.http._quote import MAX_QUOTE, quote
from toka.llm_gateway.testing import Refuse

KEY = "sk-ant-0123456789abcdef"


def test_a_key_shows_nowhere():
    key = ApiKey(f" {KEY}\n")
    assert key.reveal() == KEY
    assert KEY not in f"{key!r} {key} {[key]}"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.copy(key)


@pytest.mark.parametrize("text", ["", "  ", "a b", "a\nb", "a\x00", "kéy", "a\r\nX-Evil: 1"])
def test_a_key_that_no_header_carries_is_refused_without_showing_it(text):
    with pytest.raises(ConfigurationInvalid) as caught:
        ApiKey(text)
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize("kind", [AnthropicModel, OpenAIChatModel])
def test_a_model_cannot_be_pickled_with_its_key(kind):
    with pytest.raises(TypeError):
        pickle.dumps(kind("m", KEY))


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
async def test_an_error_repeats_neither_key_nor_prompt(provider, status):
    prompt = "The merger of Alpha and Beta is announced on Monday at nine, tell no one."
    server = await provider.serve(
        lambda _: Refuse(status, "", f"Key {server.key} may not ask: {prompt}\nreally")
    )
    model = provider.model(server, retry=RetryPolicy(attempts=1))
    with pytest.raises(CallFailed) as caught:
        await model.complete(ModelRequest((ModelMessage.user(prompt),)))
    error = caught.value
    shown = f"{error!r} {error} {error.details} {error.__context__!r} {pickle.dumps(error)!r}"
    assert server.key not in shown
    assert "Alpha and Beta" not in shown
    if status != 401:
        assert "may not ask" in shown


@pytest.mark.anyio
async def test_an_answer_that_is_not_http_does_not_show_the_key(provider):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        model = provider.model_at(f"http://127.0.0.1:{port}", KEY, HttpOptions())
        with pytest.raises(ResponseInvalid) as caught:
            await model.complete(ModelRequest((ModelMessage.user("x"),)))
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert KEY not in repr(chain)
    assert chain[1:] == [None, None]


def test_a_quote_is_one_short_line():
    assert quote("a\n b\t c", b"", None) == "a b c"
    assert len(quote("x" * 10_000, b"", None)) == MAX_QUOTE


def test_a_quote_keeps_what_was_not_sent():
    complaint = "messages.1.content.0: unexpected `tool_use_id` found in `tool_result` blocks"
    assert quote(complaint, b'{"messages": []}', None) == complaint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://x",
        "http://",
        "https://user:pass@x/v1",
        "https://x?key=1",
        "https://x#f",
        "http://x:99999",
        "http://[",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigurationInvalid) as caught:
        OpenAIChatModel("m", None, base_url=url)
    assert "pass" not in str(caught.value)


def test_a_key_does_not_travel_in_the_clear():
    with pytest.raises(ConfigurationInvalid, match="plain HTTP"):
        OpenAIChatModel("m", KEY, base_url="http://10.0.0.5:8000/v1")
    OpenAIChatModel("m", None, base_url="http://10.0.0.5:8000/v1")
    OpenAIChatModel("m", KEY, base_url="http://127.0.0.1:8000/v1")
    OpenAIChatModel("m", KEY, base_url="http://[::1]:8000/v1")
    OpenAIChatModel("m", KEY, base_url="http://localhost/v1")
    options = HttpOptions(allow_insecure=True)
    OpenAIChatModel("m", KEY, base_url="http://10.0.0.5:8000/v1", options=options)
