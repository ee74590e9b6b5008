"""Broadcast within one process, on a ring that all subscribers share.

Every item is stored once. A subscriber is a position in the sequence of all items ever published;
it holds no queue and needs no task. `publish` never waits: when the ring is full, the oldest item
gives way. A subscriber that was slower than that is told how many items it missed, as an item of
its own, and goes on with the oldest that is still there. `send` waits instead, for the subscribers
that asked to be waited for. A bus never holds the truth: whoever missed something reads it from the
log, and `follow` does so.

One event loop uses a bus, asyncio's or trio's. Nothing here is safe to call from another thread.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from anyio.lowlevel import checkpoint

from toka.bus.core._errors import BusClosed
from toka.bus.core._filter import wanted_items
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
        self._awaited: set[Subscription[T]] = set()
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

    async def send(self, items: Iterable[T]) -> None:
        """Hand items to all subscribers, in order, waiting for those that are to be waited for.

        None of them loses an item by this; others may, as with `publish`. Who is cancelled while
        waiting has handed over the items before the one it waited with.

        Raises:
            BusClosed: The bus was closed, before or while this waited.
        """
        await checkpoint()
        ring = self._ring
        for item in items:
            while self._is_full():
                await ring.wait_for_room()
            self.publish((item,))

    def _is_full(self) -> bool:
        if not self._awaited or self._ring.closed:
            return False
        return max(subscription.lag for subscription in self._awaited) >= self._ring.capacity

    def subscribe(
        self,
        kinds: str = "",
        *,
        stream: str = "",
        filter: Callable[[T], bool] | None = None,  # noqa: A002 - what it is called anywhere
        wait: bool = False,
    ) -> Subscription[T]:
        """Return an iterator over what is published from now on.

        Args:
            kinds: A whole `kind` of items, or a prefix that ends with a dot; all, if empty.
            stream: The `stream` of items; all, if empty.
            filter: Says which of those items are wanted.
            wait: Let `send` wait when this subscription has not taken what fills the ring. It must
                be closed then, best by `with`, or `send` waits for ever.
        """
        wanted = wanted_items(kinds, stream, filter)
        subscription = Subscription(self._ring, wanted, self._awaited if wait else None)
        self._subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """Let subscribers take what is still there, and then end. Closing again does nothing."""
        self._ring.closed = True
        self._ring.wake()
        self._ring.make_room()
