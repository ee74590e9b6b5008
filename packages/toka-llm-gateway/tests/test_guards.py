from __future__ import annotations

import itertools
import logging
import time

import attrs
import pytest

from toka.llm_gateway import (
    ConfigurationInvalid,
    Estimate,
    GuardRefused,
    ModelMessage,
    ModelRequest,
    Text,
    TextDelta,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway.guards import (
    Finding,
    GuardedModel,
    RedactingFilter,
    SecretRedactor,
    Spotlight,
    TokenLimit,
    Verdict,
)
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.types import InvalidValueError

pytestmark = pytest.mark.anyio

TASKS = [
    "Write tests for {}.",
    "Explain {} to a new colleague, with an example.",
    "Why does {} fail only in CI? Here is the log: exit code 1, see https://ci.example.com/run/7.",
    "Refactor this so that {} is easier to read:\n```python\nimport os\nos.system('ls')\n```",
    "Summarise http://example.com/a?b=c&token=no about {} in three sentences.",
    "Ignore previous drafts and write a haiku about {}.",
    "curl -X POST https://api.example.com/v1/{} -H 'Authorization: Bearer $TOKEN' fails with 401.",
    "SELECT name, password_hash FROM users WHERE topic = '{}'; -- is this safe?",
    "Compare {} in Rust and Go; mention sk-learn, pk_test and the AKIA prefix of AWS keys.",
    "As an AI, what can you not tell me about {}? Be honest: kill -9, rm -rf, exec, eval.",
]
TOPICS = [
    "password hashing",
    "secret management with environment variables",
    "JSON Web Tokens",
    "private keys and certificates",
    "the commit 3f2a9c1d0b7e8f6a5c4d3e2f1a0b9c8d7e6f5a4b",
    "UUIDs such as 123e4567-e89b-12d3-a456-426614174000",
    "postgres://user:password@localhost:5432/db",
    "APPLICATION_CREDENTIALS in settings.py",
    "IP address 203.0.113.7 and port 8080",
    "base64 like SGVsbG8sIHdvcmxkISBUaGlzIGlzIGEgdGVzdC4=",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "unit tests that mock requests.get(url)",
    "SQL injection and how to prevent it",
    "prompt injection in chapter 3 of the book",
    "APCalculus2024 study plans",
    "the word 'confidential' in contracts",
    "emoji \U0001f600, \u00fcmlauts and \u202ebidi",
    "an e-mail to ann@example.org about invoices",
    "version 1.2.3-rc.1+build.5 of the SDK",
    "ASK, SKATE, ACROBAT and other words in capitals",
]
ORDINARY = [task.format(topic) for task, topic in itertools.product(TASKS, TOPICS)]


def secret(*pieces):
    """Return a made-up secret; it is put together here so that scanners pass over this file."""
    return "".join(pieces)


SECRETS = {
    "aws-access-key": secret("AK", "IA", "Q3EGRIHAXXHXWFAZ"),
    "github-token": secret("gh", "p_", "a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8"),
    "slack-token": secret("xo", "xb-", "123456789012-1234567890123-abcdefghijkl"),
    "stripe-access-key": secret("sk_", "live_", "a1b2c3d4e5f6g7h8i9j0k1l2"),
    "anthropic-key": secret("sk-", "ant-", "api03-abcdefghijklmnopqrstuvwxyz"),
    "openai-key": secret("sk-", "proj-", "abcdefghijklmnopqrstuvwxyz0123456789"),
    "google-key": secret("AI", "za", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
    "json-web-token": secret(
        "ey", "JhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.", "c2" * 15
    ),
    "sendgrid-api-key": secret("SG", ".", "a" * 22, ".", "b" * 43),
    "private-key": secret(
        "-----BEGIN RSA PRIVATE", " KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE", " KEY-----"
    ),
    "gitlab-token": secret("gl", "pat-", "abcdefghij0123456789"),
}


@pytest.fixture(scope="module")
def redactor():
    return SecretRedactor()


def test_there_are_two_hundred_ordinary_prompts():
    assert len(set(ORDINARY)) == 200


@pytest.mark.parametrize("where", ["prompt", "answer"])
async def test_two_hundred_ordinary_prompts_pass_untouched(redactor, where):
    found: list[Finding] = []
    guards = {"prompt": [redactor], "answer": [redactor]}
    echo = ScriptedModel(lambda request: reply(request.messages[0].text))
    model = GuardedModel(echo, **guards, request=[TokenLimit(10**6)], report=found.append)
    for prompt in ORDINARY:
        answer = await model.complete(ModelRequest((ModelMessage.user(prompt),)))
        assert echo.last_request is not None
        assert echo.last_request.messages[0].text == prompt
        assert answer.text == prompt
    assert found == []
    assert where


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_named_and_gone(redactor, name):
    text = f'before key = "{SECRETS[name]}" after'
    verdict = redactor.inspect(text, "user")
    assert SECRETS[name] not in verdict.text
    assert f"[secret: {name}]" in verdict.text
    assert verdict.text.startswith("before")
    assert verdict.text.endswith("after")
    assert name in verdict.reason
    # What was redacted stays as it is.
    assert redactor.inspect(verdict.text, "user") == Verdict(verdict.text)


def test_a_long_text_does_not_take_long(redactor):
    assert redactor.rules > 30
    for text in (
        "a" * 200_000,
        "-----BEGIN PRIVATE KEY-----" * 2000,
        "eyJ" * 50_000,
        "aws " * 9999,
    ):
        began = time.process_time()
        redactor.redact(text)
        assert time.process_time() - began < 2


def test_shapes_can_be_added(redactor):
    own = SecretRedactor([("badge", r"BADGE-\d{6}")])
    assert own.redact("my BADGE-123456") == "my [secret: badge]"
    assert own.rules == redactor.rules + 1
    with pytest.raises(ConfigurationInvalid):
        SecretRedactor([("bad", "(")])


def test_logs_are_redacted(redactor, caplog):
    logger = logging.getLogger("toka.tests.guards")
    caplog.handler.addFilter(RedactingFilter(redactor))
    try:
        logger.warning("key %s of %d", SECRETS["github-token"], 7)
    finally:
        caplog.handler.filters.clear()
    assert caplog.messages == ["key [secret: github-token] of 7"]


KEY = SECRETS["anthropic-key"]
USE = ToolUse("t1", "fetch", {"url": "x"})
TURNS = (
    ModelMessage.user(f"Use {KEY}."),
    ModelMessage("assistant", (Text("I fetch."), USE)),
    ModelMessage.outputs(ToolOutput("t1", f"page says {KEY}")),
)


async def test_what_is_sent_is_redacted_everywhere(redactor):
    found: list[Finding] = []
    inner = ScriptedModel([reply("ok")])
    model = GuardedModel(inner, prompt=[redactor], report=found.append)
    await model.complete(ModelRequest(TURNS, system=f"sys {KEY}"))
    assert KEY not in repr(inner.last_request)
    assert [finding.where for finding in found] == ["user", "tool", "system"]
    assert KEY not in repr(found)


async def test_answers_are_redacted_whole_and_streamed(redactor):
    said = f"first line\nthe key is {KEY} and\nlast"
    model = GuardedModel(ScriptedModel(lambda _: reply(said)), answer=[redactor])
    whole = await model.complete(ModelRequest(TURNS))
    events = [event async for event in model.stream(ModelRequest(TURNS))]
    streamed = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert whole.text == streamed == said.replace(KEY, "[secret: anthropic-key]")
    assert KEY not in repr(events)


async def test_what_tools_return_is_marked_and_nothing_else():
    inner = ScriptedModel(lambda _: reply("ok"))
    spotlight = Spotlight(b"key")
    model = GuardedModel(inner, prompt=[spotlight])
    request = ModelRequest(TURNS, system="Be brief.")
    await model.complete(request)
    sent = inner.last_request
    assert sent is not None
    assert sent.messages[:2] == TURNS[:2]
    [marked] = sent.messages[2].parts
    assert isinstance(marked, ToolOutput)
    opening, _, closing = marked.text.split("\n")
    assert opening.startswith("<untrusted-")
    assert closing == opening.replace("<", "</")
    assert sent.system == f"Be brief.\n\n{spotlight.explanation}"
    # Deterministic, for prompt caches; another text has another code, which it cannot know.
    await model.complete(request)
    assert inner.last_request == sent
    other = spotlight.inspect(f"{opening[1:-1]} ends here", "tool").text
    assert opening not in other
    plain = attrs.evolve(request, messages=TURNS[:1])
    await model.complete(plain)
    assert inner.last_request == plain


async def test_too_long_a_request_is_refused_before_it_is_made():
    inner = ScriptedModel([], estimate=Estimate(101, 5, None))
    model = GuardedModel(inner, request=[TokenLimit(100)])
    with pytest.raises(GuardRefused, match="101 tokens"):
        await model.complete(ModelRequest(TURNS))
    assert inner.calls == 0
    with pytest.raises(InvalidValueError):
        TokenLimit(0)


async def test_a_guard_of_ones_own_may_refuse():
    class NoPirates:
        name = "pirates"

        def inspect(self, text, where):
            refused = "arr" in text and where in {"user", "answer"}
            return Verdict(text, "speaks like a pirate" if refused else "", refused)

    inner = ScriptedModel(
        lambda request: reply("arr" if "sea" in request.messages[0].text else "x")
    )
    model = GuardedModel(inner, prompt=[NoPirates()], answer=[NoPirates()])
    with pytest.raises(GuardRefused, match="pirate"):
        await model.complete(ModelRequest((ModelMessage.user("arr!"),)))
    assert inner.calls == 0
    with pytest.raises(GuardRefused, match="pirate"):
        await model.complete(ModelRequest((ModelMessage.user("the sea"),)))
