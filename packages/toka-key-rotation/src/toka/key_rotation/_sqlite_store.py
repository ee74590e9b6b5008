"""A ring in a SQLite file, encrypted: one row, replaced in one transaction."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from toka.key_rotation._errors import KeyStoreError, KeyStoreMissing
from toka.key_rotation._sealing import read_ring, write_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from toka.key_rotation._sealing import WrappingKey
    from toka.key_rotation._state import RingState
    from toka.key_rotation._store import KeyStore

_APPLICATION: Final = 0x746B6B72


class SqliteStore:
    """A ring in a database. Safe to use from several threads and processes."""

    __slots__ = ("_connection", "_key", "_lock", "_path")

    def __init__(
        self, path: str | os.PathLike[str], key: WrappingKey, *, wait_seconds: float = 5.0
    ) -> None:
        """Open a file, or make it.

        Args:
            path: The file; beside it SQLite keeps two more.
            key: Encrypts the ring.
            wait_seconds: How long to wait for another process that is writing.

        Raises:
            KeyStoreError: The file cannot be opened, or is something else.
        """
        self._path = path
        self._key = key
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

    def create(self, state: RingState) -> bool:
        """Keep a new ring, and say whether there was none before; an old one stays.

        Raises:
            KeyStoreError: The file failed.
        """
        insert = "INSERT INTO ring (id, version, sealed) VALUES (1, ?, ?) ON CONFLICT DO NOTHING"
        with self._transaction():
            sealed = write_ring(state, self._key)
            return self._connection.execute(insert, (state.version, sealed)).rowcount > 0

    def load(self) -> RingState:
        """Return the ring.

        Raises:
            KeyStoreMissing: There is none.
            KeyStoreError: The file failed, or is damaged.
        """
        with self._lock, self._failures():
            return self._load()

    def update(self, change: Callable[[RingState], RingState]) -> RingState:
        """Replace the ring by what `change` makes of it, with nobody in between.

        Raises:
            KeyStoreMissing: There is none.
            KeyStoreError: The file failed, or is damaged.
        """
        with self._transaction():
            before = self._load()
            after = change(before)
            if after is not before:
                values = (after.version, write_ring(after, self._key))
                self._connection.execute("UPDATE ring SET version = ?, sealed = ?", values)
            return after

    def mark(self) -> object:
        """Return the version, which differs after every change.

        Raises:
            KeyStoreError: The file failed.
        """
        with self._lock, self._failures():
            return self._connection.execute("SELECT version FROM ring").fetchone()

    def _load(self) -> RingState:
        row = self._connection.execute("SELECT sealed FROM ring").fetchone()
        if row is None:
            raise KeyStoreMissing(
                f"There is no key ring in {os.fspath(self._path)!r}.",
                hint="Make one with KeyRing.create.",
            )
        return read_ring(bytes(row[0]), self._key)

    def _prepare(self) -> None:
        os.chmod(self._path, 0o600)  # noqa: PTH101 - a path of any kind
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA fullfsync = ON")
        with self._transaction():
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables and application != _APPLICATION:
                raise sqlite3.DatabaseError("it is a database of something else")
            if not tables:
                self._connection.execute(
                    "CREATE TABLE ring (id INTEGER PRIMARY KEY CHECK (id = 1),"
                    " version INTEGER NOT NULL, sealed BLOB NOT NULL)"
                )
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        with self._lock, self._failures():
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
        except (sqlite3.Error, OSError) as error:
            raise KeyStoreError(
                f"The key ring in {os.fspath(self._path)!r} cannot be used: {error}.",
                hint="Check the file, its directory and the space on the disk.",
            ) from error


if TYPE_CHECKING:
    _implements: type[KeyStore] = SqliteStore
