"""The limits of one limiter: what is charged for which facts, and how tight they are just now."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from toka.rate_limiter._adaptive import AdaptivePolicy
from toka.rate_limiter._errors import InvalidHitError, InvalidLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from toka.rate_limiter._adaptive import Reading
    from toka.rate_limiter._limit import Limit
    from toka.rate_limiter._storage import Charge, Key


class LimitSet:
    """Limits with distinct names, applied together."""

    __slots__ = ("_limits", "_pickers", "_policy")

    def __init__(self, limits: Sequence[Limit], policy: AdaptivePolicy | None) -> None:
        names = [limit.name for limit in limits]
        if not names or len(set(names)) != len(names):
            raise InvalidLimitError("A limiter needs limits, each with a name of its own.")
        self._limits = tuple(limits)
        self._policy = policy if policy is not None else AdaptivePolicy()
        self._pickers = self._pick(self._limits)

    @property
    def single(self) -> tuple[Limit, str] | None:
        """The limit as it is now and its fact, if there is one limit that counts by one fact."""
        (limit, _), *others = self._pickers
        fact, *more = limit.by
        return None if others or more else (limit, fact)

    @property
    def capacity(self) -> int:
        """The most that one hit may cost and still be admitted, once all is whole."""
        return min([limit.capacity for limit, _ in self._pickers if not limit.shadow], default=1)

    def observe(self, readings: Iterable[Reading]) -> int:
        """Tighten or relax all limits by the load, and return the percentage that holds now."""
        share = self._policy.share(readings)
        self._pickers = self._pick([limit.scaled(share) for limit in self._limits])
        return share

    def charges(self, facts: Mapping[str, str], cost: object) -> list[Charge]:
        """Return whom each limit charges.

        Raises:
            InvalidHitError: The cost is no whole number above zero, or a fact is missing: a limit
                that does not know whom to charge must not let everybody pass.
        """
        if type(cost) is not int or cost < 1:
            raise InvalidHitError("A cost is a whole number above zero.")
        try:
            return [(limit, pick(facts)) for limit, pick in self._pickers]
        except KeyError as error:
            raise InvalidHitError(f"The fact {error.args[0]!r} is missing.") from error

    @staticmethod
    def _pick(limits: Iterable[Limit]) -> list[tuple[Limit, Callable[[Mapping[str, str]], Key]]]:
        return [(limit, itemgetter(*limit.by)) for limit in limits]
