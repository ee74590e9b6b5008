"""Providers by name: what is built in, and what other distributions add."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast

import attrs

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway.http._options import HttpOptions
from toka.llm_gateway.providers._models import (
    ANTHROPIC_URL,
    GEMINI_URL,
    OPENAI_URL,
    AnthropicModel,
    BedrockModel,
    GeminiModel,
    OpenAIChatModel,
    OpenAIResponsesModel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._model import Model
    from toka.llm_gateway.http._secret import ApiKey
    from toka.types import JsonObject

ENTRY_POINTS: Final = "toka.llm_providers"
"""The group in which a distribution names its providers: each a `ModelFactory`."""

_NOTHING: Final[JsonObject] = MappingProxyType({})
_DEFAULTS: Final = HttpOptions()


class ModelFactory(Protocol):
    """Makes a provider's models."""

    def __call__(
        self,
        name: str,
        key: ApiKey | str | None,
        *,
        base_url: str | None,
        options: HttpOptions,
        extra: JsonObject,
    ) -> Model:
        """Return a model; nothing is sent before its first call.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used.

        """
        ...


@attrs.frozen
class Preset:
    """How a provider is spoken to."""

    format: Literal["anthropic", "chat", "responses", "gemini", "converse"]
    base_url: str | None
    """None where each customer has his own."""
    needs_key: bool = True
    key_header: str = "Authorization"


PRESETS: Final[Mapping[str, Preset]] = {
    "anthropic": Preset("anthropic", ANTHROPIC_URL),
    "azure": Preset("chat", None, key_header="api-key"),
    "bedrock": Preset("converse", None, needs_key=False),
    "compatible": Preset("chat", None, needs_key=False),
    "deepseek": Preset("chat", "https://api.deepseek.com/v1"),
    "gemini": Preset("gemini", GEMINI_URL),
    "groq": Preset("chat", "https://api.groq.com/openai/v1"),
    "llamacpp": Preset("chat", "http://127.0.0.1:8080/v1", needs_key=False),
    "mistral": Preset("chat", "https://api.mistral.ai/v1"),
    "ollama": Preset("chat", "http://127.0.0.1:11434/v1", needs_key=False),
    "openai": Preset("chat", OPENAI_URL),
    "openai-responses": Preset("responses", OPENAI_URL),
    "openrouter": Preset("chat", "https://openrouter.ai/api/v1"),
    "vllm": Preset("chat", "http://127.0.0.1:8000/v1", needs_key=False),
}
"""The built-in providers.

Azure's address is https://RESOURCE.openai.azure.com/openai/v1, Amazon Bedrock's is
https://bedrock-runtime.REGION.amazonaws.com; without a key it is asked with AWS credentials.
"""

_KINDS: Final[
    Mapping[str, type[AnthropicModel | OpenAIResponsesModel | GeminiModel | BedrockModel]]
] = {
    "anthropic": AnthropicModel,
    "responses": OpenAIResponsesModel,
    "gemini": GeminiModel,
    "converse": BedrockModel,
}
_SECTIONS: Final = {"openai-responses": "openai"}
"""Whose prices are another provider's."""


def make_model(
    provider: str,
    name: str,
    key: ApiKey | str | None = None,
    *,
    base_url: str | None = None,
    options: HttpOptions = _DEFAULTS,
    extra: JsonObject = _NOTHING,
) -> Model:
    """Return a model of a provider that is built in or installed.

    Args:
        provider: A name of `PRESETS`, or of an entry point in `toka.llm_providers`.
        name: The model at the provider.
        key: The provider's key.
        base_url: Another address than the provider's own.
        options: Limits, retries, prices.
        extra: Further fields of every request.

    Raises:
        ConfigurationInvalid: There is no such provider, or the key or the address is missing.

    """
    preset = PRESETS.get(provider)
    if preset is None:
        factory = _installed(provider)
        return factory(name, key, base_url=base_url, options=options, extra=extra)
    address = base_url or preset.base_url
    if address is None:
        raise ConfigurationInvalid(f"The provider {provider!r} needs a base address.")
    if key is None and preset.needs_key and base_url is None:
        raise ConfigurationInvalid(f"The provider {provider!r} needs a key.")
    return _make(preset, _SECTIONS.get(provider, provider), name, key, address, options, extra)


def _make(
    preset: Preset,
    provider: str,
    name: str,
    key: ApiKey | str | None,
    base_url: str,
    options: HttpOptions,
    extra: JsonObject,
) -> Model:
    if preset.format == "chat":
        return OpenAIChatModel(
            name,
            key,
            base_url=base_url,
            provider=provider,
            options=options,
            extra=extra,
            key_header=preset.key_header,
        )
    kind = _KINDS[preset.format]
    return kind(name, key, base_url=base_url, provider=provider, options=options, extra=extra)


def _installed(provider: str) -> ModelFactory:
    from importlib.metadata import entry_points  # noqa: PLC0415 - only who asks for others pays

    known = entry_points(group=ENTRY_POINTS)
    found = [point for point in known if point.name == provider]
    if len(found) != 1:
        names = sorted({*PRESETS, *(point.name for point in known)})
        what = "installed twice" if found else "unknown"
        raise ConfigurationInvalid(
            f"The provider {provider[:40]!r} is {what}.", hint=f"There are: {', '.join(names)}."
        )
    return cast("ModelFactory", found[0].load())
