"""`toka llm`: a server that programs in other languages could use, and the list of models."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

CONFIG = """
[providers.claude]
kind = "anthropic"
key_env = "CLAUDE_KEY"
[providers.local]
kind = "ollama"
[models.house]
routes = ["claude/claude-sonnet-5-5", "local/llama3"]
[models.own]
routes = ["local/llama3"]
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("CLAUDE_KEY", "sk-not-real")
    path = tmp_path / "llm.toml"
    path.write_text(CONFIG)
    return path


def test_models_are_listed_with_what_they_cost(toka, config):
    shown = toka("llm", "models", "--config", config)
    assert shown.status == 0
    cost = "$2.0 in, $10.0 out, context 1000000, answer 128000"
    assert f"house  anthropic/claude-sonnet-5-5  {cost}" in shown.out
    assert "own  ollama/llama3  price unknown" in shown.out
    rows = {row["name"]: row for row in toka("llm", "models", "--config", config, "--json").json}
    assert rows["house"]["output_usd"] == 10
    assert rows["house"]["context_window"] == 1_000_000
    assert rows["own"]["context_window"] is None
    assert "sk-not-real" not in shown.out


def test_a_table_of_ones_own_is_listed_too(toka, config, tmp_path, monkeypatch):
    prices = tmp_path / "prices.toml"
    prices.write_text("[ollama]\nllama3 = { context_window = 8192, tools = false }")
    monkeypatch.setenv("TOKA_LLM_PRICES", str(prices))
    rows = {row["name"]: row for row in toka("llm", "models", "--config", config, "--json").json}
    assert rows["own"]["context_window"] == 8192
    assert rows["own"]["tools"] is False
    assert rows["house"]["output_usd"] == 10


def test_what_is_missing_is_said(toka, config, monkeypatch):
    monkeypatch.delenv("CLAUDE_KEY")
    assert "CLAUDE_KEY" in toka("llm", "models", "--config", config).err
    monkeypatch.delenv("TOKA_LLM_PROVIDER", raising=False)
    assert "TOKA_LLM_PROVIDER" in toka("llm", "models").err


def test_everybody_is_let_in_on_this_machine_only(toka, config):
    found = toka("llm", "serve", "--config", config, "--open", "--host", "192.0.2.1")
    assert found.status == 2
    assert "spend your money" in found.err


def test_a_token_of_the_data_directory_opens_the_server(toka, config, tmp_path):
    data = tmp_path / ".toka"
    minted = toka(
        *("token", "mint", "--data-dir", data, "--subject", "ci"),
        *("--permission", "model:call:own"),
    )
    token = minted.out.strip()
    options = ("--port", "0", "--config", str(config), "--data-dir", str(data))
    server = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "toka.cli", "llm", "serve", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert server.stdout is not None
        greeting = server.stdout.readline()
        match = re.search(r"http://\S+", greeting)
        assert match is not None, greeting
        listed = _get(f"{match[0]}/v1/models", token)
        assert [model["id"] for model in listed["data"]] == ["own"]
        refused = _get(f"{match[0]}/v1/models", "another")
        assert refused["error"]["code"] == "invalid_api_key"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        assert server.stdout is not None
        server.stdout.close()
    lines = (data / "llm-audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["tenant"] for line in lines] == ["ci", ""]


def _get(url, token):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", parts.path, headers={"Authorization": f"Bearer {token}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer
