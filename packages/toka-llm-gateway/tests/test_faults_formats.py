"""The provider faults that a format has its own way of showing, for every format."""

from __future__ import annotations

import pytest

from toka.llm_gateway import (
    ContentFiltered,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelTimeout,
    ProviderError,
    RateLimited,
    ResponseInvalid,
    RetryPolicy,
    StopReason,
    StreamInterrupted,
    TextDelta,
    Timeouts,
    ToolArgumentsInvalid,
)
from toka.llm_gateway.testing import Damaged, Raw, Refuse, reply

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("Explain in sixty words."),))
WHOLE = " ".join(f"word{number}" for number in range(60))
GOOD = reply(WHOLE)
HEAD = 14


async def collect(model, into):
    async for event in model.stream(ASK):
        into.append(event)


async def test_s01_retry_after_is_honoured(any_provider, clock):
    limit = Refuse(429, "rate_limit_exceeded", headers={"Retry-After": "2"})
    model = await any_provider.start([limit, GOOD])
    assert (await model.complete(ASK)).text == WHOLE
    assert 2 <= clock.slept[0] <= 2.2


async def test_s07_the_first_token_has_its_own_limit(any_provider):
    slow = Damaged(GOOD, "stall", any_provider.opening)
    model = await any_provider.start([slow], timeouts=Timeouts(first_token=0.2))
    with pytest.raises(ModelTimeout) as caught:
        await collect(model, [])
    assert caught.value.phase == "first_token"


@pytest.mark.parametrize("damage", ["end", "reset"])
async def test_s08_a_cut_stream_is_never_a_success(any_provider, damage):
    model = await any_provider.start([Damaged(GOOD, damage, HEAD), GOOD])
    got = []
    with pytest.raises(StreamInterrupted):
        await collect(model, got)
    assert any(isinstance(event, TextDelta) for event in got)
    assert not any(isinstance(event, ModelResponse) for event in got)


async def test_s09_a_stall_is_noticed(any_provider):
    model = await any_provider.start(
        [Damaged(GOOD, "stall", HEAD), GOOD], timeouts=Timeouts(idle=0.2)
    )
    with pytest.raises(ModelTimeout) as caught:
        await collect(model, [])
    assert caught.value.phase == "idle"
    assert (await model.complete(ASK)).text == WHOLE


async def test_s10_a_malformed_event_is_skipped_and_counted(any_provider):
    model = await any_provider.start([Damaged(GOOD, "malformed", HEAD)])
    got = []
    await collect(model, got)
    assert got[-1].text == WHOLE
    assert got[-1].skipped_events == 1


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff\xfe", b"{}"])
async def test_half_an_answer_is_a_typed_error(any_provider, body):
    model = await any_provider.start([Raw(body)])
    with pytest.raises(ResponseInvalid):
        await model.complete(ASK)


SSE = "text/event-stream"


@pytest.mark.parametrize("stream", [False, True])
async def test_responses_that_failed_are_typed_errors(responses, stream):
    failed = (
        b'{"id":"r","status":"failed","output":[],"error":'
        b'{"code":"rate_limit_exceeded","message":"slow down"}}'
    )
    event = b'data: {"type":"response.failed","response":%s}\n\n' % failed
    said = Raw(event, content_type=SSE) if stream else Raw(failed)
    model = await responses.start([said], retry=RetryPolicy(attempts=1))
    with pytest.raises(RateLimited, match="slow down"):
        await (collect(model, []) if stream else model.complete(ASK))


async def test_responses_may_end_with_an_error_event(responses):
    event = b'data: {"type":"error","code":"server_error","message":"boom","param":null}\n\n'
    model = await responses.start([Raw(event, content_type=SSE)], retry=RetryPolicy(attempts=1))
    with pytest.raises(ProviderError, match="boom"):
        await collect(model, [])


@pytest.mark.parametrize("stop", [StopReason.MAX_TOKENS, StopReason.REFUSAL])
async def test_incomplete_responses_say_why(responses, stop):
    model = await responses.start([reply("half", stop_reason=stop)])
    assert (await model.complete(ASK)).stop_reason is stop


async def test_gemini_blocks_a_prompt(gemini):
    model = await gemini.start([Raw(b'{"promptFeedback":{"blockReason":"SAFETY"}}')])
    with pytest.raises(ContentFiltered):
        await model.complete(ASK)
    assert len(gemini.requests) == 1


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("MALFORMED_FUNCTION_CALL", ToolArgumentsInvalid), ("NEWS", ResponseInvalid)],
)
async def test_gemini_ends_for_a_reason_that_is_no_answer(gemini, reason, kind):
    body = b'{"candidates":[{"finishReason":"%s"}]}' % reason.encode()
    model = await gemini.start([Raw(body)])
    with pytest.raises(kind):
        await model.complete(ASK)
