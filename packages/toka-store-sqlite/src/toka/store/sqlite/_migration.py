"""Bringing a file of an older format to this one: in one transaction, or not at all.

The log itself stays as it is, to the byte; a migration adds what is derived from it. The result is
checked before it is committed, so that a damaged file is refused and left as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.store.core import Damaged
from toka.store.sqlite._schema import ADD_CONTENT, FORMAT, SECOND, SPAN, SUM_UP, has_schema

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

_tags: Final = msgspec.msgpack.Decoder(tuple[str, ...])


def migrate(
    connection: sqlite3.Connection, found: int, location: str, check: Callable[[], None]
) -> None:
    """Bring the database to the current format.

    Args:
        connection: To a file of which nobody else is a writer, without a transaction.
        found: The format of the file, an older one.
        location: Of the store.
        check: Called before the commit; what it raises undoes everything.

    Raises:
        Damaged: The file is not sound.
        sqlite3.Error: Input or output failed.
    """
    if not has_schema(connection, found):
        raise Damaged(location, f"its tables are not those of a store of format {found}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in _STEPS[found - 1 :]:
            step(connection, location)
        check()
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    # The header of the file says the format, and is what others look at first.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _to_second(connection: sqlite3.Connection, location: str) -> None:
    connection.execute(ADD_CONTENT)
    for statement in SECOND:
        connection.execute(statement)
    connection.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?)", _tagged(connection, location))
    head = connection.execute("SELECT max(position) FROM event").fetchone()[0] or 0
    connection.execute(SUM_UP, (0, head - head % SPAN))


def _tagged(connection: sqlite3.Connection, location: str) -> Iterator[tuple[str, int]]:
    rows = connection.execute("SELECT position, tags FROM event WHERE tags IS NOT NULL")
    for position, tags in rows:
        try:
            values = _tags.decode(tags)
        except msgspec.MsgspecError as error:
            raise Damaged(location, "the row has no meaning", position=position) from error
        for value in values:
            yield value, position


_STEPS: Final = (_to_second,)
"""From each format to the next, beginning with format 1."""
