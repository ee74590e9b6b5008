"""The answers: what a node knows of a log, how old that knowledge is, and "no" where it is too old.

A node answers from memory and reads the log from time to time (`follow`). The bound on staleness is
kept by refusing: where the last successful read is longer ago than the bound, every token is
refused, so that a log that died, or a follower that did, cannot be used to outlive a revocation.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from toka.capability.core import Denial, SteadyTime
from toka.revocation._errors import RevocationsRolledBack, RevocationUnavailable
from toka.revocation._index import RevocationIndex
from toka.revocation._revocation import MARGIN_SECONDS
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from toka.capability.core import Claims
    from toka.revocation._log import Entry, RevocationLog
    from toka.revocation._revocation import Revocation
    from toka.types import Clock

DEFAULT_STALENESS_SECONDS: Final = 10
UNKNOWN_EPOCH: Final = -1

_log = logging.getLogger("toka.revocation")


@attrs.frozen
class Verdict:
    """An answer with the freshness of what it rests on."""

    denial: Denial | None
    """Why the token is refused, or None."""
    revision: int
    """The last revocation that was known."""
    age_seconds: int
    """How long ago the log was read, rounded up."""


class Revocations:
    """What was taken back, as far as this node knows. Fits `toka.auth.RevocationCheck`."""

    __slots__ = (
        "_clock",
        "_index",
        "_last",
        "_lock",
        "_log",
        "_read_at",
        "_rolled_back",
        "_staleness",
        "_time",
    )

    def __init__(
        self,
        log: RevocationLog,
        clock: Clock,
        *,
        max_staleness_seconds: int | None = DEFAULT_STALENESS_SECONDS,
    ) -> None:
        """Prepare; until the first `refresh` everything is refused.

        Args:
            log: Where revocations are kept.
            clock: Tells the time.
            max_staleness_seconds: How old the answers of `denial` may be; None where this node is
                the only one that writes to the log, so that it cannot miss anything.

        Raises:
            ValueError: The bound is not positive.
        """
        if max_staleness_seconds is not None and max_staleness_seconds < 1:
            raise ValueError("A bound on staleness is at least a second.")
        self._log = log
        self._clock = clock
        self._time = SteadyTime(clock)
        self._staleness = max_staleness_seconds
        self._index = RevocationIndex()
        self._lock = anyio.Lock()
        self._last: Entry | None = None
        self._read_at: int | None = None
        self._rolled_back = False

    @classmethod
    async def open(
        cls,
        log: RevocationLog,
        clock: Clock,
        *,
        max_staleness_seconds: int | None = DEFAULT_STALENESS_SECONDS,
        at_least: int = 0,
    ) -> Self:
        """Make a node that knows the whole log.

        Args:
            log: Where revocations are kept.
            clock: Tells the time.
            max_staleness_seconds: How old the answers of `denial` may be.
            at_least: A revision that is remembered elsewhere; a log that ends before it is refused.

        Raises:
            RevocationUnavailable: The log cannot be read.
            RevocationsRolledBack: It ends before `at_least`.
        """
        node = cls(log, clock, max_staleness_seconds=max_staleness_seconds)
        await node.refresh()
        if node.revision < at_least:
            raise RevocationsRolledBack(
                f"The revocations end at {node.revision}, and {at_least} was seen before.",
                hint="Restore a newer copy; with this one, what was revoked since would be valid.",
            )
        return node

    @property
    def revision(self) -> int:
        """The last revocation that is known here."""
        return self._last.revision if self._last is not None else 0

    @property
    def epoch(self) -> int:
        """Changes whenever an answer may have: the revision, or -1 while everything is refused."""
        return UNKNOWN_EPOCH if self._doubt() else self.revision

    def __len__(self) -> int:
        """Return how many names are kept in memory."""
        return len(self._index)

    def denial(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims is refused, or None if it is not."""
        return self._doubt() or self._index.find(claims)

    async def check(
        self, claims: Claims, *, at_least: int = 0, max_staleness_seconds: int | None = None
    ) -> Verdict:
        """Answer with knowledge that is fresh enough, reading the log first if needed.

        Args:
            claims: What the token says.
            at_least: A revision that must be known, as `revoke` returned it.
            max_staleness_seconds: How old knowledge may be; 0 reads the log in any case.

        Returns:
            The answer. Where knowledge so fresh cannot be had, it is a denial.
        """
        bound = self._staleness if max_staleness_seconds is None else max_staleness_seconds
        age = self._age()
        if self.revision < at_least or age is None or (bound is not None and age >= bound):
            try:
                await self.refresh()
            except (RevocationUnavailable, RevocationsRolledBack) as error:
                return self._verdict(_unknown(error.message))
        if self.revision < at_least:
            return self._verdict(_unknown(f"revision {at_least} is not in the log"))
        return self._verdict(self.denial(claims))

    async def revoke(self, revocation: Revocation) -> int:
        """Take something back, durably and for ever, and return the revision that says so.

        When this returns, no answer of this node accepts what was taken back. Other nodes know
        within their bound, or at once if they are asked with `at_least` this revision.

        Raises:
            RevocationUnavailable: It may have been kept or not; call again until it was.
            RevocationsRolledBack: It was kept, in a log that lost others.
        """
        latest = self._last.revoked_at if self._last is not None else 0
        revision = await self._log.append(revocation, max(self._time.seconds(), latest))
        while self.revision < revision:
            await self.refresh()
        return revision

    async def refresh(self) -> None:
        """Read what is new in the log.

        Raises:
            RevocationUnavailable: The log cannot be read; what is known stays.
            RevocationsRolledBack: It lost revocations that were known; from now on everything is
                refused.
        """
        async with self._lock:
            began = self._clock.monotonic()
            # The last entry is read again: it proves that the log is still the one that was read.
            # The floor comes after, for it explains why an entry may be missing.
            entries = await self._log.read(max(0, self.revision - 1))
            floor = await self._log.floor()
            self._check_history(entries, floor)
            while entries:
                for entry in entries:
                    self._add(entry)
                entries = await self._log.read(self.revision)
            self._index.raise_floor(floor)
            self._read_at = began

    async def follow(self, *, every_seconds: int = 1) -> None:
        """Read the log again and again, until cancelled. Run it as a task of a task group.

        An error is logged and tried again; the bound on staleness sees to the rest.
        """
        while True:
            try:
                await self.refresh()
            except (RevocationUnavailable, RevocationsRolledBack) as error:
                _log.error("revocations cannot be read: %s", error)
            await self._clock.sleep(every_seconds * NANOSECONDS)

    async def forget(self) -> int:
        """Forget what concerns no token that can still be valid; return how many names.

        Raises:
            RevocationUnavailable: The log cannot be written.
        """
        now = self._time.seconds()
        await self._log.forget(now)
        return self._index.forget(now)

    def _check_history(self, entries: Sequence[Entry], floor: int) -> None:
        """Check that the log still has the last entry that was read, or forgot it rightly.

        Raises:
            RevocationsRolledBack: It does not.
        """
        last = self._last
        if last is None or (entries and entries[0] == last):
            return
        gone = not entries or entries[0].revision > last.revision
        forgettable = last.revocation.forgettable_at(last.revoked_at)
        if self._rolled_back or not (entries and gone and forgettable <= floor + MARGIN_SECONDS):
            self._rolled_back = True
            raise RevocationsRolledBack(
                f"The log does not hold revision {last.revision} as it was read.",
                hint="It was replaced by an older copy. Restore a newer one and start again.",
            )

    def _add(self, entry: Entry) -> None:
        self._index.add(entry.revocation, entry.revoked_at)
        # Last, so that whoever sees the new epoch sees the revocation too.
        self._last = entry

    def _age(self) -> int | None:
        if self._read_at is None:
            return None
        return -(-(self._clock.monotonic() - self._read_at) // NANOSECONDS)

    def _doubt(self) -> Denial | None:
        if self._rolled_back:
            return _unknown("the log of revocations lost some")
        age = self._age()
        if age is None:
            return _unknown("revocations were not read yet")
        if self._staleness is not None and age > self._staleness:
            return _unknown("what is known of revocations is too old")
        return None

    def _verdict(self, denial: Denial | None) -> Verdict:
        return Verdict(denial, self.revision, self._age() or 0)


def _unknown(rule: str) -> Denial:
    return Denial(code="capability.revocation_unknown", rule=rule)
