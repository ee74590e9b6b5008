"""Dropping payloads in steps, so that nobody waits long for the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.store.core import Damaged, Head, UnknownSnapshot, payload_digest, snapshot_checksum
from toka.store.postgres._reader import Reader

if TYPE_CHECKING:
    from toka.store.postgres._connection import Connection

_STEP: Final = 1_000


@attrs.frozen
class Step:
    """What one transaction dropped."""

    end: Head
    """Up to here all payloads are dropped now."""
    events: int
    size: int
    """Bytes of their payloads."""


async def covered(reader: Reader, name: str, location: str) -> int:
    """Return the position of the oldest kept snapshot of a name.

    Raises:
        UnknownSnapshot: None is kept.
        Damaged: None that is kept is what was saved.
    """
    kept = await reader.snapshots(name)
    if not kept:
        raise UnknownSnapshot(name, location)
    if not any(snapshot_checksum(each) == checksum for each, checksum in kept):
        raise Damaged(location, f"no snapshot {name!r} is what was saved")
    return min(each.position for each, _ in kept)


async def drop_payloads(connection: Connection, location: str, target: int) -> Step:
    """Drop the payloads of the next events up to a position.

    Raises:
        Damaged: An event is not what was written; its payload is not dropped.
    """
    reader = Reader(connection, location)
    done = await reader.compacted()
    if done.position >= target:
        return Step(done, 0, 0)
    events = await reader.page(done.position, min(_STEP, target - done.position))
    end = Head(events[-1].position, events[-1].digest)
    filled = [event for event in events if event.payload]
    await connection.executemany(
        "UPDATE event SET payload = '', content = $2 WHERE position = $1",
        [(event.position, payload_digest(event.payload)) for event in filled],
    )
    await connection.execute("DELETE FROM payload WHERE last <= $1", end.position)
    await connection.execute(
        "INSERT INTO compaction (position, digest) VALUES ($1, $2) ON CONFLICT (only_row)"
        " DO UPDATE SET position = excluded.position, digest = excluded.digest",
        end.position,
        end.digest,
    )
    return Step(end, len(filled), sum(len(event.payload) for event in filled))
