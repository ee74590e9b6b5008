"""The ring that a bus and its subscriptions share: items, the count of all ever put, one signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class Ring(Generic[T]):
    """The newest items of a sequence.

    Invariant: the item of place `p` in the sequence, counted from 0, is at `p % capacity` while
    `end - capacity <= p < end`.
    """

    __slots__ = ("_news", "_room", "capacity", "closed", "end", "items")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: list[T] = []
        self.end = 0
        self.closed = False
        self._news: anyio.Event | None = None
        self._room: anyio.Event | None = None

    def put(self, items: Iterable[T]) -> None:
        """Append items to the sequence; the oldest give way."""
        held, capacity, end = self.items, self.capacity, self.end
        for item in items:
            if end < capacity:
                held.append(item)
            else:
                held[end % capacity] = item
            end += 1
        self.end = end
        self.wake()

    def newest(self, place: int) -> list[T]:
        """Return the items from a place on that is still in the ring."""
        first, last = place % self.capacity, self.end % self.capacity
        if first < last:
            return self.items[first:last]
        return self.items[first:] + self.items[:last]

    async def wait(self) -> None:
        """Wait until something is put or the ring is closed."""
        # One event serves all who wait, and is made only when someone does.
        if self._news is None:
            self._news = anyio.Event()
        await self._news.wait()

    def wake(self) -> None:
        """Let all who wait look again."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def wait_for_room(self) -> None:
        """Wait until someone who is waited for has taken an item, or has gone."""
        if self._room is None:
            self._room = anyio.Event()
        await self._room.wait()

    def make_room(self) -> None:
        """Let all who wait for room look again."""
        if self._room is not None:
            self._room.set()
            self._room = None
