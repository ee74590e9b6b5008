"""The files of a store: how they are made, and what is checked before they are used.

========== =======================================================================
`X`        the database
`X-wal`    SQLite's write-ahead log; with `X-shm` beside it while the store is open
`X.head`   where the log ends, as last acknowledged (`HeadFile`)
`X.lock`   who writes (`_lock`)
========== =======================================================================

What is checked at open, and changes no byte: that the file is ours and of a known format; SQLite's
`quick_check`, for files up to a size; the schema; that the database reaches the head on record and
has its digest there; that the last events hash to their digests. `verify` does the rest.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs

from toka.store.core import EMPTY, Damaged, ForeignFile, Head, NewerFormat, OpenRefused
from toka.store.core.backend import HeadFile, read_head, sync_directory
from toka.store.sqlite._migration import migrate
from toka.store.sqlite._reader import Reader
from toka.store.sqlite._schema import (
    APPLICATION_ID,
    FORMAT,
    OLDEST_SQLITE,
    create_schema,
    format_of,
    has_schema,
)

if TYPE_CHECKING:
    from pathlib import Path

QUICK_CHECK_BYTES: Final = 64 * 1024 * 1024
"""Larger files are not checked page by page at open, for that takes a second a gigabyte or more."""

TAIL: Final = 256
"""Events whose digests are checked at open."""

_BUSY_SECONDS: Final = 5.0
_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100


@attrs.frozen
class Files:
    """The paths of a store."""

    database: Path

    @property
    def wal(self) -> Path:
        return self._beside("-wal")

    @property
    def head(self) -> Path:
        return self._beside(".head")

    @property
    def lock(self) -> Path:
        return self._beside(".lock")

    @property
    def partial(self) -> Path:
        """Return the name of a database in the making."""
        return self._beside(".partial")

    @property
    def journal(self) -> Path:
        """Return the name of what SQLite writes beside a database in the making."""
        return self._beside("-journal")

    @property
    def location(self) -> str:
        """Return the address that opens the store."""
        return f"sqlite:{self.database}"

    def _beside(self, suffix: str) -> Path:
        return self.database.with_name(self.database.name + suffix)

    def stored_bytes(self) -> int:
        """Return what the database and its write-ahead log take."""
        return self.database.stat().st_size + self.unmerged_bytes()

    def unmerged_bytes(self) -> int:
        """Return what the write-ahead log takes."""
        try:
            return self.wal.stat().st_size
        except FileNotFoundError:
            return 0


def identify(files: Files) -> bool:
    """Say whether there is a store; look at its header only.

    Raises:
        ForeignFile: There is something else.
        NewerFormat: It is of a later release.
        OSError: It cannot be read.
    """
    location = str(files.database)
    if files.database.is_dir():
        raise ForeignFile(location, "it is a directory")
    try:
        with files.database.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return False
    if not header:
        return False
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise ForeignFile(location, "it is no SQLite database")
    application, found = int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big")
    if application != APPLICATION_ID:
        raise ForeignFile(location, f"it is signed {application:#010x}, not {APPLICATION_ID:#010x}")
    if not 0 < found <= FORMAT:
        raise NewerFormat(location, found, FORMAT)
    return True


def create(files: Files) -> None:
    """Make the head file, then the database, both on disk before this returns.

    The database is made under another name. A process that is killed in the middle leaves no file
    that is half a store, nor one whose rollback journal has to be found beside it. As the head file
    comes first, a database without one was taken away from it, even one that has no event: its
    events may have been in the write-ahead log.

    Raises:
        Damaged: There is a head file that says what the missing database had.
        sqlite3.Error: It cannot be made.
        OSError: Output failed.
    """
    recorded = recorded_head(files)
    if recorded is not None and recorded.position:
        raise Damaged(
            files.location,
            f"there is no database, and the events 1 to {recorded.position} were acknowledged",
            hint=f"{_KEEP} To begin anew, move {files.head.name} away.",
        )
    partial = Files(files.partial)
    for path in (partial.database, partial.journal):
        path.unlink(missing_ok=True)
    with closing(connect(partial.database)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        create_schema(connection)
        # Only now, so that the header of the file itself says whose it is.
        connection.execute("PRAGMA journal_mode = WAL")
    with closing(HeadFile(files.head)) as head_file:
        head_file.rewrite(EMPTY)
    sync_directory(files.database.parent)
    partial.database.replace(files.database)
    sync_directory(files.database.parent)


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that may write; its transactions are begun and ended by hand."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise OpenRefused(
            f"This Python has SQLite {sqlite3.sqlite_version}, which is too old.",
            code="store.sqlite_too_old",
            hint=f"SQLite {'.'.join(map(str, OLDEST_SQLITE))} or later is needed.",
        )
    return sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)


def connect_to_read(files: Files) -> tuple[sqlite3.Connection, bool]:
    """Open a connection that cannot write, and say whether it takes the file to be immutable.

    Without a write-ahead log nobody has the store open for writing, or has not written yet. SQLite
    would make files beside the database even to read it then; told that the file is immutable, it
    makes none, which also serves a directory that cannot be written to.
    """
    immutable = not files.wal.exists() or not files.wal.stat().st_size
    uri = f"file:{quote(str(files.database.absolute()))}?mode=ro"
    connection = sqlite3.connect(
        f"{uri}&immutable=1" if immutable else uri,
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
    )
    return connection, immutable


def inspect(files: Files, *, accept_loss: bool = False) -> Head:
    """Check a store before it is used, changing nothing, and return its head.

    Args:
        files: Of the store.
        accept_loss: Take the log for whole even if it is shorter than what was acknowledged.

    Raises:
        NewerFormat: It is of a later release.
        OpenRefused: It is of an earlier one, and was not brought to this format yet.
        Damaged: Something is not as it was written.
        sqlite3.Error: The database cannot be read.
        OSError: A file cannot be read.
    """
    # Before the database, for a writer commits there first: the record read now cannot lead it.
    recorded = recorded_head(files)
    connection, _ = connect_to_read(files)
    with closing(connection):
        _check_format(format_of(connection), files.location)
        head = _check_database(connection, files, None if accept_loss else (recorded,))
        _check_tail(Reader(connection, files.location), head)
        return head


def _check_database(
    connection: sqlite3.Connection,
    files: Files,
    record: tuple[Head | None] | None,
    number: int = FORMAT,
) -> Head:
    """Check what all formats have; `record` is the head from the second place, or no matter."""
    location = files.location
    if files.database.stat().st_size <= QUICK_CHECK_BYTES:
        finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if finding != "ok":
            raise Damaged(location, f"SQLite finds: {finding}")
    if not has_schema(connection, number):
        raise Damaged(location, "its tables are not those of a store")
    reader = Reader(connection, location)
    head = reader.head()
    if record is not None:
        check_recorded(reader, location, head, record[0])
    return head


def _check_tail(reader: Reader, head: Head) -> None:
    reader.compacted()
    for _ in reader.chain(max(0, head.position - TAIL), TAIL):
        pass


def _check_format(found: int, location: str) -> None:
    if found > FORMAT:
        raise NewerFormat(location, found, FORMAT)
    if found < FORMAT:
        raise OpenRefused(
            f"{location} has format {found}, which this release reads only after bringing it to"
            f" format {FORMAT}.",
            code="store.older_format",
            hint="Open it once for writing; what is in the log stays as it is.",
            details={"location": location, "found": found, "known": FORMAT},
        )


def migrate_file(files: Files, *, accept_loss: bool) -> None:
    """Bring a store of an older format to this one; the caller holds the lock.

    Raises:
        Damaged: It is not sound, and was left as it was.
        sqlite3.Error: Input or output failed.
        OSError: Input or output failed.
    """
    recorded = recorded_head(files)
    reading, _ = connect_to_read(files)
    with closing(reading):
        found = format_of(reading)
        if not 0 < found < FORMAT:
            return
        # Before anything can be written: also SQLite's own recovery is.
        head = _check_database(reading, files, None if accept_loss else (recorded,), found)
    with closing(connect(files.database)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        reader = Reader(connection, files.location)
        migrate(connection, found, files.location, lambda: _check_tail(reader, head))


def recorded_head(files: Files) -> Head | None:
    """Return the head from the second place, or None where there is none that is sound.

    Raises:
        OSError: The file cannot be read.
    """
    recorded = read_head(files.head)
    return None if recorded is None else recorded.head


def check_recorded(reader: Reader, location: str, head: Head, recorded: Head | None) -> None:
    """Compare the database with the head that was recorded beside it.

    Raises:
        Damaged: The database does not reach it, or has another event there, or none is recorded.
    """
    if recorded is None:
        raise Damaged(
            location,
            "the head file beside it is missing or unreadable",
            hint=f"{_KEEP} A database that was copied needs its head file; use `backup`.",
        )
    if recorded.position > head.position:
        raise Damaged(
            location,
            f"the acknowledged events {head.position + 1} to {recorded.position} are missing",
            hint=f"{_KEEP} The write-ahead log was cut or removed, or with synchronous=normal the"
            " power failed. Restore a backup, or open with accept_loss to go on without them.",
        )
    if reader.digest_at(recorded.position) != recorded.digest:
        raise Damaged(
            location, "the event is not the one that was acknowledged", position=recorded.position
        )


_KEEP: Final = "Nothing was written; keep the files."
