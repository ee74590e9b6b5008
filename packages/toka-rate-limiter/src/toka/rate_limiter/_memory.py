"""Buckets in this process.

Memory is bounded without forgetting anything that counts. A bucket that is whole again says nothing
that an absent one would not, so it may go; one that is not whole stays, for whoever could push it
out would gain its quota anew. Where all are in use, new keys are refused.

Finding those that are whole costs little: a hand goes round all keys, two for each new key.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from toka.rate_limiter._algorithms import rules_for
from toka.rate_limiter._errors import InvalidLimitError
from toka.rate_limiter._limit import Algorithm
from toka.rate_limiter._settle import newcomers, settle, turn_away
from toka.rate_limiter._storage import Action, checked_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toka.rate_limiter._algorithms import State, Taken
    from toka.rate_limiter._decision import LimitStatus
    from toka.rate_limiter._limit import Limit
    from toka.rate_limiter._storage import Charge, Key, Storage
    from toka.types import Clock

    Binding: TypeAlias = tuple[
        str,
        Limit,
        int,
        int,
        Callable[[], bool],
        Callable[[], None],
        Callable[[], int],
        Callable[[Key], State | None],
        dict[Key, State],
        Callable[[State, int, int], Taken],
    ]
    """One limit taken apart, so that a hit looks nothing up: the fact it counts by, itself, its
    interval, its whole debt (where it is GCRA without fractions; -1 for all else, to which `take`
    has the answer), how to lock and unlock, the clock, how to find a state, the states, `take`.

    A plain tuple, because any other takes a tenth of the whole time of a hit to take apart.
    """

DEFAULT_MAX_KEYS: Final = 1_000_000
_SWEPT_FOR_NEW: Final = 2
_SWEPT_WHEN_FULL: Final = 64
NANOSECONDS: Final = 1_000
"""In a microsecond."""


class _Table:
    """The buckets of one limit."""

    __slots__ = ("hand", "rules", "states")

    def __init__(self, limit: Limit) -> None:
        self.rules = rules_for(limit)
        self.states: dict[Key, State] = {}
        self.hand: deque[Key] = deque()
        """Every key once, in the order in which to look at them."""


class MemoryStorage:
    """Buckets in memory, for the threads and tasks of one process.

    Time is the monotonic clock; setting the time of day changes nothing.
    """

    __slots__ = ("_keys", "_lock", "_max_keys", "_monotonic", "_tables")

    def __init__(self, clock: Clock | None = None, *, max_keys: int = DEFAULT_MAX_KEYS) -> None:
        """Start empty.

        Args:
            clock: Only its monotonic time is used; the machine's own if left out.
            max_keys: Most buckets at a time, over all limits. A million take 150 to 250 MB.

        Raises:
            InvalidLimitError: The bound is not positive.
        """
        if max_keys < 1:
            raise InvalidLimitError("A storage has room for at least one key.")
        self._monotonic = clock.monotonic if clock is not None else time.monotonic_ns
        self._lock = threading.Lock()
        self._max_keys = max_keys
        self._keys = 0
        self._tables: dict[tuple[object, ...], _Table] = {}

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return self._keys

    def apply(self, action: Action, charges: Sequence[Charge], cost: int) -> list[LimitStatus]:
        """Apply an action to buckets, atomically, and return the status of each.

        Raises:
            InvalidHitError: A key holds something that is not text.
        """
        with self._lock:
            # Read inside the lock: two threads must not write their times in the wrong order.
            now = self._monotonic() // NANOSECONDS
            return self._apply(action, charges, now, cost)

    def bind(self, limit: Limit, fact: str) -> Binding:
        """Return what `Limiter.hit` needs to hit one limit: `apply` without what stays the same.

        It takes a fifth of the time, which is why one limit in memory is worth a way of its own.
        """
        table, rules = self._table(limit), rules_for(limit)
        whole = limit.algorithm is Algorithm.GCRA and limit.rate == 1
        return (
            fact,
            limit,
            limit.interval,
            limit.capacity * limit.interval if whole else -1,
            self._lock.acquire,
            self._lock.release,
            self._monotonic,
            table.states.get,
            table.states,
            rules.take,
        )

    def _apply(
        self, action: Action, charges: Sequence[Charge], now: int, cost: int
    ) -> list[LimitStatus]:
        places = [(self._table(limit), checked_key(limit, key)) for limit, key in charges]
        before = [table.states.get(key) for table, key in places]
        rules = [table.rules for table, _ in places]
        after, statuses = settle(action, rules, before, now, cost)
        added = newcomers(before, after)
        if added and not self._make_room(added, now):
            after, statuses = turn_away(before, after, statuses)
        for (table, key), old, state in zip(places, before, after, strict=True):
            if state is not None:
                table.states[key] = state
                if old is None:
                    table.hand.append(key)
                    self._keys += 1
        return statuses

    def _table(self, limit: Limit) -> _Table:
        name = (limit.name, limit.algorithm, limit.by)
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _Table(limit)
        if table.rules.limit is not limit:
            table.rules = rules_for(limit)
        return table

    def _make_room(self, count: int, now: int) -> bool:
        full = self._keys + count > self._max_keys
        for table in self._tables.values():
            self._sweep(table, _SWEPT_WHEN_FULL if full else _SWEPT_FOR_NEW * count, now)
        return self._keys + count <= self._max_keys

    def _sweep(self, table: _Table, count: int, now: int) -> None:
        """Look at the next keys of a table, and forget those that are whole again."""
        for _ in range(min(count, len(table.hand))):
            key = table.hand.popleft()
            _, status = table.rules.take(table.states[key], now, 0)
            if status.reset_after:
                table.hand.append(key)
            else:
                del table.states[key]
                self._keys -= 1


if TYPE_CHECKING:
    _implements: type[Storage] = MemoryStorage
