"""Questions to the log, each asked of one connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from toka.store.core import (
    EMPTY,
    ORIGIN,
    Damaged,
    Event,
    Head,
    Snapshot,
    UnknownEvent,
    pack_id,
    snapshot_checksum,
)
from toka.store.postgres._rows import COLUMNS, LINKED, event_of
from toka.store.postgres._schema import KEY, escape, unescape
from toka.store.postgres._selection import HIGHEST, Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Query
    from toka.store.postgres._connection import Connection, Row
    from toka.types import EventId

_UNBOUNDED: Final = HIGHEST

# Rows of a page while the payloads before them fit; the numbers of the values are filled in.
_WITHIN: Final = (
    "SELECT {columns} FROM (SELECT *, sum(size) OVER (ORDER BY {order}) - size AS before"
    " FROM (SELECT * FROM event WHERE {where} ORDER BY {order} LIMIT {limit}) AS event) AS event"
    " WHERE before < {budget} ORDER BY {order}"
)

logger = logging.getLogger(__name__)


class Reader:
    """Answers questions about one store."""

    def __init__(self, connection: Connection, location: str) -> None:
        self.connection = connection
        self._location = location

    async def head(self, *, lock: bool = False) -> Head:
        """Return where the log ends, and stop all other appends in this transaction if asked to."""
        row = await self.connection.fetchrow(
            "SELECT position, digest FROM head" + (" FOR UPDATE" if lock else "")
        )
        if row is None:
            raise Damaged(self._location, "the record of its head is missing")
        return Head(*row)

    async def digest_at(self, position: int) -> bytes | None:
        """Return the digest of the event at a position, unchecked."""
        if position <= 0:
            return ORIGIN
        row = await self.connection.fetchrow(
            "SELECT digest FROM event WHERE position = $1", position
        )
        return None if row is None else bytes(row[0])

    async def page(self, after: int, limit: int, budget: int = _UNBOUNDED) -> list[Event]:
        """Return consecutive events after a position, at least one if there is one.

        Raises:
            Damaged: One is missing or not what was written.
        """
        events: list[Event] = []
        position, previous = after, await self.digest_at(after)
        for row in await self.rows(after, limit, budget):
            position += 1
            if row[0] != position or previous is None:
                raise Damaged(self._location, "an event is missing", position=position)
            event = event_of(self._location, row, previous)
            events.append(event)
            previous = event.digest
        return events

    async def rows(self, after: int, limit: int, budget: int = _UNBOUNDED) -> list[Row]:
        """Return rows after a position as they stand."""
        statement = _WITHIN.format(
            columns=COLUMNS, order="position", where="position > $1", limit="$2", budget="$3"
        )
        return await self.connection.fetch(statement, after, limit, budget)

    async def selected(
        self, query: Query, after: int, limit: int, *, backward: bool, budget: int = _UNBOUNDED
    ) -> list[Event]:
        """Return the events of a query beyond a position."""
        condition = _beyond(after, backward=backward)
        condition.select(query)
        statement = _WITHIN.format(
            columns=LINKED,
            order="position DESC" if backward else "position",
            where="position > $1 AND position < $2" + condition.sql,
            limit=condition.value(limit),
            budget=condition.value(budget),
        )
        return self._events(await self.connection.fetch(statement, *condition.values))

    async def first(self, query: Query, after: int) -> int | None:
        """Return the position of the first event of a query after a position, or None."""
        condition = _beyond(after, backward=False)
        condition.select(query)
        row = await self.connection.fetchrow(
            "SELECT position FROM event WHERE position > $1 AND position < $2"
            f"{condition.sql} ORDER BY position LIMIT 1",
            *condition.values,
        )
        return None if row is None else int(row[0])

    async def stream(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int = _UNBOUNDED
    ) -> list[Event]:
        """Return the events of a stream beyond a version."""
        name = escape(stream)
        beyond = "version < $3" if backward else "version > $3"
        statement = _WITHIN.format(
            columns=LINKED,
            order="version DESC" if backward else "version",
            where=f"left(stream, {KEY}) = $1 AND stream = $2 AND {beyond}",
            limit="$4",
            budget="$5",
        )
        start = after or HIGHEST if backward else after
        rows = await self.connection.fetch(statement, name[:KEY], name, start, limit, budget)
        return self._events(rows)

    async def versions(self, streams: Sequence[str]) -> dict[str, int]:
        """Return the version of the last event of each stream; 0 where there is none."""
        names = [escape(stream) for stream in streams]
        rows = await self.connection.fetch(
            "SELECT coalesce((SELECT version FROM event"
            f" WHERE left(stream, {KEY}) = left(name, {KEY}) AND stream = name"
            " ORDER BY version DESC LIMIT 1), 0)"
            " FROM unnest($1::text[]) WITH ORDINALITY AS wanted(name, place) ORDER BY place",
            names,
        )
        return {stream: int(version) for stream, (version,) in zip(streams, rows, strict=True)}

    async def positions(self, identifiers: Sequence[bytes]) -> dict[bytes, int]:
        """Return where events are; those that are not there are not in the answer."""
        rows = await self.connection.fetch(
            "SELECT id, position FROM event WHERE id = ANY($1::bytea[])", list(identifiers)
        )
        return {bytes(identifier): int(position) for identifier, position in rows}

    async def get(self, identifier: bytes) -> Event | None:
        """Return the event of an identifier, or None."""
        found = await self._linked("id = $1", identifier)
        return found[0] if found else None

    async def at(self, positions: Sequence[int]) -> list[Event]:
        """Return the events at positions, in the order asked for.

        Raises:
            Damaged: One is missing, or not what was written.
        """
        found = {
            event.position: event
            for event in await self._linked("position = ANY($1::bigint[])", list(positions))
        }
        for position in positions:
            if position not in found:
                raise Damaged(self._location, "an event is missing", position=position)
        return [found[position] for position in positions]

    async def related(self, event_id: EventId, *, limit: int | None, causes: bool) -> list[Event]:
        """Return the causes of an event, or its effects, nearest in the log first.

        Raises:
            UnknownEvent: It is not in the log.
            Damaged: An event is not what was written.
        """
        identifier = pack_id(event_id)
        start = (await self.positions([identifier])).get(identifier)
        if start is None:
            raise UnknownEvent(event_id)
        here, there = ("child", "parent") if causes else ("parent", "child")
        # UNION drops what was met before, so the walk ends and asks about each event once.
        rows = await self.connection.fetch(
            "WITH RECURSIVE related(position) AS ("
            f" SELECT {there} FROM cause WHERE {here} = $1"
            f" UNION SELECT {there} FROM cause JOIN related ON {here} = related.position)"
            f" SELECT position FROM related ORDER BY position {'DESC' if causes else ''} LIMIT $2",
            start,
            limit,
        )
        return await self.at([int(position) for (position,) in rows])

    async def compacted(self) -> Head:
        """Return up to where payloads were dropped.

        Raises:
            Damaged: The event on record is not the one that is there.
        """
        row = await self.connection.fetchrow("SELECT position, digest FROM compaction")
        if row is None:
            return EMPTY
        if await self.digest_at(row[0]) != row[1]:
            raise Damaged(self._location, "the record of compaction names an event not there")
        return Head(*row)

    async def snapshot(self, name: str) -> Snapshot | None:
        """Return the newest sound snapshot of a name."""
        for snapshot, checksum in await self.snapshots(name):
            if snapshot_checksum(snapshot) == checksum:
                return snapshot
            logger.warning(
                "%s: passing over the damaged snapshot %r of position %d",
                self._location,
                name,
                snapshot.position,
            )
        return None

    async def snapshots(self, name: str) -> list[tuple[Snapshot, bytes]]:
        """Return the snapshots of a name with their checksums, the newest first."""
        stored = escape(name)
        rows = await self.connection.fetch(
            "SELECT position, digest, checksum, data FROM snapshot"
            f" WHERE left(name, {KEY}) = $1 AND name = $2 ORDER BY position DESC",
            stored[:KEY],
            stored,
        )
        return [
            (Snapshot(name, position, data, digest), checksum)
            for position, digest, checksum, data in rows
        ]

    async def snapshot_names(self) -> list[str]:
        """Return the names under which there are snapshots."""
        rows = await self.connection.fetch("SELECT DISTINCT name FROM snapshot")
        return [unescape(name) for (name,) in rows]

    async def _linked(self, where: str, value: object) -> list[Event]:
        statement = f"SELECT {LINKED} FROM event WHERE {where}"
        return self._events(await self.connection.fetch(statement, value))

    def _events(self, rows: list[Row]) -> list[Event]:
        events: list[Event] = []
        for row in rows:
            link = row[0] if row[1] > 1 else ORIGIN
            if link is None:
                raise Damaged(self._location, "an event is missing", position=row[1] - 1)
            events.append(event_of(self._location, row[1:], link))
        return events


def _beyond(after: int, *, backward: bool) -> Condition:
    if backward:
        return Condition(0, after or HIGHEST)
    return Condition(after, HIGHEST)
