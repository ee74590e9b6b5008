"""A gateway from a TOML file: providers, and models with the routes behind them.

    [providers.claude]
    kind = "anthropic"                  # any of `PRESETS`, or an installed provider
    key_env = "ANTHROPIC_API_KEY"       # or key_file; lists of them are used in turn
    base_url = "https://..."            # where it is not the provider's own

    [models.house]
    routes = ["claude/claude-sonnet-5-5", "local/llama3"]   # provider/model
    strategy = "fallback"               # or "balance", "hedge"
    max_concurrent = 32
    cache_seconds = 3600

    [embeddings.small]
    route = "openai/text-embedding-3-small"

    [guards]                            # of all models
    redact = true                       # secrets, both ways; the extra `redaction`
    spotlight = true                    # marks what tools returned
    max_input_tokens = 200000

    [telemetry]                         # the extra `telemetry`
    enabled = true
    contents = false

Keys are never written in the file: it names where they are. `TOKA_LLM_PRICES` names a table of
prices and limits over the built-in one, as it does for `model_from_environment`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.llm_gateway._environment import prices_from_environment
from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway.http._options import HttpOptions
from toka.llm_gateway.http._secret import ApiKey
from toka.llm_gateway.providers._embeddings import OpenAIEmbeddingModel
from toka.llm_gateway.providers._presets import PRESETS, make_model
from toka.llm_gateway.routing._balanced import BalancedModel
from toka.llm_gateway.routing._cached import CachedModel, MemoryCache
from toka.llm_gateway.routing._fallback import FallbackModel
from toka.llm_gateway.routing._hedged import HedgedModel
from toka.llm_gateway.routing._limited import LimitedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._configuration_file import (
        ConfigurationFile,
        ModelEntry,
        ProviderEntry,
    )
    from toka.llm_gateway._embedding import EmbeddingModel
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._prices import PriceTable

_MAX_KEY_BYTES: Final = 64 * 1024


@attrs.frozen
class GatewayModels:
    """What a configuration makes, by the names that are served."""

    models: Mapping[str, Model]
    embeddings: Mapping[str, EmbeddingModel]
    prices: PriceTable | None = None
    """What is known of them; None is the built-in table."""


def read_configuration(
    text: str, environ: Mapping[str, str], options: HttpOptions | None = None
) -> GatewayModels:
    """Make the models that a TOML text describes.

    Args:
        text: See the module's head for its form.
        environ: Where `key_env` looks, and `TOKA_LLM_PRICES` is.
        options: Limits, retries, prices of all models.

    Raises:
        ConfigurationInvalid: The text or a key that it names cannot be used.

    """
    import tomllib  # noqa: PLC0415 - only who has a file pays

    from toka.llm_gateway._configuration_file import (  # noqa: PLC0415 - as above
        ConfigurationFile,
    )

    try:
        file = msgspec.convert(tomllib.loads(text), ConfigurationFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationInvalid(f"The configuration cannot be used: {error}.") from error
    options = options or HttpOptions()
    prices = prices_from_environment(environ) if options.prices is None else options.prices
    maker = _Maker(file, environ, attrs.evolve(options, prices=prices))
    return GatewayModels(
        {name: maker.model(name, model) for name, model in file.models.items()},
        {name: maker.embedding(name, made.route) for name, made in file.embeddings.items()},
        prices,
    )


class _Maker:
    def __init__(
        self, file: ConfigurationFile, environ: Mapping[str, str], options: HttpOptions
    ) -> None:
        self._file: Final = file
        self._environ: Final = environ
        self._options: Final = options

    def model(self, name: str, described: ModelEntry) -> Model:
        routes = [model for route in described.routes for model in self._route(name, route)]
        model = _joined(described.strategy, routes)
        if described.max_concurrent is not None:
            model = LimitedModel(model, described.max_concurrent)
        if described.cache_seconds is not None:
            model = CachedModel(model, MemoryCache(ttl=described.cache_seconds))
        return self._observed(self._guarded(model))

    def _guarded(self, model: Model) -> Model:
        wanted = self._file.guards
        if wanted is None:
            return model
        # What is not asked for is not loaded.
        from toka.llm_gateway.guards import (  # noqa: PLC0415
            GuardedModel,
            SecretRedactor,
            Spotlight,
            TokenLimit,
        )

        redactors = [SecretRedactor()] if wanted.redact else []
        marks = [Spotlight()] if wanted.spotlight else []
        limit = wanted.max_input_tokens
        limits = [] if limit is None else [TokenLimit(limit)]
        return GuardedModel(model, prompt=[*redactors, *marks], answer=redactors, request=limits)

    def _observed(self, model: Model) -> Model:
        wanted = self._file.telemetry
        if wanted is None or not wanted.enabled:
            return model
        try:
            from toka.llm_gateway.telemetry import ObservedModel  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigurationInvalid(
                "Telemetry needs OpenTelemetry.", hint="pip install 'toka-llm-gateway[telemetry]'"
            ) from error
        return ObservedModel(model, contents=wanted.contents)

    def embedding(self, name: str, route: str) -> EmbeddingModel:
        provider, section, model = self._provider(name, route)
        preset = PRESETS.get(provider.kind)
        address = provider.base_url or (preset.base_url if preset else None)
        if preset is None or preset.format not in {"chat", "responses"} or address is None:
            raise ConfigurationInvalid(f"embeddings.{name}: {provider.kind!r} offers none.")
        keys = self._keys(section, provider)
        return OpenAIEmbeddingModel(
            model,
            keys[0] if keys else None,
            base_url=address,
            provider=provider.kind,
            options=self._options,
        )

    def _route(self, name: str, route: str) -> list[Model]:
        provider, section, model = self._provider(name, route)
        keys: list[ApiKey | None] = [*self._keys(section, provider)]
        # Several keys are several routes to the same model: each with a health of its own.
        return [
            make_model(
                provider.kind,
                model,
                key,
                base_url=provider.base_url,
                options=self._options,
                extra=provider.extra,  # type: ignore[arg-type]  # JSON by origin
            )
            for key in keys or [None]
        ]

    def _provider(self, name: str, route: str) -> tuple[ProviderEntry, str, str]:
        section, _, model = route.partition("/")
        provider = self._file.providers.get(section)
        if provider is None or not model:
            known = ", ".join(self._file.providers)
            raise ConfigurationInvalid(
                f"The route {route!r} of {name!r} is not of the form PROVIDER/MODEL.",
                hint=f"The providers are: {known}.",
            )
        return provider, section, model

    def _keys(self, section: str, provider: ProviderEntry) -> list[ApiKey]:
        keys = [self._from_environment(section, each) for each in _listed(provider.key_env)]
        return [*keys, *[_from_file(section, each) for each in _listed(provider.key_file)]]

    def _from_environment(self, section: str, name: str) -> ApiKey:
        value = self._environ.get(name, "")
        if not value:
            raise ConfigurationInvalid(f"providers.{section}: {name} is not set.")
        return ApiKey(value)


def _joined(strategy: str, routes: list[Model]) -> Model:
    if not routes:
        raise ConfigurationInvalid("A model needs at least one route.")
    match strategy:
        case "balance":
            return BalancedModel(routes)
        case "hedge":
            return HedgedModel(routes)
        case _:
            return FallbackModel(routes)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _from_file(section: str, name: str) -> ApiKey:
    from pathlib import Path  # noqa: PLC0415 - only who names a file pays

    try:
        with Path(name).expanduser().open("rb") as file:
            return ApiKey(file.read(_MAX_KEY_BYTES).decode("ascii"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
    # Raised here: a decoding error carries the file's bytes.
    raise ConfigurationInvalid(f"providers.{section}: the file {name!r} cannot be read: {reason}.")
