"""What the database looks like, and how a schema is known to be one of ours.

Everything of a store lies in one schema. Texts are readable in `psql`; because PostgreSQL stores no
NUL in a text, and its B-trees take no long keys, they are written through `escape`, and indexes
hold their first characters. The payload's digest and the link to the header before are not stored:
both follow from what is, and reading recomputes them to check the header's digest.

`head` is one row that every append locks first. So appends come one after the other, also those of
other processes, positions are given in the order of commits, and whoever has seen a position has
seen all before it: there are no gaps to wait for. It is also the second place of the head, so that
a log that was cut is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.store.core import Damaged, ForeignFile, NewerFormat, StoreMissing

if TYPE_CHECKING:
    from toka.store.postgres._address import Address
    from toka.store.postgres._connection import Connection

FORMAT: Final = 1
"""Raised with every change of the schema that an older release would misread."""

KEY: Final = 256
"""Characters of a text that its index holds: 1 KiB at most, of the 2.7 that a B-tree takes."""

_TABLES: Final = f"""
CREATE TABLE meta (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    format integer NOT NULL, made_by text NOT NULL);
CREATE TABLE head (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL, digest bytea NOT NULL);
CREATE TABLE event (position bigint PRIMARY KEY, id bytea NOT NULL UNIQUE,
    stream text COLLATE "C" NOT NULL, version bigint NOT NULL, kind text COLLATE "C" NOT NULL,
    time bigint NOT NULL, intent text COLLATE "C" NOT NULL, actor text NOT NULL,
    token text NOT NULL, parents bytea, tags bytea, digest bytea NOT NULL, payload bytea NOT NULL,
    content bytea, size integer NOT NULL);
CREATE INDEX event_stream ON event (left(stream, {KEY}), version);
CREATE INDEX event_kind ON event (left(kind, {KEY}), position);
CREATE INDEX event_intent ON event (left(intent, {KEY}), position) WHERE intent <> '';
CREATE INDEX event_time ON event USING brin (time) WITH (pages_per_range = 16, autosummarize = on);
CREATE TABLE tag (value text COLLATE "C" NOT NULL, position bigint NOT NULL);
CREATE INDEX tag_value ON tag (left(value, {KEY}), position);
CREATE TABLE cause (parent bigint NOT NULL, child bigint NOT NULL, PRIMARY KEY (parent, child));
CREATE TABLE payload (digest bytea PRIMARY KEY, last bigint NOT NULL, data bytea NOT NULL);
CREATE TABLE compaction (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL, digest bytea NOT NULL);
CREATE TABLE snapshot (name text NOT NULL, position bigint NOT NULL, digest bytea NOT NULL,
    checksum bytea NOT NULL, data bytea NOT NULL);
CREATE UNIQUE INDEX snapshot_name ON snapshot (left(name, {KEY}), md5(name), position);
INSERT INTO meta (format, made_by) VALUES ({FORMAT}, 'toka-store-postgres');
INSERT INTO head (position, digest) VALUES (0, decode(repeat('00', 32), 'hex'));
"""


def escape(text: str) -> str:
    """Return a text that PostgreSQL can store; prefixes stay prefixes."""
    if "\0" in text or "\\" in text:
        return text.replace("\\", "\\\\").replace("\0", "\\0")
    return text


def unescape(text: str) -> str:
    """Return the text that `escape` was given."""
    if "\\" not in text:
        return text
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))


async def prepare(connection: Connection, address: Address, *, create: bool) -> None:
    """Make the tables if there are none, or see that they are ours.

    Raises:
        StoreMissing: There is no store, and none is to be made.
        ForeignFile: The schema holds something else.
        NewerFormat: A later release made it.
        Damaged: The log does not end where its head says.
    """
    async with connection.transaction():
        if create:
            # Whoever comes second waits, and finds the tables.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", address.channel)
        tables = await _tables(connection, address)
        if not tables:
            if not create:
                raise StoreMissing(address.location)
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {address.schema}")
            await connection.execute(_TABLES)
            return
        await _identify(connection, address, tables)
        await check_head(connection, address)


async def _tables(connection: Connection, address: Address) -> set[str]:
    rows = await connection.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $1", address.schema
    )
    return {str(name) for (name,) in rows}


async def _identify(connection: Connection, address: Address, tables: set[str]) -> None:
    if not {"meta", "head", "event"} <= tables:
        raise ForeignFile(address.location, f"the schema {address.schema!r} holds other tables")
    columns = await connection.fetchval(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = $1"
        " AND table_name = 'meta' AND column_name IN ('format', 'made_by')",
        address.schema,
    )
    row = await connection.fetchrow("SELECT * FROM meta") if columns == 2 else None  # noqa: PLR2004
    if row is None or row[2] != "toka-store-postgres":
        raise ForeignFile(address.location, f"the schema {address.schema!r} holds other tables")
    if row[1] > FORMAT:
        raise NewerFormat(address.location, row[1], FORMAT)


async def check_head(connection: Connection, address: Address) -> None:
    """Compare the end of the log with its record.

    Raises:
        Damaged: They differ.
    """
    recorded = await connection.fetchrow("SELECT position, digest FROM head")
    last = await connection.fetchrow(
        "SELECT position, digest FROM event ORDER BY position DESC LIMIT 1"
    )
    if recorded is None:
        raise Damaged(address.location, "the record of its head is missing")
    found = (0, bytes(32)) if last is None else tuple(last)
    if found != tuple(recorded):
        what = f"the log ends at {found[0]}, and its head was recorded at {recorded[0]}"
        raise Damaged(address.location, what)
