"""A subscriber: a position in the sequence of all items of a bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from toka.bus.core._ring import Ring

T = TypeVar("T")


@attrs.frozen
class Gap:
    """Stands in the sequence of items where some were lost to this subscriber."""

    missed: int
    """Items of the bus that were overwritten before they were looked at, wanted or not."""


class Subscription(Generic[T]):
    """Iterates over the items of a bus from a position of its own; for one task at a time.

    Use it in an `async for`; `with` closes it at the end. The iteration ends when the bus is closed
    and everything still there was taken, or when the subscription is closed.
    """

    def __init__(
        self,
        ring: Ring[T],
        wanted: Callable[[T], bool] | None,
        awaited: set[Subscription[T]] | None = None,
    ) -> None:
        """Begin at the end of a ring; `Bus.subscribe` is what callers want.

        Args:
            ring: Of the bus.
            wanted: Says which items to return; all, if None.
            awaited: Those that `send` waits for, of which this is to be one.
        """
        self._ring = ring
        self._next = ring.end
        self._wanted = wanted
        self._closed = False
        self._awaited = awaited
        if awaited is not None:
            awaited.add(self)

    @property
    def lag(self) -> int:
        """Return how many items were published that this subscription has not looked at."""
        return self._ring.end - self._next

    @property
    def closed(self) -> bool:
        """Say whether the subscription was closed; that of its bus does not show here."""
        return self._closed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | Gap:
        ring, wanted = self._ring, self._wanted
        while not self._closed:
            place = self._next
            behind = ring.end - place
            if behind > ring.capacity:
                self._next = ring.end - ring.capacity
                return Gap(behind - ring.capacity)
            if behind:
                self._next = place + 1
                if self._awaited is not None:
                    ring.make_room()
                item = ring.items[place % ring.capacity]
                if wanted is None or wanted(item):
                    return item
            elif ring.closed:
                break
            else:
                await ring.wait()
        raise StopAsyncIteration

    async def receive(self) -> list[T | Gap]:
        """Return all that is there, waiting until there is something; an empty list is the end.

        The way to keep up with many items: one call serves them all.
        """
        ring = self._ring
        while not self._closed:
            if self._next < ring.end:
                taken = self._take()
                if taken:
                    return taken
            elif ring.closed:
                break
            else:
                await ring.wait()
        return []

    def _take(self) -> list[T | Gap]:
        ring, wanted, taken = self._ring, self._wanted, list[T | Gap]()
        oldest = ring.end - ring.capacity
        if self._next < oldest:
            taken.append(Gap(oldest - self._next))
            self._next = oldest
        items = ring.newest(self._next)
        self._next = ring.end
        if self._awaited is not None:
            ring.make_room()
        taken += items if wanted is None else [item for item in items if wanted(item)]
        return taken

    def close(self) -> None:
        """End the iteration, also for a task that waits in it. Closing again does nothing."""
        self._closed = True
        self._ring.wake()
        if self._awaited is not None:
            self._awaited.discard(self)
            self._ring.make_room()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
