"""What a configuration may say; see `_configuration.py` for its form in TOML."""

from __future__ import annotations

from typing import Literal

import msgspec


class ProviderEntry(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    key_env: str | list[str] = []
    key_file: str | list[str] = []
    base_url: str | None = None
    extra: dict[str, object] = {}


class ModelEntry(msgspec.Struct, forbid_unknown_fields=True):
    routes: list[str]
    strategy: Literal["fallback", "balance", "hedge"] = "fallback"
    max_concurrent: int | None = None
    cache_seconds: float | None = None


class EmbeddingEntry(msgspec.Struct, forbid_unknown_fields=True):
    route: str


class GuardsEntry(msgspec.Struct, forbid_unknown_fields=True):
    redact: bool = False
    spotlight: bool = False
    max_input_tokens: int | None = None


class TelemetryEntry(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool = False
    contents: bool = False


class ConfigurationFile(msgspec.Struct, forbid_unknown_fields=True):
    providers: dict[str, ProviderEntry]
    models: dict[str, ModelEntry]
    embeddings: dict[str, EmbeddingEntry] = {}
    guards: GuardsEntry | None = None
    telemetry: TelemetryEntry | None = None
