"""How calls are made; what is asked is no part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway.http._retry import RetryPolicy
from toka.llm_gateway.http._transport import Timeouts
from toka.types import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.llm_gateway._prices import PriceTable

MAX_RESPONSE_BYTES: Final = 32 * 1024 * 1024


def _random() -> float:
    import random  # noqa: PLC0415 - only a retry pays for it

    return random.random()  # noqa: S311 - jitter, no secret


@attrs.frozen
class HttpOptions:
    """How calls are made; what is asked is no part of it."""

    timeouts: Timeouts = attrs.field(factory=Timeouts)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    prices: PriceTable | None = None
    """None takes the built-in table."""
    max_output_tokens: int | None = None
    """A ceiling: no call asks for a longer answer, whatever its request says."""
    max_response_bytes: int = MAX_RESPONSE_BYTES
    strict_translation: bool = False
    """Whether notes that a format has no place for (cache marks, citations, another provider's
    reasoning) are an error. Content that it has no place for always is."""
    allow_insecure: bool = False
    """Whether a key may travel over plain HTTP to another machine."""
    clock: Clock = attrs.field(factory=SystemClock)
    random: Callable[[], float] = _random
    """Draws from [0, 1), for jitter only."""
