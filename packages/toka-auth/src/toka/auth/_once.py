"""Tokens that count once: whoever comes first wins, from whatever thread or process.

A token is remembered until the last second at which it could be accepted, also one whose life has
not begun; forgetting it earlier would let it count again.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from toka.auth._errors import UsedTokensError
from toka.capability.core import SteadyTime

if TYPE_CHECKING:
    import os
    from collections.abc import Generator
    from typing import Self

    from toka.auth._presented import OnceCheck
    from toka.types import Clock

PURGE_EVERY: Final = 256
"""Tokens between two purges of what can no longer be accepted."""
BUSY_SECONDS: Final = 5.0

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS used (token_id TEXT PRIMARY KEY, until INTEGER NOT NULL)"
    " WITHOUT ROWID, STRICT"
)


class MemoryUsedTokens:
    """Remembers the used tokens of this process."""

    __slots__ = ("_count", "_lock", "_time", "_until")

    def __init__(self, clock: Clock) -> None:
        self._time = SteadyTime(clock)
        self._lock = threading.Lock()
        self._until: dict[str, int] = {}
        self._count = 0

    def burn(self, token_id: str, until: int) -> bool:
        """Mark a token used until its last acceptable second; say whether it was not before."""
        with self._lock:
            self._count += 1
            if self._count % PURGE_EVERY == 0:
                now = self._time.seconds()
                self._until = {name: end for name, end in self._until.items() if end >= now}
            if token_id in self._until:
                return False
            self._until[token_id] = until
            return True


class SqliteUsedTokens:
    """Remembers used tokens in a file that processes share; each opens it for itself."""

    __slots__ = ("_connection", "_count", "_lock", "_time")

    def __init__(self, path: str | os.PathLike[str], clock: Clock) -> None:
        """Open the file, or make it.

        Raises:
            UsedTokensError: It cannot be used.
        """
        self._time = SteadyTime(clock)
        self._lock = threading.Lock()
        self._count = 0
        with _named_errors():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with _named_errors():
                # What is answered must be on disk: a token that was used before the power went
                # must not count again.
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute(_SCHEMA)
        except UsedTokensError:
            self.close()
            raise

    def burn(self, token_id: str, until: int) -> bool:
        """Mark a token used until its last acceptable second; say whether it was not before.

        Raises:
            UsedTokensError: The file cannot be used; then the token must not be accepted.
        """
        with self._lock, _named_errors():
            self._count += 1
            if self._count % PURGE_EVERY == 0:
                now = self._time.seconds()
                self._connection.execute("DELETE FROM used WHERE until < ?", (now,))
            row = (token_id, until)
            cursor = self._connection.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", row)
            return cursor.rowcount == 1

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


@contextlib.contextmanager
def _named_errors() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UsedTokensError(
            f"The file of used tokens cannot be used: {error}.",
            hint="Check its directory, permissions and free space.",
        ) from error


if TYPE_CHECKING:
    _implement: tuple[type[OnceCheck], ...] = (MemoryUsedTokens, SqliteUsedTokens)
