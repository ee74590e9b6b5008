"""What the database looks like, and how a file is known to be one of ours.

Texts that repeat (streams, kinds, intents, actors, tokens) are stored once and named by number;
0 is the empty text and has no row. Identifiers are 16 bytes. The payload stands last in its row,
so that a long one does not lie between the other columns and the reader. The digest of a payload
and the link to the header before are not stored: both follow from what is, and reading recomputes
them to check the header's digest. Nor is an edge of the causal graph from one event to the next:
the next one's parents say it, most of a log is such chains, and it was a tenth of a durable step.
An event of a 150-byte payload takes about 300 bytes, its indexes included.

Ordered work on the files lives elsewhere: `_files` (creation, checks at open), `_writer` (commits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x544F4B41
"""`TOKA` in ASCII; SQLite keeps it in the file's header."""

FORMAT: Final = 1
"""Raised with every change of the schema that an older release would misread."""

_TEXT: Final = "CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT"

_EVENT: Final = (
    "CREATE TABLE event (position INTEGER PRIMARY KEY, id BLOB NOT NULL, stream INTEGER NOT NULL,"
    " version INTEGER NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,"
    " intent INTEGER NOT NULL, actor INTEGER NOT NULL, token INTEGER NOT NULL, parents BLOB,"
    " tags BLOB, digest BLOB NOT NULL, payload BLOB NOT NULL) STRICT"
)

_CAUSE: Final = (
    "CREATE TABLE cause (parent INTEGER NOT NULL, child INTEGER NOT NULL,"
    " PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID"
)

_SNAPSHOT: Final = (
    "CREATE TABLE snapshot (name TEXT NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL,"
    " checksum BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (name, position)) STRICT"
)

SCHEMA: Final = (
    _TEXT,
    _EVENT,
    "CREATE UNIQUE INDEX event_id ON event (id)",
    "CREATE UNIQUE INDEX event_stream ON event (stream, version)",
    _CAUSE,
    _SNAPSHOT,
)

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first with STRICT tables."""


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the tables and sign the file, in one transaction."""
    connection.execute("BEGIN EXCLUSIVE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def has_schema(connection: sqlite3.Connection) -> bool:
    """Say whether the tables are to the letter those that `create_schema` makes."""
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    return [sql for (sql,) in rows] == list(SCHEMA)
