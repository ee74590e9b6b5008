"""What a guard is: it looks at a text on its way and says what is to become of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest

Where: TypeAlias = Literal["system", "user", "assistant", "tool", "answer"]
"""Whose text it is: of the conversation so far, or what the model answers now."""


@attrs.frozen
class Verdict:
    """What a guard decides about a text."""

    text: str
    """The text, or what takes its place."""
    reason: str = ""
    """What was found; empty where nothing was."""
    refused: bool = False
    """Whether the call is not to be made, or the answer not to be given."""


class TextGuard(Protocol):
    """Looks at one text after another."""

    @property
    def name(self) -> str:
        """What verdicts are reported under."""
        ...

    def inspect(self, text: str, where: Where) -> Verdict:
        """Decide about a text. The same text gets the same verdict."""
        ...


class RequestGuard(Protocol):
    """Looks at a request as a whole."""

    @property
    def name(self) -> str:
        """What verdicts are reported under."""
        ...

    def check(self, request: ModelRequest, model: Model) -> str:
        """Return why a request is refused; nothing if it is not."""
        ...
