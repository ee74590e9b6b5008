"""Opening for writing: the steps that need the lock, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from toka.store.core import StoreMissing
from toka.store.sqlite._files import connect, create, identify, inspect
from toka.store.sqlite._headfile import HeadFile
from toka.store.sqlite._lock import WriterLock
from toka.store.sqlite._writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from toka.store.sqlite._files import Files
    from toka.store.sqlite._writer import Progress

Synchronous: TypeAlias = Literal["full", "normal"]
"""`full`: an acknowledged append survives a power cut. `normal`: it survives the process."""


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
        head = inspect(files, accept_loss=accept_loss)
        connection = connect(files.database)
        _set_up(connection, synchronous)
        head_file = HeadFile(files.head)
        # What a killed writer committed may not be on disk yet. The checkpoint in `_set_up` waited
        # for it, so that the record, which waits too, cannot lead it.
        head_file.rewrite(head)
    except BaseException:
        lock.release()
        raise
    return Writer(connection, head_file, lock, files.location, report)


def _set_up(connection: sqlite3.Connection, synchronous: Synchronous) -> None:
    # Always stated, for SQLite's defaults are a matter of how it was built.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: wait for the disk and not for its cache
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
