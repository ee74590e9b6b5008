"""A model in process that says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from toka.llm_gateway._errors import CallFailed
from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolUseStart,
)
from toka.llm_gateway._messages import ModelMessage, Native, Part, Reasoning, Text, ToolUse
from toka.llm_gateway._response import Cost, Estimate, ModelResponse, StopReason, Usage
from toka.llm_gateway.testing._bodies import words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from toka.llm_gateway._request import ModelRequest

ScriptLine: TypeAlias = ModelResponse | CallFailed
"""An answer to give, or a failure to raise."""

Script: TypeAlias = Sequence[ScriptLine] | Callable[["ModelRequest"], ScriptLine]
"""Lines to say in order, or a function that finds the line for a request."""

SCRIPTED: Final = "scripted"

_USAGE: Final = Usage(input_tokens=10, output_tokens=5)
_COST: Final = Cost(100)


def reply(
    *parts: Part | str,
    stop_reason: StopReason | None = None,
    usage: Usage = _USAGE,
    cost: Cost | None = _COST,
) -> ModelResponse:
    """Return an answer; plain strings stand for text.

    Args:
        *parts: What the model says.
        stop_reason: `tool_use` if a part is one, else `end_turn`, unless given.
        usage: What the answer reports.
        cost: What it cost.

    """
    message = ModelMessage(
        "assistant", tuple([Text(part) if isinstance(part, str) else part for part in parts])
    )
    if stop_reason is None:
        stop_reason = StopReason.TOOL_USE if message.tool_uses else StopReason.END_TURN
    return ModelResponse(message, stop_reason, usage, SCRIPTED, SCRIPTED, cost)


class ScriptedModel:
    """Gives the lines of a script, one a call, without I/O and in constant time a call.

    A call past the last line is an `AssertionError`, and so is `check_consumed` before it: a test
    that makes one call too many or too few fails.
    """

    def __init__(
        self,
        script: Script,
        *,
        provider: str = SCRIPTED,
        name: str = SCRIPTED,
        estimate: Estimate | None = None,
    ) -> None:
        """Prepare to answer.

        Args:
            script: Lines in order, or a function from request to line.
            provider: What `provider` says.
            name: What `name` says.
            estimate: What `estimate` says; by default the price of one default `reply`.

        """
        self.provider: Final = provider
        self.name: Final = name
        self.calls = 0
        """How many calls were made."""
        self.last_request: ModelRequest | None = None
        """What was asked last. Earlier requests are not kept: they grow with the conversation."""
        self._script = script
        self._estimate = estimate

    async def complete(self, request: ModelRequest) -> ModelResponse:
        line = self._next_line(request)
        if isinstance(line, CallFailed):
            raise line
        return line

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        response = await self.complete(request)
        for event in events_of(response):
            yield event

    def estimate(self, request: ModelRequest) -> Estimate:
        if self._estimate is not None:
            return self._estimate
        return Estimate(_USAGE.input_tokens, request.max_output_tokens, _COST)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""

    def check_consumed(self) -> None:
        """Check that every line of the script was said.

        Raises:
            AssertionError: Lines are left.

        """
        total = self.calls if callable(self._script) else len(self._script)
        if self.calls < total:
            raise AssertionError(f"{self.calls} of the script's {total} lines were asked for.")

    def _next_line(self, request: ModelRequest) -> ScriptLine:
        self.last_request = request
        index, self.calls = self.calls, self.calls + 1
        if callable(self._script):
            return self._script(request)
        if index >= len(self._script):
            raise AssertionError(f"The script has {len(self._script)} lines; one more was asked.")
        return self._script[index]


def events_of(response: ModelResponse) -> Iterator[StreamEvent]:
    """Yield the events of a stream that ends with `response`."""
    for part in response.message.parts:
        match part:
            case Text(text):
                for word in words(text):
                    yield TextDelta(word)
            case Reasoning(text):
                if text:
                    yield ReasoningDelta(text)
            case ToolUse(identifier, name, arguments):
                yield ToolUseStart(identifier, name)
                yield ArgumentsDelta(identifier, msgspec.json.encode(arguments).decode())
            case Native():
                pass
            case _:
                raise AssertionError(f"A model does not write {type(part).__name__} parts.")
        yield PartEnd(part)
    yield response
