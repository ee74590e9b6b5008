"""Limits of a request's size, in tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.types import InvalidValueError

if TYPE_CHECKING:
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest


class TokenLimit:
    """Refuses requests whose input is reckoned to be longer."""

    name = "length"

    def __init__(self, max_input_tokens: int) -> None:
        """Prepare to check.

        Raises:
            InvalidValueError: The limit is below one.

        """
        if max_input_tokens < 1:
            raise InvalidValueError("A limit of tokens must be at least 1.")
        self._limit: Final = max_input_tokens

    def check(self, request: ModelRequest, model: Model) -> str:
        tokens = model.estimate(request).input_tokens
        if tokens <= self._limit:
            return ""
        return f"the input is reckoned at {tokens} tokens, and {self._limit} are allowed"
