"""Models and servers for tests: in process from a script, or over the real wire formats."""

from toka.llm_gateway.testing._fake_anthropic import FakeAnthropic
from toka.llm_gateway.testing._fake_bedrock import FakeBedrock
from toka.llm_gateway.testing._fake_gemini import FakeGemini
from toka.llm_gateway.testing._fake_openai import FakeOpenAI
from toka.llm_gateway.testing._fake_responses import FakeResponses
from toka.llm_gateway.testing._faults import (
    Damage,
    Damaged,
    Fault,
    Raw,
    Refuse,
    Reset,
    Silence,
)
from toka.llm_gateway.testing._recording import Exchanged, Recorder, Replayer
from toka.llm_gateway.testing._scripted import Script, ScriptedModel, ScriptLine, events_of, reply
from toka.llm_gateway.testing._server import (
    DEFAULT_KEY,
    FakeProvider,
    RecordedRequest,
    ServerLine,
    ServerScript,
)

__all__ = [
    "DEFAULT_KEY",
    "Damage",
    "Damaged",
    "Exchanged",
    "FakeAnthropic",
    "FakeBedrock",
    "FakeGemini",
    "FakeOpenAI",
    "FakeProvider",
    "FakeResponses",
    "Fault",
    "Raw",
    "RecordedRequest",
    "Recorder",
    "Refuse",
    "Replayer",
    "Reset",
    "Script",
    "ScriptLine",
    "ScriptedModel",
    "ServerLine",
    "ServerScript",
    "Silence",
    "events_of",
    "reply",
]
