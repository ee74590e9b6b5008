"""Revocations in a SQLite file, for the processes of one machine."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio.to_thread

from toka.revocation._errors import RevocationUnavailable
from toka.revocation._log import MARK_BYTES, Entry
from toka.revocation._revocation import MARGIN_SECONDS, Kind, Revocation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from toka.revocation._log import RevocationLog

T = TypeVar("T")

_APPLICATION: Final = 0x746B7276
_PAGE: Final = 10_000
_SCHEMA: Final = (
    """CREATE TABLE revocation (
        revision INTEGER PRIMARY KEY AUTOINCREMENT, mark BLOB NOT NULL, kind TEXT NOT NULL,
        vault TEXT NOT NULL, target TEXT NOT NULL, until INTEGER, expires_at INTEGER,
        reason TEXT NOT NULL, revoked_at INTEGER NOT NULL, forgettable_at INTEGER NOT NULL)""",
    "CREATE INDEX revocation_forgettable ON revocation (forgettable_at)",
    "CREATE TABLE floor (seconds INTEGER NOT NULL)",
    "INSERT INTO floor VALUES (0)",
    f"PRAGMA application_id = {_APPLICATION}",
)


class SqliteLog:
    """A log in a file. Safe to use from several tasks, threads and processes."""

    def __init__(self, path: str | os.PathLike[str] | Path, *, wait_seconds: float = 5.0) -> None:
        """Open a file, or make it.

        Args:
            path: The file; beside it SQLite keeps two more.
            wait_seconds: How long to wait for another process that is writing.

        Raises:
            RevocationUnavailable: The file cannot be opened, or is something else.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._failures():
            self._connection = sqlite3.connect(
                path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    async def append(self, revocation: Revocation, now: int) -> int:
        """Keep a revocation, durably when this returns, and return its revision.

        Raises:
            RevocationUnavailable: The file failed; doing it again is harmless.
        """
        return await self._in_thread(partial(self._append, revocation, now))

    async def read(self, after: int) -> Sequence[Entry]:
        """Return up to 10,000 entries after a revision, in order.

        Raises:
            RevocationUnavailable: The file failed, or holds something else.
        """
        return await self._in_thread(partial(self._read, after))

    async def floor(self) -> int:
        """Return the latest expiry of any token whose revocation was forgotten.

        Raises:
            RevocationUnavailable: The file failed.
        """
        return await self._in_thread(self._floor)

    async def forget(self, now: int) -> None:
        """Delete what concerns no token that can still be valid.

        Raises:
            RevocationUnavailable: The file failed.
        """
        await self._in_thread(partial(self._forget, now))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        def locked() -> T:
            with self._lock, self._failures():
                return call()

        # Not abandoned when cancelled: whoever is told that it failed must not find it done later.
        return await anyio.to_thread.run_sync(locked)

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA fullfsync = ON")
        with self._transaction():
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables and application != _APPLICATION:
                raise sqlite3.DatabaseError("it is a database of something else")
            if not tables:
                for statement in _SCHEMA:
                    self._connection.execute(statement)

    def _append(self, revocation: Revocation, now: int) -> int:
        with self._transaction():
            query = "SELECT revoked_at FROM revocation ORDER BY revision DESC LIMIT 1"
            row = self._connection.execute(query).fetchone()
            # A clock that was set back must not let this be forgotten early.
            revoked_at = now if row is None else max(now, row[0])
            values = (
                secrets.token_bytes(MARK_BYTES),
                revocation.kind.value,
                revocation.vault,
                revocation.target,
                revocation.until,
                revocation.expires_at,
                revocation.reason,
                revoked_at,
                revocation.forgettable_at(revoked_at),
            )
            insert = "INSERT INTO revocation VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            revision = self._connection.execute(insert, values).lastrowid
        return revision or 0

    def _read(self, after: int) -> list[Entry]:
        query = (
            "SELECT revision, mark, revoked_at, kind, target, vault, until, expires_at, reason"
            " FROM revocation WHERE revision > ? ORDER BY revision LIMIT ?"
        )
        try:
            return [
                Entry(revision, mark, Revocation(Kind(kind), *named), revoked_at)
                for revision, mark, revoked_at, kind, *named in self._connection.execute(
                    query, (after, _PAGE)
                )
            ]
        except ValueError as error:
            raise sqlite3.DatabaseError(f"a row is no revocation ({error})") from error

    def _floor(self) -> int:
        (seconds,) = self._connection.execute("SELECT seconds FROM floor").fetchone()
        return int(seconds)

    def _forget(self, now: int) -> None:
        with self._transaction():
            delete = (
                "DELETE FROM revocation WHERE forgettable_at <= ?"
                " AND revision < (SELECT max(revision) FROM revocation)"
            )
            if self._connection.execute(delete, (now,)).rowcount:
                raised = "UPDATE floor SET seconds = max(seconds, ?)"
                self._connection.execute(raised, (now - MARGIN_SECONDS,))

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _failures(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RevocationUnavailable(
                f"The revocations in {str(self._path)!r} cannot be used: {error}.",
                hint="Check the file, its directory and the space on the disk.",
            ) from error


if TYPE_CHECKING:
    _implements: type[RevocationLog] = SqliteLog
