"""Writing: many appends, one transaction, one fsync.

Appends are taken in the order in which they were called and answered when their commit has returned
and the head is on record beside the database; nobody is answered before.

An append that does not fit (an expectation fails, a parent is unknown, an identifier is taken)
leaves the common path: what was drafted before it is committed, then it is looked at alone, against
what is stored. That is where a repeated append finds its first receipt.

After any failure of input or output the writer answers everything with `StoreFailed`: what the disk
holds then, only a new `open` can tell.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sqlite3
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from toka.store.core import (
    AppendRefused,
    DuplicateEvent,
    Head,
    Receipt,
    StoreError,
    StoreFailed,
    check_snapshot,
    snapshot_checksum,
)
from toka.store.sqlite._draft import Append, Draft
from toka.store.sqlite._failures import TROUBLE, failure
from toka.store.sqlite._reader import Reader

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from toka.store.core import Snapshot
    from toka.store.sqlite._headfile import HeadFile
    from toka.store.sqlite._lock import WriterLock

_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Payload after which a transaction takes no further append."""

_SNAPSHOTS_KEPT: Final = 2

logger = logging.getLogger(__name__)


@attrs.define(eq=False)
class Job:
    """Other work in the writer's order, in a transaction of its own."""

    action: Callable[[sqlite3.Connection, Head], object]
    future: asyncio.Future[object]
    size: int = 0


Item: TypeAlias = Append | Job

Outcome: TypeAlias = tuple[Item, object, StoreError | None]
"""An item, and its result or its error."""


@attrs.frozen
class Progress:
    """What the writer tells the loop: answers, and what was committed before them."""

    outcomes: list[Outcome]
    head: Head
    events: int = 0
    commits: int = 0


class Writer:
    """Owns the one connection that writes; belongs to one thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        head_file: HeadFile,
        lock: WriterLock,
        location: str,
        report: Callable[[Progress], None],
    ) -> None:
        """Take over a connection.

        Args:
            connection: Without a transaction.
            head_file: Where to record each commit; closed with the writer.
            lock: Released with the writer.
            location: Of the store, for errors.
            report: Called with each answer, soonest first.
        """
        self._connection = connection
        self._reader = Reader(connection, location)
        self._head_file = head_file
        self._lock = lock
        self._location = location
        self._report = report
        self._draft = Draft(connection, self._reader)
        self._drafted: list[Outcome] = []
        self._bytes = 0
        self._committed = self._draft.head
        self._failure: Exception | None = None

    @property
    def head(self) -> Head:
        """Return where the log ends on disk."""
        return self._committed

    def handle(self, items: list[Item]) -> None:
        """Do all items, in order, and answer each."""
        try:
            for item in items:
                if isinstance(item, Append) and self._failure is None:
                    self._append(item)
                else:
                    self._take(item)
            self._flush()
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame; it must answer
            self._fail(error, items)

    def _take(self, item: Item) -> None:
        self._flush()
        if self._failure is not None:
            self._report(Progress([(item, None, self._refusal())], self._committed))
        elif isinstance(item, Job):
            self._do(item)

    def _append(self, append: Append) -> None:
        try:
            receipt = self._draft.add(append)
        except AppendRefused:
            self._flush()
            self._alone(append)
            return
        self._drafted.append((append, receipt, None))
        self._bytes += append.size
        if self._bytes > _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Commit and answer what was drafted."""
        if not self._drafted:
            return
        drafted, self._drafted, self._bytes = self._drafted, [], 0
        try:
            self._commit(drafted)
        except sqlite3.IntegrityError:
            # An identifier is taken; which one, and by what, is seen one append at a time.
            self._connection.execute("ROLLBACK")
            self._draft.reset()
            for item, _, _ in drafted:
                if isinstance(item, Append):
                    self._alone(item)

    def _commit(self, drafted: list[Outcome]) -> None:
        events = self._draft.event_count
        self._draft.commit()
        self._committed = self._draft.head
        self._head_file.write(self._committed)
        self._report(Progress(drafted, self._committed, events, 1))

    def _alone(self, append: Append) -> None:
        """Find the receipt of a repeated append, or refuse it, or commit it by itself."""
        try:
            receipt = self._repeated(append)
            if receipt is None:
                self._commit([(append, self._draft.add(append), None)])
            else:
                self._report(Progress([(append, receipt, None)], self._committed))
        except StoreError as error:
            self._report(Progress([(append, None, error)], self._committed))

    def _repeated(self, append: Append) -> Receipt | None:
        stored = [self._reader.position(identifier) for identifier in append.ids]
        first = stored[0]
        if first is None:
            for event, position in zip(append.events, stored, strict=True):
                if position is not None:
                    raise DuplicateEvent(event.id, "is stored, others of this append are not")
            if len(set(append.ids)) != len(append.ids):
                raise DuplicateEvent(append.events[0].id, "is in an append that repeats itself")
            return None
        for event, position, place in zip(append.events, stored, itertools.count(first)):
            if position != place:
                raise DuplicateEvent(event.id, "is not stored next to the others of this append")
            if not self._reader.at(place).repeats(event):
                raise DuplicateEvent(event.id, "is stored with other content")
        last = first + len(append.ids) - 1
        return Receipt(first, last, self._reader.at(last).digest)

    def _do(self, job: Job) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = job.action(self._connection, self._committed)
        except StoreError as error:
            self._connection.execute("ROLLBACK")
            self._report(Progress([(job, None, error)], self._committed))
        else:
            self._connection.execute("COMMIT")
            self._report(Progress([(job, result, None)], self._committed, commits=1))

    def _fail(self, error: Exception, items: Sequence[Item]) -> None:
        """Refuse these items and all that follow; who was answered before keeps the answer."""
        logger.error(
            "Writing to %s failed; it takes no more appends", self._location, exc_info=error
        )
        self._failure = error
        with contextlib.suppress(sqlite3.Error):  # a failed commit may have rolled back already
            self._connection.rollback()
        self._report(Progress([(item, None, self._refusal()) for item in items], self._committed))

    def _refusal(self) -> StoreError:
        error = self._failure
        if isinstance(error, TROUBLE):
            return failure(self._location, "Writing", error)
        return StoreFailed(f"Writing to {self._location} failed: {error!r}.")

    def close(self) -> None:
        """Move the write-ahead log into the database, and close."""
        try:
            if self._failure is None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._connection.close()
            self._head_file.close()
            self._lock.release()


def write_snapshot(snapshot: Snapshot, connection: sqlite3.Connection, head: Head) -> None:
    """Keep a snapshot and drop the oldest of its name; the action of a `Job`.

    Raises:
        InvalidSnapshot: It has no name, or leads the log.
        sqlite3.Error: Output failed.
    """
    check_snapshot(snapshot, head.position)
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
