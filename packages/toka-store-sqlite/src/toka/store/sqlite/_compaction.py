"""Dropping payloads, a few at a time, between the appends of the one writer.

Each step is one transaction: some events lose their payload and keep its digest, and the record of
how far that has gone rises with them. So at any moment exactly the events up to the record are
without payload, whatever happens. A payload is read and proved before it goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.store.core import Head

if TYPE_CHECKING:
    from toka.store.sqlite._reader import Reader

_STEP: Final = 1_000
"""Events of one transaction, of which appends wait for some hundredths of a second."""


@attrs.frozen
class Dropped:
    """What one step did."""

    end: Head
    """Up to where payloads are dropped now."""
    events: int
    size: int


def covered(snapshot: str, reader: Reader) -> int:
    """Return the position up to which payloads may go; the action of a `Job`.

    Raises:
        UnknownSnapshot: None of this name is kept.
        Damaged: None that is kept is what was saved.
    """
    return reader.covered(snapshot)


def drop_payloads(target: int, reader: Reader) -> Dropped:
    """Drop the next payloads; the action of a `Job`.

    Args:
        target: The position at which to end.
        reader: Of a connection that is in a transaction.

    Raises:
        Damaged: An event is not what was written; nothing was dropped.
        sqlite3.Error: Input or output failed.
    """
    connection, end = reader.connection, reader.compacted()
    size, changes = 0, list[tuple[bytes, int]]()
    for event in reader.chain(end.position, min(_STEP, max(0, target - end.position))):
        if event.payload:
            size += len(event.payload)
            changes.append((event.payload_digest, event.position))
        end = Head(event.position, event.digest)
    connection.executemany(
        "UPDATE event SET content = ?, payload = x'' WHERE position = ?", changes
    )
    if end.position:
        connection.execute(
            "INSERT OR REPLACE INTO compaction (id, position, digest) VALUES (1, ?, ?)",
            (end.position, end.digest),
        )
    if end.position >= target:
        connection.execute("DELETE FROM payload WHERE last <= ?", (end.position,))
    return Dropped(end, len(changes), size)
