"""The models that a program makes: one class for each wire format.

A format is loaded when the first model that speaks it is made.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway.http._http_model import HttpModel
from toka.llm_gateway.http._options import HttpOptions
from toka.llm_gateway.http._secret import ApiKey

if TYPE_CHECKING:
    from toka.types import JsonObject

ANTHROPIC_URL: Final = "https://api.anthropic.com"
OPENAI_URL: Final = "https://api.openai.com/v1"
GEMINI_URL: Final = "https://generativelanguage.googleapis.com/v1beta"

_NOTHING: Final[JsonObject] = MappingProxyType({})
_DEFAULTS: Final = HttpOptions()


class AnthropicModel(HttpModel):
    """A model behind Anthropic's Messages format."""

    def __init__(
        self,
        name: str,
        key: ApiKey | str | None,
        *,
        base_url: str = ANTHROPIC_URL,
        provider: str = "anthropic",
        options: HttpOptions = _DEFAULTS,
        extra: JsonObject = _NOTHING,
        beta: str = "",
    ) -> None:
        """Prepare to call a model; nothing is sent before the first call.

        Args:
            name: The model, for requests that name none.
            key: Sent as `x-api-key`; None sends no key.
            base_url: The address before `/v1/messages`.
            provider: The name in responses and errors, and the section of the price table.
            options: Limits, retries, prices.
            extra: Further fields of every request, such as `thinking` or `cache_control`.
            beta: The `anthropic-beta` header, for features that are not in the dated version.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used.

        """
        from toka.llm_gateway.formats.anthropic._dialect import (  # noqa: PLC0415 - see above
            AnthropicDialect,
        )

        super().__init__(
            AnthropicDialect(dict(extra), options.strict_translation, beta),
            provider=provider,
            name=name,
            base_url=base_url.rstrip("/").removesuffix("/v1"),
            key=_key(key),
            options=options,
        )


class OpenAIChatModel(HttpModel):
    """A model behind OpenAI's chat completions format: OpenAI's own or any compatible one."""

    def __init__(
        self,
        name: str,
        key: ApiKey | str | None,
        *,
        base_url: str = OPENAI_URL,
        provider: str = "openai",
        options: HttpOptions = _DEFAULTS,
        extra: JsonObject = _NOTHING,
        key_header: str = "Authorization",
    ) -> None:
        """Prepare to call a model; nothing is sent before the first call.

        Args:
            name: The model, for requests that name none.
            key: Sent as a bearer token; None sends no key, as local servers want it.
            base_url: The address before `/chat/completions`.
            provider: The name in responses and errors, and the section of the price table.
            options: Limits, retries, prices.
            extra: Further fields of every request, such as `reasoning_effort`.
            key_header: Where the key goes, if not there: Azure's is `api-key`.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used.

        """
        renamed = base_url.rstrip("/") == OPENAI_URL
        from toka.llm_gateway.formats.chat._dialect import (  # noqa: PLC0415 - see above
            OpenAIDialect,
        )

        super().__init__(
            OpenAIDialect(
                "max_completion_tokens" if renamed else "max_tokens",
                dict(extra),
                options.strict_translation,
                key_header,
            ),
            provider=provider,
            name=name,
            base_url=base_url,
            key=_key(key),
            options=options,
        )


class OpenAIResponsesModel(HttpModel):
    """A model behind OpenAI's Responses format. Nothing is stored at the provider."""

    def __init__(
        self,
        name: str,
        key: ApiKey | str | None,
        *,
        base_url: str = OPENAI_URL,
        provider: str = "openai",
        options: HttpOptions = _DEFAULTS,
        extra: JsonObject = _NOTHING,
    ) -> None:
        """Prepare to call a model; nothing is sent before the first call.

        Args:
            name: The model, for requests that name none.
            key: Sent as a bearer token; None sends no key.
            base_url: The address before `/responses`.
            provider: The name in responses and errors, and the section of the price table.
            options: Limits, retries, prices.
            extra: Further fields of every request, such as `service_tier`.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used.

        """
        from toka.llm_gateway.formats.responses._dialect import (  # noqa: PLC0415 - see above
            ResponsesDialect,
        )

        super().__init__(
            ResponsesDialect(dict(extra), options.strict_translation),
            provider=provider,
            name=name,
            base_url=base_url,
            key=_key(key),
            options=options,
        )


class GeminiModel(HttpModel):
    """A model behind Google's Gemini format."""

    def __init__(
        self,
        name: str,
        key: ApiKey | str | None,
        *,
        base_url: str = GEMINI_URL,
        provider: str = "gemini",
        options: HttpOptions = _DEFAULTS,
        extra: JsonObject = _NOTHING,
    ) -> None:
        """Prepare to call a model; nothing is sent before the first call.

        Args:
            name: The model, for requests that name none.
            key: Sent as `x-goog-api-key`; None sends no key.
            base_url: The address before `/models/NAME:generateContent`.
            provider: The name in responses and errors, and the section of the price table.
            options: Limits, retries, prices.
            extra: Further fields of every request, such as `safetySettings`.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used.

        """
        from toka.llm_gateway.formats.gemini._dialect import (  # noqa: PLC0415 - see above
            GeminiDialect,
        )

        super().__init__(
            GeminiDialect(dict(extra), options.strict_translation),
            provider=provider,
            name=name,
            base_url=base_url,
            key=_key(key),
            options=options,
        )


class BedrockModel(HttpModel):
    """A model behind Amazon Bedrock, in its Converse format."""

    def __init__(
        self,
        name: str,
        key: ApiKey | str | None = None,
        *,
        region: str | None = None,
        profile: str | None = None,
        base_url: str | None = None,
        provider: str = "bedrock",
        options: HttpOptions = _DEFAULTS,
        extra: JsonObject = _NOTHING,
    ) -> None:
        """Prepare to call a model; nothing is sent before the first call.

        Args:
            name: The model's or the inference profile's name, or its ARN.
            key: A Bedrock API key, sent as a bearer token; None signs with AWS credentials, which
                needs the extra `bedrock`.
            region: Where the model is, and what is signed for; None takes it from the address.
            profile: Whose credentials of AWS's shared files to sign with.
            base_url: Another address before `/model/NAME/converse`, such as a private endpoint's.
            provider: The name in responses and errors, and the section of the price table.
            options: Limits, retries, prices.
            extra: Further fields of every request, such as `guardrailConfig`.

        Raises:
            ConfigurationInvalid: The key or the address cannot be used, the region is not known, or
                botocore is missing.

        """
        from toka.llm_gateway.formats._event_stream import (  # noqa: PLC0415 - see above
            EventStreamParser,
        )
        from toka.llm_gateway.formats._framing import Framing  # noqa: PLC0415 - see above
        from toka.llm_gateway.formats.converse._dialect import (  # noqa: PLC0415 - see above
            ConverseDialect,
        )
        from toka.llm_gateway.http._signature import AwsSigner  # noqa: PLC0415 - see above

        # An address of one's own and a key need no region.
        place = region or (_region(base_url) if base_url is None or key is None else "")
        super().__init__(
            ConverseDialect(dict(extra), options.strict_translation),
            provider=provider,
            name=name,
            base_url=base_url or f"https://bedrock-runtime.{place}.amazonaws.com",
            key=_key(key),
            options=options,
            framing=Framing("application/vnd.amazon.eventstream", EventStreamParser),
            signer=AwsSigner("bedrock", place, profile) if key is None else None,
        )


def _region(base_url: str | None) -> str:
    """Return the region that an address of Amazon's names: `https://SERVICE.REGION.amazonaws.com`.

    Raises:
        ConfigurationInvalid: It names none.

    """
    found = re.match(r"https://[a-z0-9.-]+\.([a-z0-9-]+)\.amazonaws\.com", base_url or "")
    if found is None:
        raise ConfigurationInvalid(
            "Amazon Bedrock needs a region.",
            hint="For example https://bedrock-runtime.eu-central-1.amazonaws.com as base address.",
        )
    return found[1]


def _key(key: ApiKey | str | None) -> ApiKey | None:
    return ApiKey(key) if isinstance(key, str) else key
