"""The limiter for code that does not await: facts and a cost in, a decision out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.rate_limiter._decision import Decision, LimitStatus
from toka.rate_limiter._errors import StorageUnavailable
from toka.rate_limiter._limits import LimitSet
from toka.rate_limiter._memory import NANOSECONDS, MemoryStorage
from toka.rate_limiter._outage import Outage, WhenDown, decide
from toka.rate_limiter._storage import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from toka.rate_limiter._adaptive import AdaptivePolicy, Reading
    from toka.rate_limiter._limit import Limit
    from toka.rate_limiter._memory import Binding
    from toka.rate_limiter._storage import Storage

_ONE: Final = 1
"""The usual cost: known by identity, which no `True` or `1.0` has."""


class Limiter:
    """Applies limits to hits. Safe to use from several threads.

    Facts are what is known of a hit, by name: `{"user": "alice", "ip": "192.0.2.7"}`. Each limit
    counts by those that it names.
    """

    __slots__ = ("_binding", "_limits", "_outage", "_storage")

    def __init__(
        self,
        limits: Sequence[Limit],
        storage: Storage | None = None,
        *,
        when_down: WhenDown = WhenDown.CLOSED,
        policy: AdaptivePolicy | None = None,
    ) -> None:
        """Prepare to limit.

        Args:
            limits: All must admit a hit, or none is charged.
            storage: Where to count; in memory if left out.
            when_down: What to answer while the storage is down.
            policy: Bounds of `observe`.

        Raises:
            InvalidLimitError: There is no limit, or two have one name.
        """
        self._limits = LimitSet(limits, policy)
        self._storage = storage if storage is not None else MemoryStorage()
        self._outage = Outage(when_down)
        self._binding = self._bind()

    @property
    def capacity(self) -> int:
        """The most that one hit may cost and still be admitted, once all is whole."""
        return self._limits.capacity

    def hit(self, facts: Mapping[str, str], cost: int = 1) -> Decision:
        """Spend a cost, if all limits admit it.

        Raises:
            InvalidHitError: The cost is no whole number above zero, or a fact is missing.
        """
        binding = self._binding
        if binding is None or cost is not _ONE:
            return self._apply(Action.HIT, facts, cost)
        fact, limit, interval, full, acquire, release, monotonic, find, states, take = binding
        acquire()  # `with` takes twice as long.
        try:
            state = find(key := facts[fact])
            if state:
                now = monotonic() // NANOSECONDS
                # Of GCRA what `take` does, written out: a call less, of which this has two.
                ahead = state[0] - now
                debt = ahead + interval if ahead > 0 else interval
                if debt <= full:
                    states[key] = (now + debt, 0)
                    status = LimitStatus(limit, True, (full - debt) // interval, debt, 0)
                    return Decision(True, (status,))
                after, status = take(state, now, cost)
                if after is not None:
                    states[key] = after
                return Decision(status.admitted or limit.shadow, (status,))
        except (KeyError, TypeError):
            pass  # A fact that is missing, or cannot be a key, is judged where all are.
        finally:
            release()
        return self._apply(Action.HIT, facts, cost)

    def peek(self, facts: Mapping[str, str], cost: int = 1) -> Decision:
        """Return what `hit` would answer, and what remains, and change nothing.

        Raises:
            InvalidHitError: As for `hit`.
        """
        return self._apply(Action.PEEK, facts, cost)

    def refund(self, facts: Mapping[str, str], cost: int = 1) -> Decision:
        """Give a cost back; never more than still counts.

        Raises:
            InvalidHitError: As for `hit`.
            StorageUnavailable: The storage is down.
        """
        return self._apply(Action.REFUND, facts, cost)

    def reset(self, facts: Mapping[str, str]) -> Decision:
        """Make all limits whole for these facts.

        Raises:
            InvalidHitError: A fact is missing.
            StorageUnavailable: The storage is down.
        """
        return self._apply(Action.RESET, facts, 1)

    def observe(self, readings: Iterable[Reading]) -> int:
        """Tighten or relax all limits by the load, and return the percentage that holds now."""
        share = self._limits.observe(readings)
        self._binding = self._bind()
        return share

    def _bind(self) -> Binding | None:
        single = self._limits.single
        if single is None or not isinstance(self._storage, MemoryStorage):
            return None
        return self._storage.bind(*single)

    def _apply(self, action: Action, facts: Mapping[str, str], cost: int) -> Decision:
        charges = self._limits.charges(facts, cost)
        try:
            statuses = self._storage.apply(action, charges, cost)
        except StorageUnavailable as error:
            return self._outage.answer(action, charges, cost, error)
        self._outage.over()
        return decide(statuses)
