from __future__ import annotations

import pickle

import attrs
import pytest

from toka.llm_gateway import (
    LlmFailure,
    ModelMessage,
    ModelRequest,
    RateLimited,
    Text,
    Timeouts,
    ToolOutput,
    ToolUse,
    Usage,
)
from toka.types import InvalidValueError, TokaError


def test_values_are_frozen():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Text("a").text = "b"  # type: ignore[misc]


def test_a_message_tells_its_text_and_its_tool_uses():
    use = ToolUse("t", "add", {})
    message = ModelMessage("assistant", (Text("a"), use, Text("b")))
    assert message.text == "ab"
    assert message.tool_uses == (use,)
    assert ModelMessage.outputs(ToolOutput("t", "1")).role == "user"


def test_a_request_without_message_or_room_is_refused():
    with pytest.raises(InvalidValueError):
        ModelRequest(())
    with pytest.raises(InvalidValueError):
        ModelRequest((ModelMessage.user("x"),), max_output_tokens=0)


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "sch\u00f6n", "\x00"])
def test_an_idempotency_key_that_no_header_carries_is_refused(key):
    with pytest.raises(InvalidValueError):
        ModelRequest((ModelMessage.user("x"),), idempotency_key=key)


def test_a_time_limit_of_nothing_is_refused():
    with pytest.raises(InvalidValueError):
        Timeouts(idle=0)


def test_usage_adds_up_and_remembers_what_is_unknown():
    assert Usage(1, 2, 3, 4, 5) + Usage(1, 1, 1, 1, 1) == Usage(2, 3, 4, 5, 6)
    assert not (Usage(1) + Usage(reported=False)).reported


def subclasses(kind):
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_error_has_its_own_code():
    kinds = subclasses(LlmFailure)
    codes = {kind.default_code for kind in kinds}
    assert len(codes) == len(kinds)
    assert all(code.startswith("llm.") for code in codes)
    assert issubclass(LlmFailure, TokaError)


def test_an_error_survives_pickling():
    error = RateLimited("x", details={"retry_after_ns": 5, "attempts": 2, "request_id": "r"})
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.retry_after_ns, again.attempts, again.request_id) == (5, 2, "r")
    assert again.code == "llm.rate_limited"
