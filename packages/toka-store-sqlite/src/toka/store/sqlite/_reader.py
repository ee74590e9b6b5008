"""The questions that a store answers, each one or a few queries on one connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from toka.store.core import (
    EMPTY,
    EVERYTHING,
    ORIGIN,
    Damaged,
    Event,
    Head,
    Snapshot,
    UnknownEvent,
    UnknownSnapshot,
    closure,
    pack_id,
    snapshot_checksum,
)
from toka.store.sqlite._rows import DIGEST, RowDecoder
from toka.store.sqlite._selection import Selection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from toka.store.core import Query
    from toka.store.sqlite._rows import Row
    from toka.types import EventId

logger = logging.getLogger(__name__)

_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Payload after which the next rows are asked for anew, so that memory stays flat."""

_HIGHEST: Final = 2**63 - 1

# The record says what it must only where the event it names is the one that is there.
_COMPACTED: Final = (
    "SELECT compaction.position FROM compaction JOIN event AS mark"
    " ON mark.position = compaction.position AND mark.digest = compaction.digest"
)
_COLUMNS: Final = (
    " position, id, stream, version, kind, time, intent, actor, token, parents, tags, digest,"  # noqa: S608 - constants
    " CASE WHEN content IS NULL THEN payload"
    f" WHEN position <= ({_COMPACTED}) THEN x''"
    " ELSE (SELECT nullif(data, x'') FROM payload AS shared WHERE shared.digest = event.content)"
    " END, content FROM event"
)
_CHAIN: Final = f"SELECT{_COLUMNS} WHERE position > ? ORDER BY position LIMIT ?"

# Where the rows of an answer are not neighbours, each brings the digest that its header links to.
_LINKED: Final = (
    "SELECT (SELECT digest FROM event AS earlier WHERE earlier.position = event.position - 1),"  # noqa: S608 - constants
    + _COLUMNS
)
_STREAM: Final = _LINKED + " WHERE stream = ? AND version > ? ORDER BY version LIMIT ?"
_STREAM_BACKWARD: Final = (
    _LINKED + " WHERE stream = ? AND version < ? ORDER BY version DESC LIMIT ?"
)


class Reader:
    """Answers questions from one connection; belongs to one thread."""

    def __init__(self, connection: sqlite3.Connection, location: str) -> None:
        self.connection = connection
        self._location = location
        self.decoder = RowDecoder(connection, location)

    def head(self) -> Head:
        """Return where the log ends."""
        row = self.connection.execute(
            "SELECT position, digest FROM event ORDER BY position DESC LIMIT 1"
        ).fetchone()
        return EMPTY if row is None else Head(*row)

    def digest_at(self, position: int) -> bytes | None:
        """Return the digest of the event at `position`, unchecked."""
        if position == 0:
            return ORIGIN
        row = self.connection.execute(
            "SELECT digest FROM event WHERE position = ?", (position,)
        ).fetchone()
        return None if row is None else row[0]

    def page(
        self, after: int, limit: int, where: Query, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return the events beyond a position that a query selects."""
        if not backward and where == EVERYTHING:
            return self.following(after, limit, budget)
        found = Selection(self.connection, where).positions(after, limit, backward=backward)
        return list(_within((self.at(position) for position in found), budget))

    def following(self, after: int, limit: int, budget: int) -> list[Event]:
        """Return the events after a position.

        Args:
            after: The position before the first.
            limit: The most events.
            budget: Bytes of payload after which to stop early.

        Raises:
            Damaged: One is missing or not what was written.
        """
        found: list[Event] = []
        decode = self.decoder.event
        position, previous = after, self.digest_at(after)
        for row in self.connection.execute(_CHAIN, (after, limit)):
            position += 1
            if row[0] != position or previous is None:
                raise Damaged(self._location, "an event is missing", position=position)
            event = decode(row, previous)
            previous = row[DIGEST]
            found.append(event)
            budget -= len(event.payload)
            if budget <= 0:
                break
        return found

    def chain(self, after: int, limit: int) -> Iterator[Event]:
        """Yield consecutive events.

        Raises:
            Damaged: One is missing or not what was written.
        """
        while limit > 0:
            page = self.following(after, limit, _PAGE_BYTES)
            if not page:
                return
            yield from page
            after = page[-1].position
            limit -= len(page)

    def rows(self, after: int, limit: int) -> list[Row]:
        """Return rows after a position as they stand, for `verify`."""
        return self.connection.execute(_CHAIN, (after, limit)).fetchall()

    def first(self, query: Query, after: int) -> int | None:
        """Return the position of the first event of a query after a position, or None."""
        found = Selection(self.connection, query).positions(after, 1, backward=False)
        return found[0] if found else None

    def stream(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return the events of a stream beyond a version."""
        number = self.text_number(stream)
        if number is None:
            return []
        query = _STREAM_BACKWARD if backward else _STREAM
        start = after or _HIGHEST if backward else after
        return list(_within(self._linked(query, (number, start, limit)), budget))

    def version(self, stream: str) -> int:
        """Return the version of a stream's last event, or 0."""
        row = self.connection.execute(
            "SELECT max(version) FROM event WHERE stream = (SELECT id FROM text WHERE value = ?)",
            (stream,),
        ).fetchone()
        return row[0] or 0

    def get(self, identifier: bytes) -> Event | None:
        """Return the event of an identifier, or None."""
        return next(self._linked(_LINKED + " WHERE id = ?", (identifier,)), None)

    def at(self, position: int) -> Event:
        """Return the event at a position.

        Raises:
            Damaged: It is missing, or not what was written.
        """
        event = next(self._linked(_LINKED + " WHERE position = ?", (position,)), None)
        if event is None:
            raise Damaged(self._location, "an event is missing", position=position)
        return event

    def related(
        self, event_id: EventId, identifier: bytes, limit: int | None, *, causes: bool
    ) -> list[Event]:
        """Return the causes of an event, or its effects, nearest in the log first.

        Raises:
            UnknownEvent: It is not in the log.
            Damaged: An event is not what was written.
        """
        start = self.position(identifier)
        if start is None:
            raise UnknownEvent(event_id)
        neighbours = self._causes if causes else self._effects
        found = closure(start, neighbours, newest_first=causes, limit=limit)
        return [self.at(position) for position in found]

    def position(self, identifier: bytes) -> int | None:
        """Return the position of an event, or None."""
        row = self.connection.execute(
            "SELECT position FROM event WHERE id = ?", (identifier,)
        ).fetchone()
        return None if row is None else row[0]

    def has_edge(self, parent: int, child: int) -> bool:
        """Say whether the causal graph has an edge."""
        return (
            self.connection.execute(
                "SELECT 1 FROM cause WHERE parent = ? AND child = ?", (parent, child)
            ).fetchone()
            is not None
        )

    def edge_count(self, end: int) -> int:
        """Return the number of edges to events up to a position."""
        row = self.connection.execute("SELECT count(*) FROM cause WHERE child <= ?", (end,))
        return int(row.fetchone()[0])

    def tags_of(self, position: int, tags: Iterable[str]) -> int:
        """Return how many of the tags are indexed for an event."""
        found = 0
        for tag in tags:
            found += self.connection.execute(
                "SELECT count(*) FROM tag WHERE value = ? AND position = ?", (tag, position)
            ).fetchone()[0]
        return found

    def tag_count(self, end: int) -> int:
        """Return the number of indexed tags of events up to a position."""
        row = self.connection.execute("SELECT count(*) FROM tag WHERE position <= ?", (end,))
        return int(row.fetchone()[0])

    def span(self, last: int) -> tuple[int, int] | None:
        """Return the oldest and the newest time of the span that ends at a position."""
        row: tuple[int, int] | None = self.connection.execute(
            "SELECT oldest, newest FROM span WHERE last = ?", (last,)
        ).fetchone()
        return row

    def summed(self) -> int:
        """Return the position up to which times are summed up."""
        row = self.connection.execute("SELECT max(last) FROM span").fetchone()
        return row[0] or 0

    def last_use(self, content: bytes) -> int:
        """Return the position of the last event that has a shared payload; 0 if it is not there."""
        row = self.connection.execute(
            "SELECT last FROM payload WHERE digest = ?", (content,)
        ).fetchone()
        return 0 if row is None else row[0]

    def shared_payloads(self) -> int:
        """Return how many payloads are stored once for all events that have them."""
        return int(self.connection.execute("SELECT count(*) FROM payload").fetchone()[0])

    def has_idle_payload(self) -> bool:
        """Say whether a shared payload is named by no event that it claims.

        Some may be left behind by a compaction that did not end.
        """
        row = self.connection.execute(
            "SELECT 1 FROM payload LEFT JOIN event ON event.position = payload.last"
            " WHERE event.content IS NOT payload.digest LIMIT 1"
        ).fetchone()
        return row is not None

    def free_bytes(self) -> int:
        """Return what the file has of pages that are in no use."""
        (pages,) = self.connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = self.connection.execute("PRAGMA page_size").fetchone()
        return int(pages * size)

    def compacted(self) -> Head:
        """Return up to where payloads were dropped.

        Raises:
            Damaged: The event on record is not the one that is there.
        """
        row = self.connection.execute("SELECT position, digest FROM compaction").fetchone()
        if row is None:
            return EMPTY
        if self.digest_at(row[0]) != row[1]:
            raise Damaged(self._location, "the record of compaction names an event not there")
        return Head(*row)

    def covered(self, name: str) -> int:
        """Return the position of the oldest kept snapshot of a name.

        Raises:
            UnknownSnapshot: None is kept.
            Damaged: None that is kept is what was saved.
        """
        kept = list(self.snapshots(name))
        if not kept:
            raise UnknownSnapshot(name, self._location)
        if not any(snapshot_checksum(each) == checksum for each, checksum in kept):
            raise Damaged(self._location, f"no snapshot {name!r} is what was saved")
        return min(each.position for each, _ in kept)

    def integrity(self) -> list[str]:
        """Return what SQLite finds wrong with the file, indexes included."""
        rows = self.connection.execute("PRAGMA integrity_check")
        return [finding for (finding,) in rows if finding != "ok"]

    def last_text(self) -> int:
        """Return the highest number of a text."""
        row = self.connection.execute("SELECT max(id) FROM text").fetchone()
        return row[0] or 0

    def text_number(self, text: str) -> int | None:
        """Return the number of a text, or None."""
        row = self.connection.execute("SELECT id FROM text WHERE value = ?", (text,)).fetchone()
        return None if row is None else row[0]

    def _causes(self, position: int) -> list[int]:
        parents = self.at(position).parents
        return [found for each in parents if (found := self.position(pack_id(each))) is not None]

    def _effects(self, position: int) -> list[int]:
        rows = self.connection.execute("SELECT child FROM cause WHERE parent = ?", (position,))
        effects = [child for (child,) in rows]
        return [position + 1, *effects] if self._is_followed(position) else effects

    def _is_followed(self, position: int) -> bool:
        """Say whether an event is a parent of the next one, an edge that is not stored."""
        row = self.connection.execute(
            "SELECT a.id, b.parents FROM event a JOIN event b ON b.position = a.position + 1"
            " WHERE a.position = ?",
            (position,),
        ).fetchone()
        if row is None or row[1] is None:
            return False
        identifier, parents = row
        size = len(identifier)
        return identifier in {parents[at : at + size] for at in range(0, len(parents), size)}

    def _linked(self, query: str, values: Sequence[object]) -> Iterator[Event]:
        for row in self.connection.execute(query, values):
            link = row[0] if row[1] > 1 else ORIGIN
            if link is None:
                raise Damaged(self._location, "an event is missing", position=row[1] - 1)
            yield self.decoder.event(row[1:], link)

    def snapshot(self, name: str) -> Snapshot | None:
        """Return the newest sound snapshot of a name."""
        for snapshot, checksum in self.snapshots(name):
            if snapshot_checksum(snapshot) == checksum:
                return snapshot
            logger.warning(
                "%s: passing over the damaged snapshot %r of position %d",
                self._location,
                name,
                snapshot.position,
            )
        return None

    def snapshots(self, name: str) -> Iterator[tuple[Snapshot, bytes]]:
        """Yield the snapshots of a name with their checksums, the newest first."""
        for position, digest, checksum, data in self.connection.execute(
            "SELECT position, digest, checksum, data FROM snapshot WHERE name = ?"
            " ORDER BY position DESC",
            (name,),
        ):
            yield Snapshot(name, position, data, digest), checksum

    def snapshot_names(self) -> list[str]:
        """Return the names under which there are snapshots."""
        return [name for (name,) in self.connection.execute("SELECT DISTINCT name FROM snapshot")]


def _within(events: Iterable[Event], budget: int) -> Iterator[Event]:
    """Yield at least one event, and more while their payloads fit the budget."""
    for event in events:
        yield event
        budget -= len(event.payload)
        if budget <= 0:
            return
