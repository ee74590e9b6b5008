"""Broadcast within one process, on a ring that all subscribers share.

Every item is stored once. A subscriber is a position in the sequence of all items ever published;
it holds no queue and needs no task. Publishing never waits: when the ring is full, the oldest item
gives way. A subscriber that was slower than that is told how many items it missed, as an item of
its own, and goes on with the oldest that is still there. A bus never holds the truth: whoever
missed something reads it from the log.

One event loop uses a bus, asyncio's or trio's. Nothing here is safe to call from another thread.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from toka.bus.core._errors import BusClosed
from toka.bus.core._ring import Ring
from toka.bus.core._subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

CAPACITY: Final = 1024


class Bus(Generic[T]):
    """Carries items from whoever publishes to all who subscribe."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Make a bus.

        Args:
            capacity: How many items a subscriber may be behind before it misses one.

        Raises:
            ValueError: The capacity is not positive.
        """
        if capacity < 1:
            raise ValueError(f"A bus holds at least one item, not {capacity}.")
        self._ring: Ring[T] = Ring(capacity)
        self._subscriptions: weakref.WeakSet[Subscription[T]] = weakref.WeakSet()

    @property
    def capacity(self) -> int:
        """Return how many items a subscriber may be behind before it misses one."""
        return self._ring.capacity

    @property
    def published(self) -> int:
        """Return how many items were ever published."""
        return self._ring.end

    @property
    def subscribers(self) -> int:
        """Return how many subscriptions are open."""
        return sum(not subscription.closed for subscription in self._subscriptions)

    def publish(self, items: Iterable[T]) -> None:
        """Hand items to all subscribers, in order, without waiting for any.

        Raises:
            BusClosed: The bus was closed.
        """
        if self._ring.closed:
            raise BusClosed
        self._ring.put(items)

    def subscribe(
        self,
        filter: Callable[[T], bool] | str | None = None,  # noqa: A002 - what it is called anywhere
    ) -> Subscription[T]:
        """Return an iterator over what is published from now on.

        Args:
            filter: Says which items are wanted; or a prefix of their `kind`. All, if None.
        """
        wanted = _of_kind(filter) if isinstance(filter, str) else filter
        subscription = Subscription(self._ring, wanted)
        self._subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """Let subscribers take what is still there, and then end. Closing again does nothing."""
        self._ring.closed = True
        self._ring.wake()


def _of_kind(prefix: str) -> Callable[[object], bool]:
    def has_kind(item: object) -> bool:
        kind: object = getattr(item, "kind", None)
        return isinstance(kind, str) and kind.startswith(prefix)

    return has_kind
