"""The model that tasks ask, which may be exchanged while they do."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from toka.llm_gateway import Model

_KEPT: Final = 8
"""Models that were exchanged and stay open for the calls that they are answering."""


class Models:
    """The model that was set, or the one that `TOKA_LLM_*` names, made when it is first asked."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._exchanged: deque[Model] = deque()

    def get(self) -> Model:
        """Return the model as of now.

        Raises:
            ConfigurationInvalid: A setting is missing or wrong.
        """
        if self._model is None:
            from toka.llm_gateway import model_from_environment  # noqa: PLC0415 - most runs ask none

            self._model = model_from_environment(os.environ)
        return self._model

    async def change(self, model: Model | None) -> None:
        """Ask another model from the next step on; None is the one of the environment."""
        if self._model is not None:
            self._exchanged.append(self._model)
        self._model = model
        while len(self._exchanged) > _KEPT:
            await self._exchanged.popleft().aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        for model in (*self._exchanged, self._model):
            if model is not None:
                await model.aclose()
