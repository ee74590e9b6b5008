"""The walk over everything that is stored.

The chain covers every byte of every event. What events are found by (edges of the causal graph,
tags), shared payloads and snapshots are not in it, and are compared with the events here. Indexes
are PostgreSQL's to keep; its extension `amcheck` looks through them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.store.core import ChainCheck, Damaged, Head, pack_id, snapshot_checksum
from toka.store.postgres._rows import CONTENT, DIGEST, unchecked
from toka.store.postgres._schema import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core import Event, VerifyReport
    from toka.store.postgres._connection import Row
    from toka.store.postgres._reader import Reader

STEP: Final = 1_000


class Verification:
    """One walk, in one snapshot of the database."""

    def __init__(self, reader: Reader, location: str) -> None:
        self._reader = reader
        self._location = location
        self._check = ChainCheck(location)
        self._edges = self._tags = 0

    async def run(
        self, progress: Callable[[int, int], None] | None, check: Callable[[], None]
    ) -> VerifyReport:
        """Walk, and report.

        Args:
            progress: As in `EventStore.verify`.
            check: Called now and then; what it raises ends the walk.
        """
        head = await self._reader.head()
        await self._begin()
        while self._check.head.position < head.position:
            check()
            rows = await self._reader.rows(
                self._check.head.position, min(STEP, head.position - self._check.head.position)
            )
            if not rows:
                break
            await self._walk(rows)
            if progress is not None:
                progress(self._check.head.position, head.position)
        check()
        await self._finish(head)
        return self._check.report(head)

    async def _begin(self) -> None:
        try:
            self._check.compacted = (await self._reader.compacted()).position
        except Damaged as error:
            self._check.problem(error.position, str(error.details["what"]))

    async def _walk(self, rows: list[Row]) -> None:
        events: list[Event] = []
        for row in rows:
            try:
                event = unchecked(self._location, row, self._check.head.digest)
            except Damaged as error:
                self._check.skip(row[0], row[DIGEST], str(error.details["what"]))
                continue
            self._check.add(event)
            events.append(event)
        await self._walk_edges(events)
        await self._walk_tags(events)
        await self._walk_payloads(rows)

    async def _walk_edges(self, events: list[Event]) -> None:
        named = {pack_id(parent) for event in events for parent in event.parents}
        places = await self._reader.positions(list(named)) if named else {}
        stored = await self._pairs("SELECT child, parent FROM cause WHERE child", events)
        for event in events:
            for parent in event.parents:
                place = places.get(pack_id(parent))
                if place is None or place >= event.position:
                    what = f"its parent {parent} is not before it"
                    self._check.problem(event.position, what)
                elif (event.position, place) not in stored:
                    what = f"the edge from its parent {parent} is missing"
                    self._check.problem(event.position, what)
                self._edges += 1

    async def _walk_tags(self, events: list[Event]) -> None:
        stored = await self._pairs("SELECT position, value FROM tag WHERE position", events)
        for event in events:
            tags = {escape(tag) for tag in event.tags}
            if any((event.position, tag) not in stored for tag in tags):
                self._check.problem(event.position, "it is not found by all of its tags")
            self._tags += len(tags)

    async def _pairs(self, statement: str, events: list[Event]) -> set[Row]:
        if not events:
            return set()
        low, high = events[0].position, events[-1].position
        rows = await self._reader.connection.fetch(f"{statement} BETWEEN $1 AND $2", low, high)
        return {tuple(row) for row in rows}

    async def _walk_payloads(self, rows: list[Row]) -> None:
        shared = {
            row[CONTENT]: row[0]
            for row in rows
            if row[CONTENT] is not None and row[0] > self._check.compacted
        }
        found = await self._reader.connection.fetch(
            "SELECT digest, last FROM payload WHERE digest = ANY($1::bytea[])", list(shared)
        )
        for digest, last in found:
            if last < shared[digest]:
                self._check.problem(shared[digest], "its payload is not kept as long as it is")

    async def _finish(self, head: Head) -> None:
        """Look for what is derived from no event."""
        fetchval = self._reader.connection.fetchval
        if await fetchval("SELECT count(*) FROM cause") != self._edges:
            self._check.problem(None, "the causal graph has edges that no event names")
        if await fetchval("SELECT count(*) FROM tag") != self._tags:
            self._check.problem(None, "there are tags that no event has")
        idle = await fetchval(
            "SELECT count(*) FROM payload LEFT JOIN event ON event.position = payload.last"
            " WHERE event.content IS DISTINCT FROM payload.digest"
        )
        if idle:
            self._check.problem(None, "there are payloads that no event has")
        for name in await self._reader.snapshot_names():
            for snapshot, checksum in await self._reader.snapshots(name):
                if snapshot_checksum(snapshot) != checksum or snapshot.position > head.position:
                    what = (
                        f"the snapshot {name!r} of position {snapshot.position} is not as written"
                    )
                    self._check.problem(None, what)
