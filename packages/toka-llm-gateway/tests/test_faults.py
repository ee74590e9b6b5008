"""The provider faults of FailoverBench (scenarios/catalogue.yaml) that need no second provider.

Each is judged from both sides: what the caller got, and what the provider saw. S04, S14 and S15 are
about switching to another provider: see test_fallback.py, with that half of S06 to S09.
"""

from __future__ import annotations

import pytest

from toka.llm_gateway import (
    AuthenticationFailed,
    CallFailed,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    HttpOptions,
    InvalidRequest,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelTimeout,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResponseInvalid,
    ResponseTooLarge,
    RetryPolicy,
    StreamInterrupted,
    TextDelta,
    Timeouts,
)
from toka.llm_gateway.testing import Damaged, Raw, Refuse, Reset, Silence, reply

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("Explain in sixty words."),))
WHOLE = " ".join(f"word{number}" for number in range(60))
GOOD = reply(WHOLE)
HEAD = 12  # events of either format that bring some, but not all, of the words


async def complete(model):
    return await model.complete(ASK)


async def stream(model):
    events = [event async for event in model.stream(ASK)]
    response = events.pop()
    assert isinstance(response, ModelResponse)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == response.text
    return response


async def collect(model, into):
    async for event in model.stream(ASK):
        into.append(event)


@pytest.fixture(params=[complete, stream])
def call(request):
    return request.param


def refusal(provider, status, anthropic_reason, openai_reason, message="no", **headers):
    reason = anthropic_reason if provider.name == "anthropic" else openai_reason
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refuse(status, reason, message, named)


async def test_s01_retry_after_is_honoured(provider, call, clock):
    limit = refusal(provider, 429, "rate_limit_error", "rate_limit_exceeded", retry_after="2")
    model = await provider.start([limit, GOOD])
    response = await call(model)
    assert response.text == WHOLE
    assert response.attempts == 2
    assert len(clock.slept) == 1
    assert 2 <= clock.slept[0] <= 2.2


async def test_s01_a_date_is_honoured_too(provider, call, clock):
    # The virtual clock starts on Fri, 15 Jan 2027 08:00:00 GMT.
    limit = Refuse(
        429, "rate_limit_error", headers={"Retry-After": "Fri, 15 Jan 2027 08:00:07 GMT"}
    )
    await call(await provider.start([limit, GOOD]))
    assert 7 <= clock.slept[0] <= 7.7


async def test_s01_a_limit_that_is_used_up_is_honoured_too(provider, call, clock):
    used_up = {
        "anthropic": {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:07Z",
        },
        "openai": {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7s"},
    }
    limit = Refuse(429, "rate_limit_error", headers=used_up[provider.name])
    await call(await provider.start([limit, GOOD]))
    assert 7 <= clock.slept[0] <= 7.7


async def test_s01_too_long_a_wait_is_handed_to_the_caller(provider, call, clock):
    limit = Refuse(429, "rate_limit_error", headers={"Retry-After": "3600"})
    model = await provider.start([limit, GOOD])
    with pytest.raises(RateLimited) as caught:
        await call(model)
    assert caught.value.retry_after_ns == 3_600_000_000_000
    assert len(provider.requests) == 1
    assert clock.slept == []


async def test_s02_persistent_429_backs_off_and_is_bounded(provider, call, clock):
    limit = Refuse(429, "rate_limit_error")
    draws = iter([0.0, 0.9, 0.3])
    model = await provider.start(
        lambda _: limit, random=lambda: next(draws), retry=RetryPolicy(attempts=4)
    )
    with pytest.raises(RateLimited) as caught:
        await call(model)
    assert caught.value.attempts == 4
    assert len(provider.requests) == 4
    assert clock.slept == pytest.approx([0.25, 0.95, 1.3])


async def test_s03_one_500_is_repeated_on_the_same_provider(provider, call):
    model = await provider.start([Refuse(500, "api_error"), GOOD])
    response = await call(model)
    assert response.text == WHOLE
    assert len(provider.requests) == 2


async def test_s05_a_reset_before_the_headers_is_repeated(provider, call):
    model = await provider.start([Reset(), GOOD])
    response = await call(model)
    assert response.text == WHOLE
    assert response.attempts == 2


async def test_s06_silence_ends_in_one_timeout(provider, call):
    model = await provider.start(
        lambda _: Silence(), timeouts=Timeouts(first_token=0.2, total=0.25)
    )
    with pytest.raises(ModelTimeout):
        await call(model)
    assert len(provider.requests) == 1


async def test_s07_the_first_token_has_its_own_limit(provider):
    # Headers, and for Anthropic a ping, come at once: they are not a token.
    model = await provider.start([Damaged(GOOD, "stall", 1)], timeouts=Timeouts(first_token=0.2))
    with pytest.raises(ModelTimeout) as caught:
        await stream(model)
    assert caught.value.phase == "first_token"
    assert len(provider.requests) == 1


@pytest.mark.parametrize("damage", ["end", "reset"])
async def test_s08_a_cut_stream_is_never_a_success(provider, damage):
    model = await provider.start([Damaged(GOOD, damage, HEAD), GOOD])
    got = []
    with pytest.raises(StreamInterrupted) as caught:
        await collect(model, got)
    assert got
    assert not any(isinstance(event, ModelResponse) for event in got)
    assert caught.value.retryable
    assert len(provider.requests) == 1


@pytest.mark.parametrize("damage", ["end", "reset"])
async def test_s08_a_stream_cut_before_any_content_is_repeated(provider, damage):
    model = await provider.start([Damaged(GOOD, damage, 1), GOOD])
    response = await stream(model)
    assert response.text == WHOLE
    assert response.attempts == 2


async def test_s09_a_stall_is_noticed_and_the_model_stays_healthy(provider):
    model = await provider.start([Damaged(GOOD, "stall", HEAD), GOOD], timeouts=Timeouts(idle=0.2))
    with pytest.raises(ModelTimeout) as caught:
        await stream(model)
    assert caught.value.phase == "idle"
    assert (await complete(model)).text == WHOLE


async def test_s10_a_malformed_event_is_skipped_and_counted(provider):
    response = await stream(await provider.start([Damaged(GOOD, "malformed", HEAD)]))
    assert response.text == WHOLE
    assert response.skipped_events == 1


async def test_s11_a_missing_end_mark_costs_nothing(provider):
    response = await stream(await provider.start([Damaged(GOOD, "unterminated")]))
    assert response.text == WHOLE
    assert response.usage == GOOD.usage


async def test_s11_a_stream_that_stays_open_after_its_end_is_finalised(openai):
    # Everything but the end mark has come, and then the connection hangs.
    events = 1 + 60 + 1
    model = await openai.start([Damaged(GOOD, "stall", events)], timeouts=Timeouts(idle=0.2))
    response = await stream(model)
    assert response.text == WHOLE
    assert not response.usage.reported
    assert response.cost is None


async def test_s12_too_long_a_context_is_not_repeated(provider, call):
    refuse = refusal(
        provider,
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "prompt is too long: 250000 tokens > 200000 maximum",
    )
    model = await provider.start([refuse, GOOD])
    with pytest.raises(ContextTooLong):
        await call(model)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
async def test_s13_a_content_filter_is_a_clean_error(openai, call, code):
    model = await openai.start([Refuse(400, code, "Your request was rejected."), GOOD])
    with pytest.raises(ContentFiltered, match="rejected"):
        await call(model)
    assert len(openai.requests) == 1


async def test_s16_the_answering_model_is_named_and_failures_are_not_billed(provider, call):
    priced = "claude-sonnet-5-5" if provider.name == "anthropic" else "gpt-4o"
    good = reply(WHOLE)
    answer = ModelResponse(good.message, good.stop_reason, good.usage, priced, "", None)
    model = await provider.start([Refuse(503, "overloaded_error"), Reset(), answer])
    response = await call(model)
    assert response.model == priced
    assert response.provider == provider.name
    assert response.usage == good.usage
    assert response.attempts == 3
    micro = 10 * 2 + 5 * 10 if provider.name == "anthropic" else 75
    assert response.cost is not None
    assert response.cost.micro_usd == micro


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "invalid_request_error", InvalidRequest),
        (402, "billing_error", QuotaExhausted),
        (403, "permission_error", AuthenticationFailed),
        (413, "request_too_large", ContextTooLong),
        (422, "", InvalidRequest),
        (500, "api_error", ProviderError),
        (502, "", ProviderError),
        (503, "", Overloaded),
        (529, "overloaded_error", Overloaded),
        (302, "", ResponseInvalid),
    ],
)
async def test_every_status_has_its_error(provider, call, status, reason, kind):
    model = await provider.start(lambda _: Refuse(status, reason), retry=RetryPolicy(attempts=1))
    with pytest.raises(CallFailed) as caught:
        await call(model)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.request_id == "req_0001"
    assert caught.value.code.startswith("llm.")


async def test_an_empty_account_is_not_called_again(openai, call):
    model = await openai.start([Refuse(429, "insufficient_quota"), GOOD])
    with pytest.raises(QuotaExhausted):
        await call(model)
    assert len(openai.requests) == 1


async def test_x_should_retry_overrides_the_status(provider, call):
    model = await provider.start(
        [
            Refuse(400, "invalid_request_error", headers={"x-should-retry": "true"}),
            Refuse(500, "api_error", headers={"x-should-retry": "false"}),
            GOOD,
        ]
    )
    with pytest.raises(ProviderError):
        await call(model)
    assert len(provider.requests) == 2


async def test_retries_end_with_the_time_limit_of_the_call(provider, call, clock):
    limit = Refuse(429, "rate_limit_error", headers={"Retry-After": "50"})
    model = await provider.start(
        lambda _: limit, timeouts=Timeouts(total=90), retry=RetryPolicy(attempts=9)
    )
    with pytest.raises(RateLimited):
        await call(model)
    assert len(provider.requests) == 2
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"choices": [', b"<html>", b"null", b"[]", b"\xff\xfe", b"[" * 100_000],
)
async def test_half_an_answer_is_a_typed_error(provider, body):
    model = await provider.start([Raw(body), GOOD])
    with pytest.raises(ResponseInvalid):
        await model.complete(ASK)
    assert len(provider.requests) == 1


async def test_a_stream_of_the_wrong_type_is_a_typed_error(provider):
    model = await provider.start([Raw(b"<html>", content_type="text/html")])
    with pytest.raises(ResponseInvalid, match="text/html"):
        await stream(model)


async def test_a_huge_answer_is_refused(provider):
    model = await provider.start([Raw(b" " * 100_000)], max_response_bytes=10_000)
    with pytest.raises(ResponseTooLarge):
        await model.complete(ASK)


async def test_a_huge_stream_is_refused(provider):
    model = await provider.start([reply("word " * 2_000)], max_response_bytes=10_000)
    with pytest.raises(ResponseTooLarge):
        await stream(model)


async def test_a_huge_error_is_still_that_error(provider, call):
    body = b"x" * 200_000
    model = await provider.start([Raw(body, status=400)], max_response_bytes=10_000)
    with pytest.raises(InvalidRequest):
        await call(model)


async def test_nobody_listening_is_a_connection_failure(provider, call, clock):
    model = provider.model_at("http://127.0.0.1:1", "k", HttpOptions(clock=clock))
    with pytest.raises(ConnectionFailed) as caught:
        await call(model)
    assert caught.value.attempts == 3


async def test_an_error_event_before_content_is_repeated_and_after_it_is_not(anthropic):
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    early = Raw(error, content_type="text/event-stream")
    late = Raw(
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text"}}\n\n'
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}'
        b"\n\n" + error,
        content_type="text/event-stream",
    )
    model = await anthropic.start([early, late, GOOD])
    with pytest.raises(Overloaded):
        await stream(model)
    assert len(anthropic.requests) == 2


async def test_an_error_in_an_openai_stream_is_raised(openai):
    error = b'data: {"error": {"message": "boom", "code": 500}}\n\n'
    model = await openai.start(
        [Raw(error, content_type="text/event-stream")], retry=RetryPolicy(attempts=1)
    )
    with pytest.raises(ProviderError, match="boom"):
        await stream(model)
