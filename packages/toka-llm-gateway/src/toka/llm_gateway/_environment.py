"""A model from `TOKA_LLM_*` settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway._prices import PriceTable
from toka.llm_gateway.http._options import HttpOptions
from toka.llm_gateway.http._secret import ApiKey
from toka.llm_gateway.http._transport import Timeouts
from toka.llm_gateway.providers._presets import PRESETS, make_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._model import Model

_PREFIX: Final = "TOKA_LLM_"
_MAX_FILE_BYTES: Final = 1024 * 1024
_EXAMPLE: Final = (
    "For example: TOKA_LLM_PROVIDER=anthropic TOKA_LLM_MODEL=claude-sonnet-5-5"
    " TOKA_LLM_API_KEY_FILE=~/.config/toka/anthropic.key"
)


def model_from_environment(environ: Mapping[str, str]) -> Model:
    """Return the model that the settings describe.

    `TOKA_LLM_PROVIDER` (a name of `PRESETS`, or of an installed provider) and `TOKA_LLM_MODEL` are
    needed, and unless the provider wants none or `TOKA_LLM_BASE_URL` names a server of one's own,
    `TOKA_LLM_API_KEY` or `TOKA_LLM_API_KEY_FILE`.
    `TOKA_LLM_TIMEOUT` bounds a call in seconds, `TOKA_LLM_MAX_OUTPUT_TOKENS` every answer,
    `TOKA_LLM_PRICES` names a table of prices and limits that replace the built-in ones, and
    `TOKA_LLM_ALLOW_INSECURE=1` lets a key travel over plain HTTP. An empty setting counts as none.

    Raises:
        ConfigurationInvalid: A setting is missing, or says nothing that can be used.

    """
    settings = _Settings(environ)
    provider = settings.need("PROVIDER")
    name = settings.need("MODEL")
    base_url = settings.get("BASE_URL")
    preset = PRESETS.get(provider)
    needed = preset is not None and preset.needs_key and base_url is None
    key = settings.key(needed=needed)
    return make_model(provider, name, key, base_url=base_url, options=settings.options())


def prices_from_environment(environ: Mapping[str, str]) -> PriceTable:
    """Return the built-in table of prices and limits, with that of `TOKA_LLM_PRICES` over it.

    Raises:
        ConfigurationInvalid: The file cannot be read, or is no such table.

    """
    path = _Settings(environ).get("PRICES")
    return PriceTable.built_in() if path is None else _prices(path)


class _Settings:
    """The settings, with the prefix taken off and empty ones left out."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ: Final = environ

    def get(self, name: str) -> str | None:
        return self._environ.get(_PREFIX + name, "").strip() or None

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise ConfigurationInvalid(f"The setting {_PREFIX}{name} is missing.", hint=_EXAMPLE)
        return value

    def key(self, *, needed: bool) -> ApiKey | None:
        key, path = self.get("API_KEY"), self.get("API_KEY_FILE")
        if key is not None and path is not None:
            raise ConfigurationInvalid(
                "Both TOKA_LLM_API_KEY and TOKA_LLM_API_KEY_FILE are set.", hint="Unset one."
            )
        if key is None and path is not None:
            key = _read("API_KEY_FILE", path)
        if key is None:
            if needed:
                raise ConfigurationInvalid(
                    "The setting TOKA_LLM_API_KEY (or TOKA_LLM_API_KEY_FILE) is missing.",
                    hint=_EXAMPLE,
                )
            return None
        return ApiKey(key)

    def options(self) -> HttpOptions:
        total = self._number("TIMEOUT", Timeouts().total)
        prices = self.get("PRICES")
        limit = self.get("MAX_OUTPUT_TOKENS")
        return HttpOptions(
            timeouts=Timeouts(total=total),
            prices=None if prices is None else _prices(prices),
            max_output_tokens=None if limit is None else int(self._number("MAX_OUTPUT_TOKENS", 0)),
            allow_insecure=self.get("ALLOW_INSECURE") == "1",
        )

    def _number(self, name: str, default: float) -> float:
        text = self.get(name)
        if text is None:
            return default
        try:
            number = int(text) if name == "MAX_OUTPUT_TOKENS" else float(text)
        except ValueError:
            number = 0
        if not 1 <= number < 10**9:
            raise ConfigurationInvalid(
                f"{_PREFIX}{name} is {text[:40]!r}, not a number from 1.",
                hint="For example TOKA_LLM_TIMEOUT=120 TOKA_LLM_MAX_OUTPUT_TOKENS=8192",
            )
        return number


def _prices(path: str) -> PriceTable:
    return PriceTable.built_in().merged(PriceTable.parse(_read("PRICES", path)))


def _read(name: str, path: str) -> str:
    from pathlib import Path  # noqa: PLC0415 - only who names a file pays

    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
    else:
        if len(data) <= _MAX_FILE_BYTES:
            return text
        reason = "too large"
    # Raised here, not in the handler: a decoding error carries the file's bytes.
    raise ConfigurationInvalid(f"The file {path!r} of {_PREFIX}{name} cannot be read: {reason}.")
