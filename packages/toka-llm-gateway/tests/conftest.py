from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import settings

from toka.llm_gateway import (
    AnthropicModel,
    BedrockModel,
    GeminiModel,
    HttpModel,
    HttpOptions,
    OpenAIChatModel,
    OpenAIResponsesModel,
)
from toka.llm_gateway.testing import (
    DEFAULT_KEY,
    FakeAnthropic,
    FakeBedrock,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    FakeResponses,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from toka.llm_gateway.testing import ServerScript
    from toka.types import JsonObject


# A busy machine is no reason to fail: laws are about results.
settings.register_profile("toka", deadline=None, max_examples=50)
settings.load_profile("toka")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class VirtualClock:
    """Time passes only by sleeping, and sleeping takes no time."""

    def __init__(self) -> None:
        self.time = 1_800_000_000_000_000_000
        self.slept: list[float] = []

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time

    async def sleep(self, nanoseconds: int) -> None:
        self.time += nanoseconds
        self.slept.append(nanoseconds / 1_000_000_000)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


SERVERS: dict[str, type[FakeProvider]] = {
    "anthropic": FakeAnthropic,
    "openai": FakeOpenAI,
    "responses": FakeResponses,
    "gemini": FakeGemini,
    "bedrock": FakeBedrock,
}
MODELS = {
    "anthropic": AnthropicModel,
    "openai": OpenAIChatModel,
    "responses": OpenAIResponsesModel,
    "gemini": GeminiModel,
    "bedrock": partial(BedrockModel, region="eu-central-1"),
}


@attrs.define
class Provider:
    """One wire format: its server, and a model that talks to it."""

    name: str
    clock: VirtualClock
    servers: list[FakeProvider] = attrs.field(factory=list)
    models: list[HttpModel] = attrs.field(factory=list)

    @property
    def opening(self) -> int:
        """How many events of a stream come before its first content."""
        return 2 if self.name == "responses" else 1

    async def serve(self, script: ServerScript) -> FakeProvider:
        server = SERVERS[self.name](script)
        await server.__aenter__()
        self.servers.append(server)
        return server

    def model(
        self, server: FakeProvider, *, key: str | None = DEFAULT_KEY, **options: Any
    ) -> HttpModel:
        extra = options.pop("extra", {})
        chosen: dict[str, Any] = {"clock": self.clock, "random": lambda: 0.5, **options}
        return self.model_at(server.url, key, HttpOptions(**chosen), extra)

    def model_at(
        self, url: str, key: str | None, options: HttpOptions, extra: JsonObject | None = None
    ) -> HttpModel:
        model = MODELS[self.name](
            "asked-model", key, base_url=url, options=options, extra=extra or {}
        )
        self.models.append(model)
        return model

    async def start(self, script: ServerScript, **options: Any) -> HttpModel:
        return self.model(await self.serve(script), **options)

    @property
    def requests(self) -> list[JsonObject]:
        return [request.body for request in self.servers[0].requests]


async def _provider(name: str, clock: VirtualClock) -> AsyncIterator[Provider]:
    provider = Provider(name, clock)
    try:
        yield provider
    finally:
        for model in provider.models:
            await model.aclose()
        for server in provider.servers:
            await server.__aexit__(None, None, None)


@pytest.fixture(params=["anthropic", "openai"])
async def provider(
    request: pytest.FixtureRequest,
    anyio_backend: str,  # noqa: ARG001 - an asynchronous fixture needs it
    clock: VirtualClock,
) -> AsyncIterator[Provider]:
    async for each in _provider(request.param, clock):
        yield each


@pytest.fixture(params=list(SERVERS))
async def any_provider(
    request: pytest.FixtureRequest,
    anyio_backend: str,  # noqa: ARG001 - an asynchronous fixture needs it
    clock: VirtualClock,
) -> AsyncIterator[Provider]:
    async for each in _provider(request.param, clock):
        yield each


def _one(name: str) -> Any:
    @pytest.fixture(name=name)
    async def provider_of_one(
        anyio_backend: str,  # noqa: ARG001 - an asynchronous fixture needs it
        clock: VirtualClock,
    ) -> AsyncIterator[Provider]:
        async for each in _provider(name, clock):
            yield each

    return provider_of_one


anthropic, openai, responses, gemini, bedrock = (_one(name) for name in SERVERS)
