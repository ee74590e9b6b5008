"""The tables of the catalogue, and a query in their terms.

The file is derived from a log, so it has no migrations: one of another version is discarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

    from toka.store.core import Query

VERSION: Final = 1
APPLICATION: Final = 0x746F6B73  # "toks"

# Words are stemmed by Porter's rules for English; those of other languages are left as they are.
_TABLES: Final = """
CREATE TABLE mark (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    model TEXT NOT NULL,
    position INTEGER NOT NULL,
    digest BLOB NOT NULL,
    documents INTEGER NOT NULL
) STRICT;
CREATE TABLE document (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    time INTEGER NOT NULL,
    intent TEXT NOT NULL,
    actor TEXT NOT NULL,
    tags TEXT NOT NULL,
    text TEXT NOT NULL,
    vector BLOB NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX document_kind ON document (kind);
CREATE INDEX document_intent ON document (intent);
CREATE INDEX document_time ON document (time);
CREATE VIRTUAL TABLE word USING fts5 (
    text, content = 'document', content_rowid = 'position',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
"""
_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",
    # What a power cut takes is computed again; what it leaves is consistent.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Set the connection up, and make the tables if the file is new."""
    for setting in _SETTINGS:
        connection.execute(setting)
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        script = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
        connection.executescript(f"BEGIN; {_TABLES} {script} COMMIT;")


def is_ours(connection: sqlite3.Connection) -> bool:
    """Say whether the file has these tables in this version."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return bool(application == APPLICATION and version == VERSION)


def condition(where: Query) -> tuple[str, list[str | int]]:
    """Return a condition on `document` that selects what a query selects, and its values."""
    parts: list[str] = []
    values: list[str | int] = []
    if where.kinds:
        parts.append(f"({' OR '.join(_kind(each, values) for each in where.kinds)})")
    for tag in where.tags:
        parts.append("EXISTS (SELECT 1 FROM json_each(document.tags) WHERE value = ?)")
        values.append(tag)
    for text, value in (
        ("intent = ?", where.intent or None),
        ("time >= ?", where.since),
        ("time < ?", where.until),
    ):
        if value is not None:
            parts.append(text)
            values.append(value)
    return " AND ".join(parts), values


def _kind(wanted: str, values: list[str | int]) -> str:
    if not wanted.endswith("."):
        values.append(wanted)
        return "kind = ?"
    values += [wanted, f"{wanted[:-1]}/"]  # the slash is the character after the dot
    return "(kind >= ? AND kind < ?)"
