from __future__ import annotations

import pytest

from toka.llm_gateway import (
    CallFailed,
    HttpOptions,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RateLimited,
    RetryPolicy,
)
from toka.llm_gateway.testing import DEFAULT_KEY, Recorder, Refuse, Replayer, reply

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("Explain."),))
ONCE = HttpOptions(retry=RetryPolicy(attempts=1))


def address(provider, server):
    """Return where a model finds a server that stands for the provider's."""
    path = "/v1" if provider.name in {"openai", "responses"} else ""
    return f"{server.url}{path}"


async def test_what_was_recorded_is_replayed_without_the_provider(any_provider, tmp_path):
    path = tmp_path / "traffic.jsonl"
    limit = Refuse(429, "rate_limit_exceeded", headers={"Retry-After": "9"})
    upstream = await any_provider.serve([reply("one"), reply("two words"), limit])
    async with Recorder(upstream.url.removesuffix("/v1"), path) as recorder:
        model = any_provider.model_at(address(any_provider, recorder), DEFAULT_KEY, ONCE)
        first = await model.complete(ASK)
        _ = [event async for event in model.stream(ASK)]
        with pytest.raises(RateLimited):
            await model.complete(ASK)
    assert DEFAULT_KEY not in path.read_text()
    # A byte at a time, and with another key: the answers are the same.
    async with Replayer(path, chunk=7) as replayer:
        model = any_provider.model_at(address(any_provider, replayer), "other-key", ONCE)
        again = await model.complete(ASK)
        events = [event async for event in model.stream(ASK)]
        with pytest.raises(AssertionError):
            replayer.check_consumed()
        with pytest.raises(RateLimited) as caught:
            await model.complete(ASK)
        replayer.check_consumed()
        with pytest.raises(CallFailed, match="501"):
            await model.complete(ModelRequest((ModelMessage.user("Something else."),)))
    assert again.message == first.message
    assert caught.value.retry_after_ns == 9 * 10**9
    assert isinstance(events[-1], ModelResponse)
    assert events[-1].text == "two words"
