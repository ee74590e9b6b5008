from __future__ import annotations

import pytest

from toka.llm_gateway import (
    AnthropicModel,
    ConfigurationInvalid,
    GeminiModel,
    HttpModel,
    ModelMessage,
    ModelRequest,
    OpenAIChatModel,
    model_from_environment,
)
from toka.llm_gateway.testing import DEFAULT_KEY, FakeAnthropic, reply

BASE = {
    "TOKA_LLM_PROVIDER": "anthropic",
    "TOKA_LLM_MODEL": "claude-sonnet-5-5",
    "TOKA_LLM_API_KEY": DEFAULT_KEY,
}


@pytest.mark.anyio
async def test_the_settings_make_a_model_that_answers():
    async with FakeAnthropic([reply("hi")]) as server:
        model = model_from_environment({**BASE, "TOKA_LLM_BASE_URL": f"{server.url}/v1/"})
        response = await model.complete(ModelRequest((ModelMessage.user("x"),)))
        await model.aclose()
    assert response.text == "hi"
    assert server.requests[0].body["model"] == "claude-sonnet-5-5"


def test_each_provider_has_its_class():
    assert isinstance(model_from_environment(BASE), AnthropicModel)
    openai = model_from_environment({**BASE, "TOKA_LLM_PROVIDER": "openai"})
    assert isinstance(openai, OpenAIChatModel)
    assert (openai.provider, openai.name) == ("openai", "claude-sonnet-5-5")
    gemini = model_from_environment({**BASE, "TOKA_LLM_PROVIDER": "gemini"})
    assert isinstance(gemini, GeminiModel)


@pytest.mark.parametrize("missing", ["PROVIDER", "MODEL", "API_KEY"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_setting_is_named_with_an_example(missing, value):
    environ = {**BASE, f"TOKA_LLM_{missing}": value or ""}
    if value is None:
        del environ[f"TOKA_LLM_{missing}"]
    with pytest.raises(ConfigurationInvalid) as caught:
        model_from_environment(environ)
    assert f"TOKA_LLM_{missing}" in caught.value.message
    assert "For example" in caught.value.hint


def test_a_compatible_server_needs_no_key():
    environ = {
        "TOKA_LLM_PROVIDER": "openai",
        "TOKA_LLM_MODEL": "llama3",
        "TOKA_LLM_BASE_URL": "http://127.0.0.1:11434/v1",
    }
    assert model_from_environment(environ).name == "llama3"


def test_a_key_may_lie_in_a_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(f"{DEFAULT_KEY}\n")
    environ = {**BASE, "TOKA_LLM_API_KEY_FILE": str(path)}
    with pytest.raises(ConfigurationInvalid, match="Both"):
        model_from_environment(environ)
    del environ["TOKA_LLM_API_KEY"]
    model = model_from_environment(environ)
    assert isinstance(model, HttpModel)
    key = model._caller._key
    assert key is not None
    assert key.reveal() == DEFAULT_KEY


def test_a_key_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfesecret")
    (tmp_path / "big").write_bytes(b"x" * 2_000_000)
    for name in ("missing", "binary", "big", "."):
        environ = {**BASE, "TOKA_LLM_API_KEY_FILE": str(tmp_path / name)}
        del environ["TOKA_LLM_API_KEY"]
        with pytest.raises(ConfigurationInvalid) as caught:
            model_from_environment(environ)
        assert str(tmp_path) in caught.value.message
        assert "secret" not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROVIDER", "antropic"),
        ("TIMEOUT", "soon"),
        ("TIMEOUT", "0"),
        ("TIMEOUT", "nan"),
        ("TIMEOUT", "-1"),
        ("MAX_OUTPUT_TOKENS", "1.5"),
        ("MAX_OUTPUT_TOKENS", "0"),
        ("BASE_URL", "not an address"),
        ("BASE_URL", "http://models.example.com"),
        ("PRICES", "/nowhere/prices.toml"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(ConfigurationInvalid):
        model_from_environment({**BASE, f"TOKA_LLM_{name}": value})


def test_plain_http_to_another_machine_must_be_wanted():
    environ = {**BASE, "TOKA_LLM_BASE_URL": "http://models.example.com"}
    model_from_environment({**environ, "TOKA_LLM_ALLOW_INSECURE": "1"})


def test_limits_and_prices_are_taken_over(tmp_path):
    prices = tmp_path / "prices.toml"
    prices.write_text("[anthropic]\nclaude-sonnet-5-5 = { input = 3.00, output = 0 }")
    model = model_from_environment(
        {
            **BASE,
            "TOKA_LLM_TIMEOUT": "12.5",
            "TOKA_LLM_MAX_OUTPUT_TOKENS": "100",
            "TOKA_LLM_PRICES": str(prices),
        }
    )
    assert isinstance(model, HttpModel)
    assert model._options.timeouts.total == 12.5
    estimate = model.estimate(ModelRequest((ModelMessage.user("x"),)))
    assert estimate.max_output_tokens == 100
    assert estimate.cost is not None
    assert estimate.cost.micro_usd == estimate.input_tokens * 3
