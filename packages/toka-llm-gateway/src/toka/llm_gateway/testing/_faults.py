"""What a fake provider can do besides answering."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._response import ModelResponse

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen
class Refuse:
    """Answer with an error document in the provider's form."""

    status: int
    reason: str = ""
    """The provider's word for it: Anthropic's error type, OpenAI's error code."""
    message: str = "Refused by the script."
    headers: Mapping[str, str] = _NO_HEADERS


@attrs.frozen
class Reset:
    """Break the connection before any byte of an answer."""


@attrs.frozen
class Silence:
    """Accept the request and never answer."""


@attrs.frozen
class Raw:
    """Answer with these bytes."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = _NO_HEADERS


Damage: TypeAlias = Literal["end", "reset", "stall", "malformed", "unterminated"]
"""How a stream goes wrong: its body ends early, the connection breaks, nothing more comes, an event
that is not JSON comes in between, or only the mark of its end is missing."""


@attrs.frozen
class Damaged:
    """Stream an answer, and go wrong after some of its events."""

    response: ModelResponse
    damage: Damage
    after: int = 0
    """How many events come first. An event more or less is a word."""


Fault: TypeAlias = Refuse | Reset | Silence | Raw | Damaged
"""Anything that is not a good answer."""
