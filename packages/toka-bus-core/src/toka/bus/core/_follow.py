"""A log from a position on, without gap or repeat: what is stored, then what the bus brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from toka.bus.core._subscription import Gap

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from toka.bus.core._bus import Bus


class Positioned(Protocol):
    """An item that knows its place in a log."""

    @property
    def position(self) -> int:
        """Return the place, from 1, without gaps."""
        ...


P = TypeVar("P", bound=Positioned)


async def follow(
    bus: Bus[P], read: Callable[[int], AsyncIterator[P]], after: int = 0
) -> AsyncGenerator[P, None]:
    """Yield every item after a position once, in order, until the bus is closed.

    Whatever the bus lost to a subscriber as slow as this one is read from the log, and then the bus
    is listened to again.

    Args:
        bus: Carries items in the order of the log, each after it is stored.
        read: Returns the stored items after a position, in order, as `EventStore.read` does.
        after: The last position that is already known.
    """
    with bus.subscribe() as live:
        position = after
        while True:
            async for item in read(position):
                position = item.position
                yield item
            async for found in live:
                if isinstance(found, Gap) or found.position > position + 1:
                    break
                if found.position == position + 1:
                    position = found.position
                    yield found
            else:
                return
