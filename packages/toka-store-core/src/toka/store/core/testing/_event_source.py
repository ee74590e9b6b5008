"""Events without effort."""

from __future__ import annotations

from typing import Final

import attrs

from toka.store.core._event import NewEvent
from toka.types import EventId, ulid

_START: Final = 1_795_000_000_000
"""Milliseconds since the epoch, in November 2026."""


@attrs.define
class EventSource:
    """Makes events whose identifiers and times rise, the same in every run."""

    seed: int = 0
    """Sources of different seeds make different identifiers."""
    count: int = 0

    def event_id(self) -> EventId:
        """Return the next identifier."""
        self.count += 1
        entropy = self.seed.to_bytes(5, "big") + self.count.to_bytes(5, "big")
        return EventId(ulid(_START + self.count, entropy))

    def new(
        self,
        stream: str = "stream",
        kind: str = "test.happened.v1",
        payload: bytes = b"{}",
        parents: tuple[EventId, ...] = (),
        intent: str = "",
        tags: tuple[str, ...] = (),
    ) -> NewEvent:
        """Return the next event."""
        event_id = self.event_id()
        return NewEvent(
            id=event_id,
            stream=stream,
            kind=kind,
            payload=payload,
            time=(_START + self.count) * 1_000_000,
            parents=parents,
            intent=intent,
            actor="actor",
            token="token",  # noqa: S106 - the identifier of none
            tags=tags,
        )

    def several(self, count: int, stream: str = "stream") -> list[NewEvent]:
        """Return the next events."""
        return [self.new(stream) for _ in range(count)]
