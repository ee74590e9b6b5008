"""A model behind guards."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import GuardRefused
from toka.llm_gateway._events import PartEnd, TextDelta
from toka.llm_gateway._messages import ModelMessage, Text, ToolOutput
from toka.llm_gateway._response import ModelResponse
from toka.llm_gateway.guards._spotlight import Spotlight
from toka.llm_gateway.routing._events import closable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._messages import Part
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate
    from toka.llm_gateway.guards._guard import RequestGuard, TextGuard, Where


@attrs.frozen
class Finding:
    """What a guard found. Never the text itself."""

    guard: str
    where: Where
    reason: str
    refused: bool


def _unheard(finding: Finding) -> None:
    del finding


class GuardedModel:
    """Has guards look at what goes to a model, and at what it answers.

    A text that no guard has anything to say about goes as it is. Reasoning is not looked at: a
    provider refuses it if a character is changed.
    """

    def __init__(
        self,
        model: Model,
        *,
        prompt: Sequence[TextGuard] = (),
        answer: Sequence[TextGuard] = (),
        request: Sequence[RequestGuard] = (),
        report: Callable[[Finding], None] = _unheard,
    ) -> None:
        """Put guards before a model, which is closed with this one.

        Args:
            model: What is asked.
            prompt: Look at each text that is sent, in order, each at what the last one left.
            answer: Look at each text that comes back. A stream is looked at line by line, so its
                lines come one by one.
            request: Look at requests as a whole, after their texts.
            report: Is told of everything that is found.

        """
        self.provider: Final = model.provider
        self.name: Final = model.name
        self._model: Final = model
        self._prompt: Final = tuple(prompt)
        self._answer: Final = tuple(answer)
        self._request: Final = tuple(request)
        self._report: Final = report
        self._notes: Final = tuple(
            [guard.explanation for guard in prompt if isinstance(guard, Spotlight)]
        )

    async def complete(self, request: ModelRequest) -> ModelResponse:
        response = await self._model.complete(self._guarded(request))
        return self._answered(response)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        held = ""
        async with aclosing(closable(self._model.stream(self._guarded(request)))) as events:
            async for event in events:
                if isinstance(event, TextDelta) and self._answer:
                    lines, newline, held = (held + event.text).rpartition("\n")
                    if newline:
                        yield TextDelta(self._inspected(lines + newline, "answer", self._answer))
                    continue
                if held:
                    yield TextDelta(self._inspected(held, "answer", self._answer))
                    held = ""
                yield self._passed(event)

    def estimate(self, request: ModelRequest) -> Estimate:
        return self._model.estimate(request)

    async def aclose(self) -> None:
        await self._model.aclose()

    def _guarded(self, request: ModelRequest) -> ModelRequest:
        if self._prompt:
            messages = tuple([self._message(message) for message in request.messages])
            request = attrs.evolve(request, messages=messages, system=self._system(request))
        for guard in self._request:
            reason = guard.check(request, self._model)
            if reason:
                self._report(Finding(guard.name, "user", reason, refused=True))
                raise _refusal(guard.name, reason)
        return request

    def _system(self, request: ModelRequest) -> str | tuple[Text, ...]:
        marked = any(isinstance(p, ToolOutput) for m in request.messages for p in m.parts)
        notes = self._notes if marked else ()
        if isinstance(request.system, str):
            system = self._inspected(request.system, "system", self._prompt)
            return "\n\n".join([said for said in (system, *notes) if said])
        parts = [self._text(part, "system", self._prompt) for part in request.system]
        return (*parts, *[Text(note) for note in notes])

    def _message(self, message: ModelMessage) -> ModelMessage:
        parts = tuple([self._part(part, message.role) for part in message.parts])
        return message if parts == message.parts else ModelMessage(message.role, parts)

    def _part(self, part: Part, where: Where) -> Part:
        match part:
            case Text():
                return self._text(part, where, self._prompt)
            case ToolOutput(_, str(content)):
                return attrs.evolve(part, content=self._inspected(content, "tool", self._prompt))
            case ToolOutput(_, tuple(content)):
                shown = [
                    self._text(piece, "tool", self._prompt) if isinstance(piece, Text) else piece
                    for piece in content
                ]
                return attrs.evolve(part, content=tuple(shown))
            case _:
                return part

    def _answered(self, response: ModelResponse) -> ModelResponse:
        if not self._answer:
            return response
        parts = [
            self._text(part, "answer", self._answer) if isinstance(part, Text) else part
            for part in response.message.parts
        ]
        return attrs.evolve(response, message=ModelMessage("assistant", tuple(parts)))

    def _passed(self, event: StreamEvent) -> StreamEvent:
        match event:
            case ModelResponse():
                return self._answered(event)
            case PartEnd(Text() as part) if self._answer:
                return PartEnd(self._text(part, "answer", self._answer))
            case _:
                return event

    def _text(self, part: Text, where: Where, guards: Sequence[TextGuard]) -> Text:
        text = self._inspected(part.text, where, guards)
        # Citations point into the text as it was.
        return part if text == part.text else Text(text, cache=part.cache)

    def _inspected(self, text: str, where: Where, guards: Sequence[TextGuard]) -> str:
        if not text:
            return text
        for guard in guards:
            verdict = guard.inspect(text, where)
            if verdict.reason:
                self._report(Finding(guard.name, where, verdict.reason, verdict.refused))
            if verdict.refused:
                raise _refusal(guard.name, verdict.reason)
            text = verdict.text
        return text


def _refusal(guard: str, reason: str) -> GuardRefused:
    return GuardRefused(
        f"The guard {guard!r} refuses this: {reason}.", details={"guard": guard, "reason": reason}
    )
