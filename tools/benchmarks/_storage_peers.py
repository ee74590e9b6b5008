"""Libraries beside which the stores are measured; imported only where they are installed."""
# Peers are installed for benchmarks only, so their types cannot be known where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

if TYPE_CHECKING:
    from pathlib import Path

_SAVES = 150


class _Agent(Aggregate):
    """An aggregate that notes bytes."""

    @event("Noted")
    def note(self, data: str) -> None:
        """Keep the newest."""
        self.data = data


class Saver:
    """An application of `eventsourcing` over SQLite."""

    def __init__(self, path: Path) -> None:
        self._application: Application = Application(
            env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        )

    def saves_per_second(self, payload: bytes) -> float:
        """Save one new event after the other."""
        agent, data = _Agent(), payload.hex()
        self._application.save(agent)
        began = time.perf_counter()
        for _ in range(_SAVES):
            agent.note(data)
            self._application.save(agent)
        took = time.perf_counter() - began
        self._application.close()
        return _SAVES / took
