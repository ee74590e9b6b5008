"""The limiter for tasks: no storage keeps a caller waiting longer than it may."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.to_thread

from toka.rate_limiter._errors import InvalidLimitError, StorageUnavailable
from toka.rate_limiter._limits import LimitSet
from toka.rate_limiter._memory import MemoryStorage
from toka.rate_limiter._outage import Outage, WhenDown, decide
from toka.rate_limiter._storage import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from toka.rate_limiter._adaptive import AdaptivePolicy, Reading
    from toka.rate_limiter._decision import Decision, LimitStatus
    from toka.rate_limiter._limit import Limit
    from toka.rate_limiter._storage import AsyncStorage, Charge, Storage

DEFAULT_TIMEOUT_SECONDS: Final = 0.5
_THREADS: Final = 4


class AsyncLimiter:
    """Applies limits to hits, for the tasks of one event loop.

    Facts are what is known of a hit, by name: `{"user": "alice", "ip": "192.0.2.7"}`. Each limit
    counts by those that it names.
    """

    __slots__ = ("_limits", "_outage", "_storage", "_timeout")

    def __init__(
        self,
        limits: Sequence[Limit],
        storage: AsyncStorage | Storage | None = None,
        *,
        when_down: WhenDown = WhenDown.CLOSED,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        policy: AdaptivePolicy | None = None,
    ) -> None:
        """Prepare to limit.

        Args:
            limits: All must admit a hit, or none is charged.
            storage: Where to count; in memory if left out. One that blocks works in a thread.
            when_down: What to answer while the storage is down, or slower than the timeout. What
                it did not answer in time it may have counted: never too little is counted.
            timeout_seconds: How long a storage may take.
            policy: Bounds of `observe`.

        Raises:
            InvalidLimitError: There is no limit, two have one name, or the timeout is not positive.
        """
        if not timeout_seconds > 0:
            raise InvalidLimitError("A storage needs a time to answer.")
        self._limits = LimitSet(limits, policy)
        self._storage = _asynchronous(storage if storage is not None else MemoryStorage())
        self._outage = Outage(when_down)
        self._timeout = timeout_seconds

    @property
    def capacity(self) -> int:
        """The most that one hit may cost and still be admitted, once all is whole."""
        return self._limits.capacity

    async def hit(self, facts: Mapping[str, str], cost: int = 1) -> Decision:
        """Spend a cost, if all limits admit it.

        Raises:
            InvalidHitError: The cost is no whole number above zero, or a fact is missing.
        """
        return await self._apply(Action.HIT, facts, cost)

    async def peek(self, facts: Mapping[str, str], cost: int = 1) -> Decision:
        """Return what `hit` would answer, and what remains, and change nothing.

        Raises:
            InvalidHitError: As for `hit`.
        """
        return await self._apply(Action.PEEK, facts, cost)

    async def refund(self, facts: Mapping[str, str], cost: int = 1) -> Decision:
        """Give a cost back; never more than still counts.

        Raises:
            InvalidHitError: As for `hit`.
            StorageUnavailable: The storage is down.
        """
        return await self._apply(Action.REFUND, facts, cost)

    async def reset(self, facts: Mapping[str, str]) -> Decision:
        """Make all limits whole for these facts.

        Raises:
            InvalidHitError: A fact is missing.
            StorageUnavailable: The storage is down.
        """
        return await self._apply(Action.RESET, facts, 1)

    def observe(self, readings: Iterable[Reading]) -> int:
        """Tighten or relax all limits by the load, and return the percentage that holds now."""
        return self._limits.observe(readings)

    async def _apply(self, action: Action, facts: Mapping[str, str], cost: int) -> Decision:
        charges = self._limits.charges(facts, cost)
        try:
            statuses = await self._ask(action, charges, cost)
        except StorageUnavailable as error:
            return self._outage.answer(action, charges, cost, error)
        self._outage.over()
        return decide(statuses)

    async def _ask(self, action: Action, charges: Sequence[Charge], cost: int) -> list[LimitStatus]:
        try:
            with anyio.fail_after(self._timeout):
                return await self._storage.apply(action, charges, cost)
        except TimeoutError as error:
            raise StorageUnavailable(
                f"The limits' storage did not answer within {self._timeout} seconds."
            ) from error


class _Inline:
    """Memory as an asynchronous storage: it never blocks, so it needs no thread."""

    __slots__ = ("_storage",)

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    async def apply(
        self, action: Action, charges: Sequence[Charge], cost: int
    ) -> list[LimitStatus]:
        return self._storage.apply(action, charges, cost)


class _Threaded:
    """A storage that blocks, in threads of its own: when it hangs, only its callers wait."""

    __slots__ = ("_places", "_storage")

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._places: anyio.CapacityLimiter | None = None

    async def apply(
        self, action: Action, charges: Sequence[Charge], cost: int
    ) -> list[LimitStatus]:
        if self._places is None:  # Needs a running event loop, which the constructor may lack.
            self._places = anyio.CapacityLimiter(_THREADS)
        call = partial(self._storage.apply, action, charges, cost)
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._places)


def _asynchronous(storage: AsyncStorage | Storage) -> AsyncStorage:
    if isinstance(storage, MemoryStorage):
        return _Inline(storage)
    if inspect.iscoroutinefunction(storage.apply):
        return cast("AsyncStorage", storage)
    return _Threaded(cast("Storage", storage))
