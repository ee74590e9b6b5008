"""What the database looks like, and how a file is known to be one of ours.

Texts that repeat (streams, kinds, intents, actors, tokens) are stored once and named by number;
0 is the empty text and has no row. Identifiers are 16 bytes. The digest of a payload and the link
to the header before are not stored: both follow from what is, and reading recomputes them to check
the header's digest. Nor is an edge of the causal graph from one event to the next: the next one's
parents say it, most of a log is such chains, and it was a tenth of a durable step. An event of a
150-byte payload takes about 300 bytes, its indexes included.

Payloads of 4 KiB and more lie in `payload`, once each, by their digest; `content` in the event is
that digest, and `last` the position of the last event that has it. Dropping payloads (`compaction`)
leaves `content` too, so that a header can be proved without its payload.

Selecting by kind, intent or tag walks an index in the order of positions. Times rise with positions
only by habit, so there is no index of times: `span` has the oldest and the newest time of each 256
events, which costs an append nothing and leaves a reader of some time only the spans that have it.

Ordered work on the files lives elsewhere: `_files` (creation, checks at open), `_migration` (older
formats), `_writer` (commits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x544F4B41
"""`TOKA` in ASCII; SQLite keeps it in the file's header."""

FORMAT: Final = 2
"""Raised with every change of the schema that an older release would misread."""

SPAN: Final = 256
"""Events whose times are summed up in one row."""

_TEXT: Final = "CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT"

# As `ALTER TABLE` leaves the table of format 1: `content` is the last column, and beyond the
# payload, which whoever wants the one reads anyway.
_EVENT: Final = (
    "CREATE TABLE event (position INTEGER PRIMARY KEY, id BLOB NOT NULL, stream INTEGER NOT NULL,"
    " version INTEGER NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,"
    " intent INTEGER NOT NULL, actor INTEGER NOT NULL, token INTEGER NOT NULL, parents BLOB,"
    " tags BLOB, digest BLOB NOT NULL, payload BLOB NOT NULL{content}) STRICT"
)

_CAUSE: Final = (
    "CREATE TABLE cause (parent INTEGER NOT NULL, child INTEGER NOT NULL,"
    " PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID"
)

_SNAPSHOT: Final = (
    "CREATE TABLE snapshot (name TEXT NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL,"
    " checksum BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (name, position)) STRICT"
)

ADD_CONTENT: Final = "ALTER TABLE event ADD COLUMN content BLOB"

_TAG: Final = (
    "CREATE TABLE tag (value TEXT NOT NULL, position INTEGER NOT NULL,"
    " PRIMARY KEY (value, position)) STRICT, WITHOUT ROWID"
)

_SPAN: Final = (
    "CREATE TABLE span (last INTEGER PRIMARY KEY, oldest INTEGER NOT NULL,"
    " newest INTEGER NOT NULL) STRICT"
)

_PAYLOAD: Final = (
    "CREATE TABLE payload (digest BLOB PRIMARY KEY, last INTEGER NOT NULL, data BLOB NOT NULL)"
    " STRICT"
)

_COMPACTION: Final = (
    "CREATE TABLE compaction (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL,"
    " digest BLOB NOT NULL) STRICT"
)

SECOND: Final = (
    "CREATE INDEX event_kind ON event (kind)",
    "CREATE INDEX event_intent ON event (intent) WHERE intent <> 0",
    _TAG,
    _SPAN,
    _PAYLOAD,
    _COMPACTION,
)
"""What format 2 adds, beside the column."""


def _first(content: str) -> tuple[str, ...]:
    return (
        _TEXT,
        _EVENT.format(content=content),
        "CREATE UNIQUE INDEX event_id ON event (id)",
        "CREATE UNIQUE INDEX event_stream ON event (stream, version)",
        _CAUSE,
        _SNAPSHOT,
    )


SCHEMAS: Final = {1: _first(""), 2: (*_first(", content BLOB"), *SECOND)}
"""The statements of each format, in their order."""

SUM_UP: Final = (
    f"INSERT INTO span SELECT (position + {SPAN - 1}) / {SPAN} * {SPAN}, min(time), max(time)"  # noqa: S608 - a constant
    " FROM event WHERE position > ? AND position <= ? GROUP BY 1"
)
"""Writes the spans between two positions, each the last of a span."""

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first with STRICT tables."""


def create_schema(connection: sqlite3.Connection, number: int = FORMAT) -> None:
    """Make the tables of a format and sign the file, in one transaction."""
    connection.execute("BEGIN EXCLUSIVE")
    for statement in SCHEMAS[number]:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")


def has_schema(connection: sqlite3.Connection, number: int = FORMAT) -> bool:
    """Say whether the tables are to the letter those of a format."""
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    return [sql for (sql,) in rows] == list(SCHEMAS[number])


def format_of(connection: sqlite3.Connection) -> int:
    """Return the format as of the last commit, which may not be in the file's header yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
