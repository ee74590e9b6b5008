"""Relationships over the causal graph: which causes an event is owed to, and how much.

An event is owed to its direct causes, in shares that make 1: with several, the more alike cause has
the greater share. Each cause is owed to its own causes in the same way, so the shares flow back to
the events that have no cause, and what arrives at one of them is its part in all that followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from toka.store.core import StoreError
from toka.store.core.semantic import AnalysisFailed, PluginInfo, Relationship
from toka.store.semantic._reading import read_events
from toka.store.semantic._text import event_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Event, EventStore
    from toka.store.core.semantic import RelationshipExtractor
    from toka.store.semantic._embedder import Embedder
    from toka.store.semantic._text import TextExtractor
    from toka.types import EventId, JsonObject

_FLOOR: Final = 0.05
"""The likeness of a cause that shares no word: it is a cause all the same."""


class CausalExtractor:
    """A `RelationshipExtractor` of the kinds `caused`, `root_cause` and `resembles`."""

    def __init__(
        self,
        store: EventStore,
        embedder: Embedder,
        *,
        extractor: TextExtractor = event_text,
        resemblance: float = 0.8,
        limit: int = 1_000,
    ) -> None:
        """Make an extractor.

        Args:
            store: The log that the events are of.
            embedder: Compares texts.
            extractor: Says what of an event is compared.
            resemblance: The cosine from which on events resemble each other.
            limit: The most causes of an event that are walked, the newest.
        """
        self._store = store
        self._embedder = embedder
        self._extractor = extractor
        self._resemblance = resemblance
        self._limit = limit

    @property
    def info(self) -> PluginInfo:
        return PluginInfo(
            "semantic.causes",
            "Causes",
            "Finds direct causes, first causes and resemblance without a cause.",
            schema={
                "type": "object",
                "properties": {
                    "resemblance": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100_000},
                },
                "additionalProperties": False,
            },
        )

    def configure(self, parameters: JsonObject) -> None:
        """Take `resemblance` and `limit`, as the constructor does."""
        self._resemblance = cast("float", parameters.get("resemblance", self._resemblance))
        self._limit = cast("int", parameters.get("limit", self._limit))

    async def extract(self, events: Sequence[Event]) -> list[Relationship]:
        """Return how events are owed to their causes, and which of them resemble each other.

        Raises:
            AnalysisFailed: The log cannot be read.
        """
        found: list[Relationship] = []
        related: set[frozenset[EventId]] = set()
        for event in events:
            try:
                causes = await self._store.ancestors(event.id, limit=self._limit)
            except StoreError as error:
                raise AnalysisFailed(f"The causes of {event.id} cannot be read: {error}") from error
            related |= {frozenset((event.id, cause.id)) for cause in causes}
            found += await self._owed(event, causes)
        return found + await self._resembling(events, related)

    async def _owed(self, event: Event, causes: list[Event]) -> list[Relationship]:
        known = {each.id: each for each in (event, *causes)}
        likeness = await self._likeness(known)
        flow: dict[EventId, float] = {event.id: 1.0}
        direct: dict[EventId, float] = {}
        for each in known.values():  # an effect before its causes, so what flows in is complete
            parents = [parent for parent in each.parents if parent in known]
            weights = [likeness.get((each.id, parent), 1.0) for parent in parents]
            for parent, weight in zip(parents, weights, strict=True):
                share = weight / sum(weights)
                flow[parent] = flow.get(parent, 0.0) + flow[each.id] * share
                if each is event:
                    direct[parent] = share
        relationships = [
            Relationship(parent, event.id, "caused", min(1.0, share))
            for parent, share in direct.items()
        ]
        roots = [each for each in causes if not each.parents and each.id not in direct]
        return relationships + [
            Relationship(root.id, event.id, "root_cause", min(1.0, flow[root.id])) for root in roots
        ]

    async def _likeness(self, known: dict[EventId, Event]) -> dict[tuple[EventId, EventId], float]:
        """Return how alike effects and causes are, where an effect has several causes."""
        pairs = [
            (each.id, parent)
            for each in known.values()
            if len(each.parents) > 1
            for parent in each.parents
            if parent in known
        ]
        wanted = list(dict.fromkeys(name for pair in pairs for name in pair))
        read, rows = await read_events(
            [known[name] for name in wanted], self._embedder, self._extractor
        )
        vectors = {event.id: row for event, row in zip(read, rows, strict=True)}
        return {
            (effect, cause): max(_FLOOR, float(vectors[effect] @ vectors[cause]))
            if effect in vectors and cause in vectors
            else _FLOOR
            for effect, cause in pairs
        }

    async def _resembling(
        self, events: Sequence[Event], related: set[frozenset[EventId]]
    ) -> list[Relationship]:
        read, rows = await read_events(events, self._embedder, self._extractor)
        found: list[Relationship] = []
        for at, later in enumerate(read):
            for before, cosine in enumerate((rows[:at] @ rows[at]).tolist()):
                pair = frozenset((read[before].id, later.id))
                if cosine >= self._resemblance and pair not in related:
                    strength = min(1.0, cosine)
                    found.append(Relationship(read[before].id, later.id, "resembles", strength))
        return found


if TYPE_CHECKING:
    _implements: type[RelationshipExtractor] = CausalExtractor
