"""Which models are served, under which names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import ConfigurationInvalid, ModelNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._model import Model

_ANY: Final = "*"


class ModelCatalog:
    """Models by the name that callers know them by.

    A name that ends in `*` stands for all that begin so: `openai/*` answers to `openai/gpt-5` by
    asking its model for `gpt-5`. An exact name comes first, then the longest beginning.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        """Take models by name.

        Raises:
            ConfigurationInvalid: There is none.

        """
        if not models:
            raise ConfigurationInvalid("A gateway needs at least one model to serve.")
        self._models: Final = dict(models)
        self._beginnings: Final = sorted(
            (name[: -len(_ANY)] for name in models if name.endswith(_ANY)), key=len, reverse=True
        )

    def find(self, name: str) -> tuple[Model, str | None]:
        """Return a model, and the name to ask it for; None for its own.

        Raises:
            ModelNotFound: No model has this name.

        """
        model = self._models.get(name)
        if model is not None:
            return model, None
        for beginning in self._beginnings:
            rest = name.removeprefix(beginning)
            if (rest and rest != name) or not beginning:
                return self._models[beginning + _ANY], rest
        raise ModelNotFound(
            f"No model is served under the name {name[:80]!r}.", hint="See /v1/models."
        )

    def __iter__(self) -> Iterator[tuple[str, Model]]:
        return iter(self._models.items())

    async def aclose(self) -> None:
        """Close all models."""
        for model in self._models.values():
            await model.aclose()
