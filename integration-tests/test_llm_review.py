"""`toka run examples/llm-review` against both wire formats, with tools, kills and costs.

The provider is a server on loopback that speaks the real wire format and checks requests as
strictly as the real ones do; the model behind it is a script.
"""

import json
import os
import re
import signal
import sys
from pathlib import Path

import anyio
import attrs
import pytest
from anyio.abc import Process

from toka.llm_gateway import ModelResponse, ToolUse
from toka.llm_gateway.testing import FakeAnthropic, FakeOpenAI, Silence, reply
from toka.types import Json, JsonObject

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "llm-review"

pytestmark = pytest.mark.anyio

REVIEW = "Line 2 divides by zero.\n"
MODELS = {"anthropic": "claude-sonnet-5-5", "openai": "gpt-5.5"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def subject(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "subject.py"
    file.write_text("def broken():\n    return 1 / 0\n")
    return file


def turn(body: JsonObject) -> int:
    """Return how many answers a conversation has had."""
    messages = body["messages"]
    assert isinstance(messages, list)
    return sum(isinstance(each, dict) and each["role"] == "assistant" for each in messages)


def answer(body: JsonObject, subject: Path) -> ModelResponse:
    """Return what the model says: it reads the file, writes its review, and finishes."""
    paths = re.findall(r"[^\s\"`]+/review\.md", json.dumps(body["messages"]))
    uses: list[tuple[str, dict[str, Json]]] = [
        ("read_file", {"path": str(subject)}),
        ("read_file", {"path": "/etc/hostname"}),
        ("write_file", {"path": paths[0], "content": REVIEW}),
        (
            "finish",
            {
                "result": "It divides by zero.",
                "objectives": [
                    {"met": True, "evidence": "review.md is there"},
                ],
            },
        ),
    ]
    number = turn(body)
    name, arguments = uses[number]
    response = reply(ToolUse(f"call_{number}", name, arguments))
    # What a call costs depends on the model that says it has answered.
    return attrs.evolve(response, model=str(body["model"]))


def said(server: FakeAnthropic | FakeOpenAI) -> list[int]:
    """Return at which turns the model was asked."""
    return [turn(request.body) for request in server.requests]


async def start(server: FakeAnthropic | FakeOpenAI, subject: Path, *, key: str = "") -> Process:
    """Start the command as a person does, with the provider in the environment."""
    kind = "anthropic" if isinstance(server, FakeAnthropic) else "openai"
    folder = subject.parent.parent
    prices = folder / "prices.toml"
    prices.write_text(
        f'dated = "2026-11-21"\n[{kind}]\n'
        f'"{MODELS[kind]}" = {{ input = 1000.0, output = 2000.0 }}\n'
    )
    settings = {
        "TOKA_LLM_PROVIDER": kind,
        "TOKA_LLM_MODEL": MODELS[kind],
        "TOKA_LLM_API_KEY": key or server.key,
        "TOKA_LLM_BASE_URL": server.url,
        "TOKA_LLM_ALLOW_INSECURE": "1",
        "TOKA_LLM_PRICES": str(prices),
    }
    inherited = {name: text for name, text in os.environ.items() if "TOKA_" not in name}
    command = [
        sys.executable, "-m", "toka.cli", "run", str(EXAMPLE),
        "--data-dir", str(folder / "data"), "--input", f"file={subject}", "--output", "plain",
    ]  # fmt: skip
    return await anyio.open_process(
        command, cwd=subject.parent, env={**inherited, **settings}, stderr=-2
    )


async def printed(process: Process) -> str:
    assert process.stdout is not None
    with anyio.fail_after(30):
        text = "".join([chunk.decode() async for chunk in process.stdout])
        await process.wait()
    return text


def reviews(subject: Path) -> list[str]:
    return [each.read_text() for each in subject.parent.parent.rglob("review.md")]


@pytest.mark.parametrize("provider", [FakeAnthropic, FakeOpenAI])
async def test_a_model_reviews_a_file_with_tools_and_its_cost_is_shown(
    subject: Path, provider: type[FakeAnthropic] | type[FakeOpenAI]
):
    async with provider(lambda body: answer(body, subject)) as server:
        process = await start(server, subject)
        output = await printed(process)
        assert process.returncode == 0, output
        assert said(server) == [0, 1, 2, 3]
        refusal = json.dumps(server.requests[2].body)
    assert reviews(subject) == [REVIEW]
    assert "✓ The review is written" in output
    assert "review.md" in output
    # 4 calls of 10 input and 5 output tokens at 1,000 and 2,000 dollars the million.
    assert "$0.08" in output
    # What the model may not read it is told, and it goes on.
    assert "/etc/hostname" in refusal
    assert "fs:read:/etc/hostname" in refusal
    assert "${" not in refusal


@pytest.mark.parametrize("provider", [FakeAnthropic, FakeOpenAI])
async def test_killed_between_model_calls_no_recorded_call_is_made_again(
    subject: Path, provider: type[FakeAnthropic] | type[FakeOpenAI]
):
    asked = anyio.Event()
    calls = 0

    def script(body: JsonObject):
        nonlocal calls
        calls += 1
        if calls == 3:
            asked.set()
            return Silence()
        return answer(body, subject)

    async with provider(script) as server:
        process = await start(server, subject)
        with anyio.fail_after(30):
            await asked.wait()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await process.aclose()
        again = await start(server, subject)
        output = await printed(again)
        assert again.returncode == 0, output
        assert said(server) == [0, 1, 2, 2, 3]
        assert "Going on with run" in output
        third = await start(server, subject)
        assert "is finished already" in await printed(third)
        assert len(server.requests) == 5
    assert reviews(subject) == [REVIEW]


async def test_a_model_that_never_finishes_is_ended_by_its_turns(subject: Path):
    async with FakeOpenAI(lambda _: reply("I would rather talk.")) as server:
        process = await start(server, subject)
        output = await printed(process)
        assert process.returncode == 1, output
        assert len(server.requests) <= 20
    assert "Traceback" not in output
    assert reviews(subject) == []


async def test_a_wrong_key_is_said_plainly_and_asked_once(subject: Path):
    async with FakeAnthropic([]) as server:
        process = await start(server, subject, key="another")
        output = await printed(process)
        assert process.returncode == 1, output
        assert len(server.requests) == 1
    assert "key" in output
    assert "another" not in output
    assert "Traceback" not in output


async def test_a_missing_setting_names_itself(subject: Path):
    process = await anyio.open_process(
        [
            sys.executable, "-m", "toka.cli", "run", str(EXAMPLE),
            "--input", f"file={subject}", "--output", "plain",
        ],
        cwd=subject.parent,
        env={name: text for name, text in os.environ.items() if "TOKA_" not in name},
        stderr=-2,
    )  # fmt: skip
    output = await printed(process)
    assert process.returncode != 0
    assert "TOKA_LLM_PROVIDER" in output
    assert "Traceback" not in output
