"""Limits that tighten under load, and hits that cost more after failures, within fixed bounds.

A policy only maps numbers to numbers. It can tighten and relax again; it can never admit more than
the limits say, nor tighten below its floor, whatever it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.rate_limiter._errors import InvalidLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.rate_limiter._async_limiter import AsyncLimiter
    from toka.rate_limiter._decision import Decision

_FULL: Final = 100
_MAX_COST: Final = 1_024


@attrs.frozen
class Reading:
    """A measured value, and the value above which it is a strain: of processor, memory, latency."""

    value: int
    threshold: int


@attrs.frozen
class AdaptivePolicy:
    """Bounds of adaptation.

    Raises:
        InvalidLimitError: A bound is out of range.
    """

    floor_percent: int = 10
    """What stays of each quota under any load."""
    maximum_cost: int = 16
    """What a hit costs after any number of failures."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.floor_percent <= _FULL or not 1 <= self.maximum_cost <= _MAX_COST:
            raise InvalidLimitError(
                f"A policy's floor is 1 to {_FULL} percent, its highest cost 1 to {_MAX_COST}."
            )

    def share(self, readings: Iterable[Reading]) -> int:
        """Return the percentage of each quota that holds now.

        The worst reading decides: at twice its threshold, half of the quota is left. A reading
        that makes no sense (a negative value, a threshold of zero) counts as the worst.
        """
        return min([self._share(reading) for reading in readings], default=_FULL)

    def cost(self, failures: int) -> int:
        """Return what a hit costs after failures: twice as much after each."""
        return min(self.maximum_cost, 1 << min(max(0, failures), self.maximum_cost.bit_length()))

    def _share(self, reading: Reading) -> int:
        if reading.threshold < 1 or reading.value < 0:
            return self.floor_percent
        if reading.value <= reading.threshold:
            return _FULL
        return max(self.floor_percent, _FULL * reading.threshold // reading.value)


class FailureGuard:
    """Makes attempts dearer for whoever fails: for logins, and for whatever else can be guessed.

    Failures are counted by limits of their own and are forgotten as those limits recover. However
    many there are, an attempt never costs more than the attempts' limits hold when they are whole,
    so nobody is locked out for longer than those take to recover.
    """

    __slots__ = ("_attempts", "_failures", "_policy")

    def __init__(
        self, attempts: AsyncLimiter, failures: AsyncLimiter, policy: AdaptivePolicy | None = None
    ) -> None:
        """Combine two limiters.

        Args:
            attempts: Limits how often one may try.
            failures: Its limits only count; how far they are spent is the number of failures.
            policy: How failures become a cost; the default bounds if left out.
        """
        self._attempts = attempts
        self._failures = failures
        self._policy = policy if policy is not None else AdaptivePolicy()

    async def attempt(self, facts: Mapping[str, str]) -> Decision:
        """Ask before an attempt, such as a look at a password.

        Raises:
            InvalidHitError: A fact that a limit counts by is missing.
        """
        counted = await self._failures.peek(facts)
        failures = max(
            [status.limit.capacity - status.remaining for status in counted.statuses], default=0
        )
        if counted.degraded and not counted.statuses:
            return counted
        cost = min(self._policy.cost(failures), self._attempts.capacity)
        return await self._attempts.hit(facts, cost)

    async def failed(self, facts: Mapping[str, str]) -> None:
        """Say that the attempt failed.

        Raises:
            InvalidHitError: A fact that a limit counts by is missing.
        """
        await self._failures.hit(facts)

    async def succeeded(self, facts: Mapping[str, str]) -> None:
        """Say that the attempt succeeded: what it cost counts, but failures are forgotten.

        Raises:
            InvalidHitError: A fact that a limit counts by is missing.
            StorageUnavailable: The failures could not be forgotten.
        """
        await self._failures.reset(facts)
