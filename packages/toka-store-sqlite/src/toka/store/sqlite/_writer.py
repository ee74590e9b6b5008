"""The one that writes: transactions of drafted appends, and jobs in one of their own."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from toka.store.core import StoreError, check_snapshot, snapshot_checksum
from toka.store.core.backend import Append, GroupWriter, repetition
from toka.store.sqlite._draft import Draft
from toka.store.sqlite._failures import translate
from toka.store.sqlite._reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core import Receipt, Snapshot
    from toka.store.core.backend import HeadFile, Job, Outcome, Progress, WriterLock

_SNAPSHOTS_KEPT: Final = 2


class Writer(GroupWriter[Reader]):
    """Owns the one connection that writes; belongs to one thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        head_file: HeadFile,
        lock: WriterLock,
        location: str,
        report: Callable[[Progress], None],
    ) -> None:
        """Take over a connection without a transaction; the rest as in `GroupWriter`."""
        self._connection = connection
        self._reader = Reader(connection, location)
        self._rows = Draft(connection, self._reader)
        super().__init__(self._rows, head_file, lock, location, report)

    def _commit_group(self, drafted: list[Outcome]) -> None:
        try:
            self._commit(drafted)
        except sqlite3.IntegrityError:
            # An identifier is taken; which one, and by what, is seen one append at a time.
            self._connection.execute("ROLLBACK")
            self._rows.reset()
            for item, _, _ in drafted:
                if isinstance(item, Append):
                    self._alone(item)

    def _repeated(self, append: Append) -> Receipt | None:
        return repetition(self._reader, append)

    def _perform(self, job: Job[Reader]) -> object:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = job.action(self._reader)
        except StoreError:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result

    def _abandon(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # a failed commit may have rolled back already
            self._connection.rollback()

    def _translate(self, error: Exception) -> StoreError | None:
        return translate(self._location, "Writing", error)

    def _close_engine(self) -> None:
        """Move the write-ahead log into the database, and close."""
        try:
            if self._failure is None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._connection.close()


def write_snapshot(snapshot: Snapshot, reader: Reader) -> None:
    """Keep a snapshot and drop the oldest of its name; the action of a `Job`.

    Raises:
        InvalidSnapshot: It has no name, or leads the log.
        sqlite3.Error: Output failed.
    """
    check_snapshot(snapshot, reader.head().position)
    connection = reader.connection
    checksum = snapshot_checksum(snapshot)
    connection.execute(
        "INSERT OR REPLACE INTO snapshot (name, position, digest, checksum, data)"
        " VALUES (?, ?, ?, ?, ?)",
        (snapshot.name, snapshot.position, snapshot.digest, checksum, snapshot.data),
    )
    connection.execute(
        "DELETE FROM snapshot WHERE name = ?1 AND position NOT IN (SELECT position"
        " FROM snapshot WHERE name = ?1 ORDER BY position DESC LIMIT ?2)",
        (snapshot.name, _SNAPSHOTS_KEPT),
    )
