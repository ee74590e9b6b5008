"""The plug-ins that are there, and how each is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from toka.store.core.semantic._errors import DuplicatePlugin, InvalidPlugin, UnknownPlugin
from toka.store.core.semantic._plugin import (
    AnomalyDetector,
    Classifier,
    Plugin,
    PluginConfig,
    RelationshipExtractor,
)
from toka.store.core.semantic._schema import check_parameters, check_schema

if TYPE_CHECKING:
    from typing import Final

_FAMILIES: Final = (Classifier, RelationshipExtractor, AnomalyDetector)

P = TypeVar("P", bound=Plugin)


@attrs.frozen
class _Entry:
    plugin: Plugin
    config: PluginConfig


@attrs.define
class PluginRegistry:
    """Plug-ins by their identifier, in the order of registration.

    A plug-in is configured before it can be asked for: whatever `classifiers`, `extractors` and
    `detectors` return has taken parameters that fit its schema.
    """

    _entries: dict[str, _Entry] = attrs.field(factory=dict[str, _Entry], init=False)

    def register(self, plugin: Plugin, config: PluginConfig | None = None) -> None:
        """Add a plug-in and configure it; without a configuration, with no parameters, enabled.

        Raises:
            InvalidPlugin: It is of no family, has no identifier, or its schema is no JSON Schema.
            DuplicatePlugin: The identifier is taken.
            UnknownPlugin: The configuration is for another plug-in.
            InvalidConfiguration: The parameters break the schema.
            SchemaUnchecked: There is a schema, and jsonschema is not installed.
        """
        info = plugin.info
        if not info.id:
            raise InvalidPlugin(info.id, "it has no identifier")
        if not isinstance(plugin, _FAMILIES):
            raise InvalidPlugin(info.id, "it neither classifies, extracts nor detects")
        if info.id in self._entries:
            raise DuplicatePlugin(info.id)
        check_schema(info)
        self._configure(plugin, config or PluginConfig(info.id))

    def configure(self, config: PluginConfig) -> None:
        """Give a plug-in other parameters, or switch it on or off.

        Raises:
            UnknownPlugin: It is not registered.
            InvalidConfiguration: The parameters are refused; the old ones stay.
            SchemaUnchecked: There is a schema, and jsonschema is not installed.
        """
        self._configure(self._entry(config.plugin).plugin, config)

    def _configure(self, plugin: Plugin, config: PluginConfig) -> None:
        if config.plugin != plugin.info.id:
            raise UnknownPlugin(config.plugin, [plugin.info.id])
        check_parameters(plugin.info, config.parameters)
        plugin.configure(config.parameters)
        self._entries[config.plugin] = _Entry(plugin, config)

    def unregister(self, plugin: str) -> None:
        """Remove a plug-in and its configuration.

        Raises:
            UnknownPlugin: It is not registered.
        """
        self._entry(plugin)
        del self._entries[plugin]

    def get(self, plugin: str) -> Plugin:
        """Return a plug-in, enabled or not.

        Raises:
            UnknownPlugin: It is not registered.
        """
        return self._entry(plugin).plugin

    def config(self, plugin: str) -> PluginConfig:
        """Return how a plug-in is configured.

        Raises:
            UnknownPlugin: It is not registered.
        """
        return self._entry(plugin).config

    def plugins(self) -> list[Plugin]:
        """Return all plug-ins, enabled or not."""
        return [entry.plugin for entry in self._entries.values()]

    def classifiers(self) -> list[Classifier]:
        """Return the enabled plug-ins that classify."""
        return self._enabled(Classifier)  # type: ignore[type-abstract]  # a protocol, to look for

    def extractors(self) -> list[RelationshipExtractor]:
        """Return the enabled plug-ins that extract relationships."""
        return self._enabled(RelationshipExtractor)  # type: ignore[type-abstract]  # as above

    def detectors(self) -> list[AnomalyDetector]:
        """Return the enabled plug-ins that detect anomalies."""
        return self._enabled(AnomalyDetector)  # type: ignore[type-abstract]  # as above

    def _enabled(self, family: type[P]) -> list[P]:
        enabled = (entry.plugin for entry in self._entries.values() if entry.config.enabled)
        return [plugin for plugin in enabled if isinstance(plugin, family)]

    def _entry(self, plugin: str) -> _Entry:
        try:
            return self._entries[plugin]
        except KeyError:
            raise UnknownPlugin(plugin, list(self._entries)) from None
