"""Where revocations are kept: a log that only grows, of which any number of nodes read.

A revision numbers what was taken back; whoever was told one may demand that answers know at least
that much. A *mark* is what tells one history from another: if the entry of a revision that was read
before comes back with another mark, the log was replaced by an older copy that then grew.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.revocation._revocation import MARGIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.revocation._revocation import Revocation

MARK_BYTES: Final = 8


@attrs.frozen
class Entry:
    """One revocation in its place."""

    revision: int
    """From 1, growing; forgotten ones leave gaps."""
    mark: bytes
    revocation: Revocation
    revoked_at: int
    """Seconds since the Unix epoch; never less than in the entry before."""


class RevocationLog(Protocol):
    """Keeps revocations, for this process or for many."""

    async def append(self, revocation: Revocation, now: int) -> int:
        """Keep a revocation, durably when this returns, and return its revision.

        Raises:
            RevocationUnavailable: It may have been kept or not. Doing it again is harmless.
        """
        ...

    async def read(self, after: int) -> Sequence[Entry]:
        """Return the next entries after a revision, in order; none if there are no more.

        Raises:
            RevocationUnavailable: The log did not answer, or holds something else.
        """
        ...

    async def floor(self) -> int:
        """Return the latest expiry of any token whose revocation was forgotten.

        Raises:
            RevocationUnavailable: The log did not answer.
        """
        ...

    async def forget(self, now: int) -> None:
        """Forget what concerns no token that can still be valid, but never the last entry.

        Raises:
            RevocationUnavailable: The log did not answer.
        """
        ...


class MemoryLog:
    """A log in this process, lost when it ends; also for several nodes in one test."""

    __slots__ = ("_entries", "_floor", "_lock", "_revision")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._revision = 0
        self._floor = 0

    async def append(self, revocation: Revocation, now: int) -> int:
        """Keep a revocation, and return its revision."""
        with self._lock:
            self._revision += 1
            last = self._entries[-1].revoked_at if self._entries else 0
            mark = secrets.token_bytes(MARK_BYTES)
            self._entries.append(Entry(self._revision, mark, revocation, max(now, last)))
            return self._revision

    async def read(self, after: int) -> Sequence[Entry]:
        """Return the entries after a revision, in order."""
        entries = self._entries
        index = len(entries)
        while index and entries[index - 1].revision > after:
            index -= 1
        return entries[index:]

    async def floor(self) -> int:
        """Return the latest expiry of any token whose revocation was forgotten."""
        return self._floor

    async def forget(self, now: int) -> None:
        """Drop what concerns no token that can still be valid."""
        with self._lock:
            older, last = self._entries[:-1], self._entries[-1:]
            kept = [e for e in older if e.revocation.forgettable_at(e.revoked_at) > now]
            if len(kept) < len(older):
                self._floor = max(self._floor, now - MARGIN_SECONDS)
            self._entries = kept + last


if TYPE_CHECKING:
    _implements: type[RevocationLog] = MemoryLog
