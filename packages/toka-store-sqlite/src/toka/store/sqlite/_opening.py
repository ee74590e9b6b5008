"""Opening for writing: the steps that need the lock, in their order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from toka.store.core import StoreMissing
from toka.store.core.backend import HeadFile, WriterLock
from toka.store.sqlite._files import (
    connect,
    create,
    identify,
    inspect,
    migrate_file,
)
from toka.store.sqlite._writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from toka.store.core.backend import Progress
    from toka.store.sqlite._files import Files

Synchronous: TypeAlias = Literal["full", "normal"]
"""`full`: an acknowledged append survives a power cut. `normal`: it survives the process."""

_WAL_PAGES: Final = 1_000
"""Pages of the write-ahead log after which SQLite moves them into the database."""

_WAL_BYTES: Final = 4_456_448
"""Room for those pages with their frame headers, and for the transaction that goes over."""


def open_writer(
    files: Files,
    *,
    make: bool,
    accept_loss: bool,
    synchronous: Synchronous,
    now: int,
    report: Callable[[Progress], None],
) -> Writer:
    """Lock a store, check it, and open it for writing.

    Raises:
        OpenRefused: It is missing, locked, foreign, or of a newer format.
        Damaged: It is not as it was written.
        sqlite3.Error: Input or output failed.
        OSError: Input or output failed.
    """
    if not identify(files) and not make:
        raise StoreMissing(str(files.database))
    lock = WriterLock(files.lock, files.location, now)
    try:
        # Asked again, for another process may have made it before we had the lock.
        if not identify(files):
            create(files)
        migrate_file(files, accept_loss=accept_loss)
        head = inspect(files, accept_loss=accept_loss)
        connection = connect(files.database)
        _set_up(connection, files, synchronous)
        head_file = HeadFile(files.head)
        # What a killed writer committed may not be on disk yet. The checkpoint in `_set_up` waited
        # for it, so that the record, which waits too, cannot lead it.
        head_file.rewrite(head)
    except BaseException:
        lock.release()
        raise
    return Writer(connection, head_file, lock, files.location, report)


def _set_up(connection: sqlite3.Connection, files: Files, synchronous: Synchronous) -> None:
    # Always stated, for SQLite's defaults are a matter of how it was built, and a process that was
    # killed while it made the file may have left it in the mode before this one.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: wait for the disk and not for its cache
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
    _allocate(files.wal)


def _allocate(wal: Path) -> None:
    """Give the write-ahead log its usual size before it is used.

    A commit that makes a file longer has to write the file system's own records too: on ext4 that
    is a quarter to a third of a small durable commit. SQLite reads no further than the frames that
    it wrote and comes back to the start after each checkpoint, so zeros behind them are only space.
    """
    descriptor = os.open(wal, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, bytes(max(0, _WAL_BYTES - size)), size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
