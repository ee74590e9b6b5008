"""What SQLite and the system report, in the terms of a store."""

from __future__ import annotations

import sqlite3
from typing import Final

from toka.store.core import Damaged, StoreError, StoreFailed

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_HINTS: Final = {
    sqlite3.SQLITE_FULL: "Free space on the disk, then open the store again.",
    sqlite3.SQLITE_BUSY: "Another program holds the database; end it, then open the store again.",
    sqlite3.SQLITE_READONLY: "Make the file and its directory writable, or open with read_only.",
    sqlite3.SQLITE_CANTOPEN: "Check that the directory exists and may be written to.",
}


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
    return StoreFailed(
        f"{doing} failed on {location}: {error}.",
        hint=_HINTS.get(code, "Open the store again when the cause is removed."),
        details={"location": location, "cause": str(error), "sqlite": code},
    )
