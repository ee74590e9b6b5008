from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from toka.llm_gateway import (
    PRESETS,
    AuthenticationFailed,
    BalancedModel,
    CachedModel,
    ConfigurationInvalid,
    FallbackModel,
    HedgedModel,
    HttpModel,
    InvalidRequest,
    LimitedModel,
    ModelMessage,
    ModelRequest,
    OpenAIEmbeddingModel,
    QuotaExhausted,
    ResponseInvalid,
    make_model,
    read_configuration,
)
from toka.llm_gateway.guards import GuardedModel
from toka.llm_gateway.telemetry import ObservedModel
from toka.llm_gateway.testing import DEFAULT_KEY, FakeOpenAI, Raw, Refuse, ScriptedModel, reply

pytestmark = pytest.mark.anyio

FILE = """
[providers.claude]
kind = "anthropic"
key_env = ["KEY_A", "KEY_B"]

[providers.local]
kind = "ollama"

[providers.oai]
kind = "openai"
key_file = "{key}"

[models.house]
routes = ["claude/claude-sonnet-5-5", "local/llama3"]

[models.spread]
routes = ["local/a", "local/b"]
strategy = "balance"
max_concurrent = 4
cache_seconds = 60

[models.quick]
routes = ["local/a", "oai/b"]
strategy = "hedge"

[embeddings.small]
route = "oai/text-embedding-3-small"
"""
KEYS = {"KEY_A": "key-a", "KEY_B": "key-b"}


def test_a_file_makes_models(tmp_path):
    (tmp_path / "key").write_text("key-c\n")
    made = read_configuration(FILE.format(key=tmp_path / "key"), KEYS)
    house, spread, quick = made.models["house"], made.models["spread"], made.models["quick"]
    assert isinstance(house, FallbackModel)
    # Two keys are two routes.
    assert [health.model for health in house.health()] == ["claude-sonnet-5-5"] * 2 + ["llama3"]
    assert isinstance(spread, CachedModel)
    assert isinstance(spread._model, LimitedModel)
    assert isinstance(spread._model._model, BalancedModel)
    assert isinstance(quick, HedgedModel)
    assert isinstance(made.embeddings["small"], OpenAIEmbeddingModel)
    assert "key-" not in repr(made)


def test_guards_and_telemetry_are_put_before_every_model(tmp_path):
    (tmp_path / "key").write_text("key-c\n")
    more = "\n[guards]\nredact = true\nspotlight = true\nmax_input_tokens = 9\n"
    telemetry = "[telemetry]\nenabled = true\n"
    made = read_configuration(FILE.format(key=tmp_path / "key") + more + telemetry, KEYS)
    for model in made.models.values():
        assert isinstance(model, ObservedModel)
        assert isinstance(model._model, GuardedModel)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("KEY_A", "KEY_C"), "KEY_C is not set"),
        (("ollama", "oolama"), "oolama"),
        (("local/a", "locl/a"), "locl/a"),
        (("local/a", "local"), "local"),
        (("balance", "blance"), "blance"),
        (("routes", "rutes"), "rutes"),
        (("[models", "[models"), None),
        (('"oai/text', '"claude/text'), "offers none"),
        (("[providers.local]", "[providers.local"), "cannot be used"),
    ],
)
def test_mistakes_are_named(tmp_path, change, complaint):
    (tmp_path / "key").write_text("key-c\n")
    text = FILE.format(key=tmp_path / "key").replace(*change)
    if complaint is None:
        assert read_configuration(text, KEYS)
        return
    with pytest.raises(ConfigurationInvalid, match=complaint):
        read_configuration(text, KEYS)


def test_a_key_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="oai"):
        read_configuration(FILE.format(key=tmp_path / "none"), KEYS)


@pytest.mark.parametrize("provider", PRESETS)
def test_every_preset_makes_a_model(provider):
    model = make_model(provider, "m", "k", base_url="http://127.0.0.1:1/v1")
    assert isinstance(model, HttpModel)
    assert model.name == "m"


def test_what_a_preset_needs_is_asked_for():
    assert make_model("ollama", "llama3")
    with pytest.raises(ConfigurationInvalid, match="key"):
        make_model("groq", "m")
    with pytest.raises(ConfigurationInvalid, match="address"):
        make_model("azure", "m", "k")


async def test_azure_takes_its_key_in_a_header_of_its_own():
    async with FakeOpenAI([reply("never")]) as server:
        model = make_model("azure", "m", DEFAULT_KEY, base_url=server.url)
        assert isinstance(model, HttpModel)
        with pytest.raises(AuthenticationFailed):
            await model.complete(ask())
        await model.aclose()
        assert server.requests[0].headers["api-key"] == DEFAULT_KEY
        assert "authorization" not in server.requests[0].headers


def ask():
    return ModelRequest((ModelMessage.user("x"),))


def test_other_distributions_add_providers(monkeypatch):
    def factory(name, key, *, base_url, options, extra):
        del key, base_url, options, extra
        return ScriptedModel([], provider="mine", name=name)

    points = EntryPoints([EntryPoint("mine", "mine:factory", "toka.llm_providers")])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)
    monkeypatch.setattr(EntryPoint, "load", lambda _: factory)
    assert make_model("mine", "m").provider == "mine"
    with pytest.raises(ConfigurationInvalid, match="unknown"):
        make_model("other", "m")


async def test_embeddings_come_in_order_or_not_at_all():
    def say(body):
        assert body["encoding_format"] == "float"
        if body["input"] == ["bad"]:
            return Raw(b'{"data": []}')
        if body["input"] == ["busy"]:
            return Refuse(429, "insufficient_quota")
        return Raw(
            b'{"data":[{"index":1,"embedding":[2,0]},{"index":0,"embedding":[1,0.5]}],'
            b'"model":"e-1","usage":{"prompt_tokens":7,"total_tokens":7}}'
        )

    class Fake(FakeOpenAI):
        def _path(self):
            return "/v1/embeddings"

        def _check(self, request):
            del request

    async with Fake(say) as server:
        model = OpenAIEmbeddingModel("e", DEFAULT_KEY, base_url=server.url)
        made = await model.embed(["a", "b"], dimensions=2)
        assert made.vectors == ((1.0, 0.5), (2.0, 0.0))
        assert (made.usage.input_tokens, made.model, made.provider) == (7, "e-1", "openai")
        assert server.requests[0].body["dimensions"] == 2
        with pytest.raises(ResponseInvalid):
            await model.embed(["bad"])
        with pytest.raises(QuotaExhausted):
            await model.embed(["busy"])
        for nothing in ([], ["a", ""]):
            with pytest.raises(InvalidRequest):
                await model.embed(nothing)
        await model.aclose()
