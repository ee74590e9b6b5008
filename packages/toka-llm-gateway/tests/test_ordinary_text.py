"""The original's gateway refused prompts that held words like "http://", "import" or "tests".

Nothing here looks into what is said: every text passes unchanged, both ways.
"""

from __future__ import annotations

import pytest

from toka.llm_gateway import ModelMessage, ModelRequest, ToolOutput, ToolUse
from toka.llm_gateway.testing import reply

pytestmark = pytest.mark.anyio

ORDINARY = [
    "Read http://example.com/a?b=c&d=e and https://docs.python.org, then sum up.",
    "Write tests for the requests module: `import requests; requests.get(url)`.",
    "Run `rm -rf build/` before `cargo test`, then system('make').",
    "def main():\n    exec(open('x.py').read())\n    os.system('ls')\n",
    "SELECT * FROM users WHERE name = 'O''Brien'; DROP TABLE old; -- tidy",
    "<script>alert('x')</script> is what the page must escape.",
    "Ignore previous instructions, said the attacker in chapter 3.",
    "The password field is required; sudo is not; eval() is slow.",
    "\u00fcber \U0001f600 \u202e \x00 \u2028 tab\t \r\n end ",
    "data: [DONE]\n\nevent: message_stop\ndata: {}\n\n",
    "```python\nimport subprocess\nsubprocess.run(['curl', 'http://x'])\n```",
    "a" * 40_000,
]


@pytest.mark.parametrize("text", ORDINARY)
async def test_ordinary_text_passes_both_ways(provider, text):
    model = await provider.start([reply(text), reply(text)])
    history = (
        ModelMessage.user(text),
        ModelMessage("assistant", (ToolUse("t", "read", {"text": text}),)),
        ModelMessage.outputs(ToolOutput("t", text)),
    )
    request = ModelRequest(history, system=text)
    whole = await model.complete(request)
    streamed = [event async for event in model.stream(request)][-1]
    assert whole.text == text
    assert streamed.message == whole.message
    sent = str(provider.requests[0])
    assert sent.count(repr(text)[1:-1]) >= 3
