"""One ring that everybody reads at their own pace.

Publishing copies nothing per subscriber and wakes each of them at most once for a batch. A
subscriber is a position in the ring; one that falls behind by more than the ring holds is told how
much it missed, and goes on with the oldest item that is still there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio
import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

T = TypeVar("T")

DEFAULT_CAPACITY: Final = 1_024


@attrs.frozen
class Gap:
    """Says that a subscriber was slower than the ring."""

    missed: int
    """Items that were published and are gone, whether or not a filter would have let them pass."""


class Bus(Generic[T]):
    """Carries items from publishers to all who subscribe, in the order of publishing."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        """Make a bus.

        Args:
            capacity: Items that are kept for slow subscribers.

        Raises:
            ValueError: The capacity is not positive.
        """
        if capacity < 1:
            raise ValueError("A bus keeps at least one item.")
        self._capacity = capacity
        self._ring: list[T | None] = [None] * capacity
        self._published = 0
        self._closed = False
        self._sleepers: list[anyio.Event] = []

    def publish(self, items: Iterable[T]) -> None:
        """Hand items to every subscriber. Never waits.

        Raises:
            RuntimeError: The bus was closed.
        """
        if self._closed:
            raise RuntimeError("The bus was closed.")
        ring, capacity, position = self._ring, self._capacity, self._published
        for item in items:
            ring[position % capacity] = item
            position += 1
        self._published = position
        self._wake()

    def subscribe(self, wanted: Callable[[T], bool] | None = None) -> Subscription[T]:
        """Return an iterator over what is published from now on.

        Args:
            wanted: Says which items to yield; all of them if left out.
        """
        return Subscription(self, self._published, wanted)

    def close(self) -> None:
        """End every subscription, after what was published before."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            sleeper.set()


class Subscription(Generic[T]):
    """A place in the ring. Iterate over it in one task; leave its `with` block to end it."""

    def __init__(self, bus: Bus[T], position: int, wanted: Callable[[T], bool] | None) -> None:
        self._bus = bus
        self._position = position
        self._wanted = wanted
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | Gap:
        """Return the next item, or a gap.

        Raises:
            StopAsyncIteration: The bus or the subscription was closed, and nothing is left.
        """
        while True:
            item = self._take()
            if item is not None:
                return item
            if self._bus._closed or self._closed:  # noqa: SLF001 - two halves of one thing
                raise StopAsyncIteration
            sleeper = anyio.Event()
            self._bus._sleepers.append(sleeper)  # noqa: SLF001
            await sleeper.wait()

    def _take(self) -> T | Gap | None:
        bus = self._bus
        published, capacity = bus._published, bus._capacity  # noqa: SLF001
        missed = published - capacity - self._position
        if missed > 0:
            self._position += missed
            return Gap(missed)
        while self._position < published:
            item = bus._ring[self._position % capacity]  # noqa: SLF001
            self._position += 1
            if item is not None and (self._wanted is None or self._wanted(item)):
                return item
        return None
