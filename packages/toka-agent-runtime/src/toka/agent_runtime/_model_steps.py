"""A model call as a step, and a conversation as a chain of such steps.

A step records what is new: the messages since the last answer, and the digest of everything before.
So the hundredth turn costs what the first one does, and a resumed run that would say something else
than the one before it is found out at the first word that differs.

A call in doubt is made again. The provider may bill it twice; it is never recorded twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.agent_runtime._model_wire import (
    MessageRecord,
    decode_response,
    encode_response,
    message_record,
)
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy
from toka.agent_runtime._steps import Outcome, Plan, Step, step_key
from toka.llm_gateway import DEFAULT_MAX_OUTPUT_TOKENS, ModelMessage, ModelRequest, ToolSchema
from toka.types import Amounts, digest

if TYPE_CHECKING:
    from toka.agent_runtime._run import Run
    from toka.agent_runtime._steps import Place
    from toka.llm_gateway import Estimate, Model, ModelResponse
    from toka.runtime import Attribute

NAME: Final = "model"

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


@attrs.frozen
class ModelSettings:
    """How a model is asked."""

    system: str = ""
    tools: tuple[ToolSchema, ...] = ()
    model: str | None = None
    """A name at the provider; None takes the model's own."""
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    temperature: float | None = None
    retry: RetryPolicy = NO_RETRY
    timeout: int | None = None
    """Nanoseconds for one attempt."""


class _Opening(msgspec.Struct, frozen=True, omit_defaults=True):
    system: str
    tools: str
    """Digest of the schemas, which are long and are in the specification."""
    max_output_tokens: int
    model: str | None = None
    temperature: float | None = None


class _Arguments(msgspec.Struct, frozen=True, omit_defaults=True):
    messages: list[MessageRecord]
    after: str = ""
    """Digest of the conversation so far; empty in its first call."""
    opening: _Opening | None = None


@attrs.define(eq=False)
class Conversation:
    """A conversation with a model, asked call by call."""

    _run: Run
    _place: Place
    settings: ModelSettings
    _messages: list[ModelMessage] = attrs.field(factory=list[ModelMessage])
    _asked: int = 0
    """How many of the messages are on record."""
    _digest: str = ""

    def say(self, message: ModelMessage) -> None:
        """Add a message for the next call."""
        self._messages.append(message)

    async def ask(self) -> ModelResponse:
        """Return the model's answer to what was said, which becomes part of the conversation.

        Raises:
            StepFailed: The call failed, now or when it was made.

        """
        run = self._run
        arguments, settings = msgspec.Raw(_ENCODER.encode(self._news())), self.settings

        # The one whose call was permitted is asked, although another may be set in between.
        planned: list[Model] = []

        def plan() -> Plan:
            model, request = run.model(), self._request()
            planned[:] = [model]
            permission = f"model:call:{model.provider}/{request.model or model.name}"
            return Plan((permission,), _amounts(model.estimate(request)))

        async def call(_: int) -> Outcome:
            model = planned[0] if planned else run.model()
            response = await model.complete(self._request(step_key.get()))
            run.session.runtime.tracing.annotate(_said(model, settings.model, response))
            return Outcome(encode_response(response), _spent(response))

        step = Step(
            NAME,
            "external",
            arguments,
            plan,
            retry=settings.retry,
            timeout=settings.timeout,
            in_doubt="retry",
            span="chat",
        )
        recorded = await run.steps.run(self._place, step, call)
        response = decode_response(recorded)
        self._messages.append(response.message)
        self._asked = len(self._messages)
        chained = self._digest.encode() + bytes(arguments) + bytes(recorded)
        self._digest = digest(chained).hex()
        return response

    def _request(self, key: str = "") -> ModelRequest:
        settings = self.settings
        return ModelRequest(
            tuple(self._messages),
            settings.system,
            settings.tools,
            settings.model,
            settings.max_output_tokens,
            settings.temperature,
            idempotency_key=key,
        )

    def _news(self) -> _Arguments:
        messages = [message_record(message) for message in self._messages[self._asked :]]
        if self._digest:
            return _Arguments(messages, self._digest)
        settings = self.settings
        opening = _Opening(
            settings.system,
            digest(_ENCODER.encode(settings.tools)).hex(),
            settings.max_output_tokens,
            settings.model,
            settings.temperature,
        )
        return _Arguments(messages, opening=opening)


def _said(model: Model, asked: str | None, response: ModelResponse) -> dict[str, Attribute]:
    """Return what OpenTelemetry's conventions for generative AI say of a call; no text of it."""
    usage = response.usage
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": asked or model.name,
        "gen_ai.response.model": response.model,
        "gen_ai.usage.input_tokens": usage.input_tokens
        + usage.cache_read_tokens
        + usage.cache_write_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }


def _amounts(estimate: Estimate) -> Amounts:
    money = 0 if estimate.cost is None else estimate.cost.micro_usd
    return Amounts(money, estimate.input_tokens + estimate.max_output_tokens, 1)


def _spent(response: ModelResponse) -> Amounts:
    usage = response.usage
    tokens = (
        usage.input_tokens
        + usage.output_tokens
        + usage.cache_read_tokens
        + usage.cache_write_tokens
    )
    return Amounts(0 if response.cost is None else response.cost.micro_usd, tokens, 1)
