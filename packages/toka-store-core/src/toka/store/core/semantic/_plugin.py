"""What a plug-in is.

All three families take batches, because whatever computes vectors or asks a model is several times
faster on many events at once. They are coroutines, because an extractor may read the store; one
that computes for long does so in a thread of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core._event import Event
    from toka.store.core.semantic._findings import Anomaly, Classification, Relationship
    from toka.types import JsonObject

_NOTHING: Final[JsonObject] = {}


@attrs.frozen
class PluginInfo:
    """Who a plug-in is."""

    id: str
    """Unique in a registry, as in `kinds.nearest`."""
    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    schema: JsonObject | None = None
    """JSON Schema 2020-12 of the parameters; None for a plug-in that takes none."""


@attrs.frozen
class PluginConfig:
    """How a plug-in is to work."""

    plugin: str
    """The identifier of the plug-in."""
    parameters: JsonObject = attrs.field(default=_NOTHING, repr=False)
    """May hold what is confidential, and is not printed."""
    enabled: bool = True


class Plugin(Protocol):
    """What all families have in common."""

    @property
    def info(self) -> PluginInfo:
        """Say who this is."""
        ...

    def configure(self, parameters: JsonObject) -> None:
        """Take parameters that fit the schema; called before the first analysis.

        Raises:
            InvalidConfiguration: They fit the schema and still cannot be used; nothing changed.
        """
        ...


@runtime_checkable
class Classifier(Plugin, Protocol):
    """Says what events are about."""

    async def classify(self, events: Sequence[Event]) -> list[Classification]:
        """Return what is known of the events, in their order; none for those it cannot judge.

        Raises:
            AnalysisFailed: The work could not be done.
        """
        ...


@runtime_checkable
class RelationshipExtractor(Plugin, Protocol):
    """Finds which events have to do with each other."""

    async def extract(self, events: Sequence[Event]) -> list[Relationship]:
        """Return the relationships that these events have, with each other or with earlier ones.

        Raises:
            AnalysisFailed: The work could not be done.
        """
        ...


@runtime_checkable
class AnomalyDetector(Plugin, Protocol):
    """Finds events that are unlike the others."""

    async def learn(self, events: Sequence[Event]) -> None:
        """Take the events, in log order, into the idea of what is usual.

        Raises:
            AnalysisFailed: The work could not be done.
        """
        ...

    async def detect(self, events: Sequence[Event]) -> list[Anomaly]:
        """Return which of the events are unusual, in their order, without learning from them.

        Raises:
            AnalysisFailed: The work could not be done.
        """
        ...
