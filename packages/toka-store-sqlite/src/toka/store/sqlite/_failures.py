"""What SQLite and the system report, in the terms of a store."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from toka.store.core import Damaged, StoreError, StoreFailed, StoreLocked

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_HINTS: Final = {
    sqlite3.SQLITE_FULL: "Free space on the disk, then open the store again.",
    sqlite3.SQLITE_READONLY: "Make the file and its directory writable, or open with read_only.",
    sqlite3.SQLITE_CANTOPEN: "Check that the directory exists and may be written to.",
}


OPENING: Final = "Opening"
"""What is being done where nothing was opened yet."""

_LOCK_FIELDS: Final = 8

TROUBLE: Final = (sqlite3.Error, OSError, UnicodeDecodeError)
"""What the standard library raises where a database or its disk fails.

`UnicodeDecodeError` is what Python makes of SQLite's message about a schema that is not text.
"""


def failure(
    location: str, doing: str, error: sqlite3.Error | OSError | UnicodeDecodeError
) -> StoreError:
    """Return the error to raise for one of SQLite's or the system's.

    Args:
        location: Of the store.
        doing: What failed, as the subject of a sentence.
        error: The cause.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    # Text that is not UTF-8 is met in Python's own layer and carries no code.
    broken_text = isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(error)
    if code in _DAMAGE or broken_text:
        return Damaged(location, f"{doing} found: {error}")
    hint = _HINTS.get(code, "Open the store again when the cause is removed.")
    pid = holder(Path(location.removeprefix("sqlite:"))) if code in _BUSY else None
    if code in _BUSY:
        if doing == OPENING:
            return StoreLocked(location, pid, None)
        who = "Another program" if pid is None else f"Process {pid}"
        hint = f"{who} holds the database; end it, then open the store again."
    return StoreFailed(
        f"{doing} failed on {location}: {error}.",
        hint=hint,
        details={"location": location, "cause": str(error), "sqlite": code, "pid": pid},
    )


def translate(location: str, doing: str, error: Exception) -> StoreError | None:
    """Return what `failure` makes of an error; None for one that is no trouble of SQLite's."""
    return failure(location, doing, error) if isinstance(error, TROUBLE) else None


def holder(database: Path) -> int | None:
    """Return another process that has locked a database, where the system tells (Linux does).

    It is read from the system's list. To ask for the locks of a file one has to open it, and to
    close it again drops the locks that SQLite has on it in this process.
    """
    try:
        inodes = {
            path.stat().st_ino
            for path in (database, database.with_name(f"{database.name}-shm"))
            if path.exists()
        }
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        # As in `1: POSIX  ADVISORY  WRITE 4242 fe:00:1234567 120 120`.
        fields = line.split()
        if len(fields) < _LOCK_FIELDS or fields[1] != "POSIX" or not fields[4].isdecimal():
            continue
        pid, inode = int(fields[4]), int(fields[5].rpartition(":")[2])
        if inode in inodes and pid not in {0, os.getpid()}:
            return pid
    return None
