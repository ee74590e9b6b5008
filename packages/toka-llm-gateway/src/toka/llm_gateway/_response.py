"""What a call to a model gave, and what it cost."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from toka.llm_gateway._messages import ModelMessage


class StopReason(enum.StrEnum):
    """Why the model stopped."""

    END_TURN = "end_turn"
    """It had said what it wanted to say."""
    TOOL_USE = "tool_use"
    """It waits for the output of the tools it asked for."""
    MAX_TOKENS = "max_tokens"
    """The answer is cut off at `max_output_tokens` or at the end of the context window."""
    STOP_SEQUENCE = "stop_sequence"
    """It wrote one of the request's stop texts (providers that do not tell say `end_turn`)."""
    REFUSAL = "refusal"
    """The model or the provider's filter declined. Asking another provider is not a remedy."""


@attrs.frozen
class Usage:
    """Tokens as the provider counted them.

    The three kinds of input are disjoint; `reasoning_tokens` is a part of `output_tokens`.
    """

    input_tokens: int = 0
    """Read at the full price: neither from the provider's cache nor written to it."""
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    reported: bool = True
    """False where the provider told no usage: the counts are then unknown, not zero."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.reported and other.reported,
        )


@attrs.frozen(order=True)
class Cost:
    """Money, in millionths of a US dollar, rounded up."""

    micro_usd: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.micro_usd + other.micro_usd)

    def __str__(self) -> str:
        return f"${self.micro_usd / 1_000_000:.6f}"


@attrs.frozen
class Estimate:
    """What a call may take at most, for reserving budget before it is made."""

    input_tokens: int
    max_output_tokens: int
    cost: Cost | None
    """None where the model's price is unknown."""


@attrs.frozen
class TokenCount:
    """How many tokens a request's input has."""

    tokens: int
    exact: bool
    """Whether the provider counted; else it is an estimate, rather too high than too low."""


@attrs.frozen
class ModelResponse:
    """A complete answer. A partial one is never returned as a response."""

    message: ModelMessage
    stop_reason: StopReason
    usage: Usage
    model: str
    """The model that answered, as the provider names it; not always the name that was asked for."""
    provider: str
    cost: Cost | None = None
    """None where the price or the usage is unknown; never a made-up zero."""
    attempts: int = 1
    """Tries made, this one included. Only the last one is in `usage` and `cost`."""
    duration_ns: int = 0
    """From the first try's start to the last byte, waits included."""
    request_id: str = ""
    """The provider's name for the call, to quote in a complaint."""
    skipped_events: int = 0
    """Events of a stream that were not valid JSON and were passed over."""
    cached: bool = False
    """Whether the answer was given before; it then took nothing."""

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.message.text
