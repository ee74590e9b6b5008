"""What plug-ins find in events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.store.core.semantic._errors import InvalidFinding

if TYPE_CHECKING:
    from toka.types import EventId, JsonObject

_NOTHING: Final[JsonObject] = {}


def _fraction(_finding: object, field: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:  # false for what is not a number, too
        raise InvalidFinding(field.name, f"is {value}, not a number from 0 to 1")


def _named(_finding: object, field: attrs.Attribute[str], value: str) -> None:
    if not value:
        raise InvalidFinding(field.name, "is empty")


@attrs.frozen
class Classification:
    """What an event is about."""

    event: EventId
    category: str = attrs.field(validator=_named)
    confidence: float = attrs.field(validator=_fraction)
    """From 0 to 1, computed from the event."""
    tags: tuple[str, ...] = ()
    facts: JsonObject = _NOTHING
    """What the judgement rests on, for people."""


@attrs.frozen
class Relationship:
    """That two events have to do with each other."""

    source: EventId
    target: EventId
    kind: str = attrs.field(validator=_named)
    strength: float = attrs.field(validator=_fraction)
    facts: JsonObject = _NOTHING


@attrs.frozen
class Anomaly:
    """That an event is unlike the others."""

    event: EventId
    kind: str = attrs.field(validator=_named)
    severity: float = attrs.field(validator=_fraction)
    description: str
    """A sentence that names the figures behind the severity."""
    facts: JsonObject = _NOTHING
    suggestions: tuple[str, ...] = ()
