"""Fresh identifiers for the kernel: time and randomness enter here, and nowhere below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from toka.types import EntityId, EventId, ulid

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import Clock

_MILLISECOND = 1_000_000
_LAST = (1 << 80) - 1
_ENTROPY = 10
_POOLED = 64


class UlidSource:
    """Makes ULIDs that rise strictly, also within a millisecond and when the clock steps back.

    Within a millisecond the random part counts up by one, as the ULID specification has it, which
    spares an entropy read per event.
    """

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        self._millisecond = 0
        self._random = _LAST
        self._pool = b""

    def event(self) -> EventId:
        """Return a fresh identifier for an event."""
        return EventId(self._next())

    def entity(self) -> EntityId:
        """Return a fresh identifier for an entity."""
        return EntityId(self._next())

    def _next(self) -> str:
        now = self._clock.now() // _MILLISECOND
        if now > self._millisecond:
            self._millisecond = now
            # The top bit is left clear so that counting up within the millisecond cannot overflow.
            self._random = self._draw()
        elif self._random == _LAST:
            self._millisecond += 1
            self._random = self._draw()
        else:
            self._random += 1
        return ulid(self._millisecond, self._random.to_bytes(10, "big"))

    def _draw(self) -> int:
        # Asking the system lets other threads run first, which each time may take milliseconds.
        if not self._pool:
            self._pool = self._entropy(_POOLED * _ENTROPY)
        drawn, self._pool = self._pool[:_ENTROPY], self._pool[_ENTROPY:]
        return int.from_bytes(drawn, "big") >> 1
