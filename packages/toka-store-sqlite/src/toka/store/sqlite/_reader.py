"""The questions that a store answers, each one or a few queries on one connection."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Final

from toka.store.core import (
    EMPTY,
    ORIGIN,
    Damaged,
    Event,
    Head,
    Snapshot,
    UnknownEvent,
    closure,
    pack_id,
    snapshot_checksum,
)
from toka.store.sqlite._rows import DIGEST, RowDecoder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from toka.store.sqlite._rows import Row
    from toka.types import EventId

logger = logging.getLogger(__name__)

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Payload after which a page that may be short ends, so that memory stays flat."""

_HIGHEST: Final = 2**63 - 1

_CHAIN: Final = (
    "SELECT position, id, stream, version, kind, time, intent, actor, token, parents, tags,"
    " digest, payload FROM event WHERE position > ? ORDER BY position LIMIT ?"
)

# Where the rows of an answer are not neighbours, each brings the digest that its header links to.
_LINKED: Final = (
    "SELECT (SELECT digest FROM event AS earlier WHERE earlier.position = event.position - 1),"
    " position, id, stream, version, kind, time, intent, actor, token, parents, tags,"
    " digest, payload FROM event"
)
_FITS: Final = (
    " AND (?2 IS NULL OR kind IN (SELECT value FROM json_each(?2))) AND (?3 IS NULL OR intent = ?3)"
)
_FORWARD: Final = _LINKED + " WHERE position > ?1" + _FITS + " ORDER BY position LIMIT ?4"
_BACKWARD: Final = _LINKED + " WHERE position < ?1" + _FITS + " ORDER BY position DESC LIMIT ?4"
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

    def page(self, after: int, limit: int, budget: int | None = None) -> list[Event]:
        """Return the events after a position.

        Args:
            after: The position before the first.
            limit: The most events.
            budget: Bytes of payload after which to stop early, if any.
        """
        chain = self.chain(after, limit)
        return list(chain if budget is None else _within(chain, budget))

    def chain(self, after: int, limit: int) -> Iterator[Event]:
        """Yield consecutive events.

        Raises:
            Damaged: One is missing or not what was written.
        """
        position, previous = after, self.digest_at(after)
        for row in self.connection.execute(_CHAIN, (after, limit)):
            position += 1
            if row[0] != position or previous is None:
                raise Damaged(self._location, "an event is missing", position=position)
            yield self.decoder.event(row, previous)
            previous = row[DIGEST]

    def rows(self, after: int, limit: int) -> list[Row]:
        """Return rows after a position as they stand, for `verify`."""
        return self.connection.execute(_CHAIN, (after, limit)).fetchall()

    def filtered(
        self,
        after: int,
        limit: int,
        kinds: tuple[str, ...],
        intent: str,
        *,
        backward: bool,
        budget: int | None = None,
    ) -> list[Event]:
        """Return the events beyond a position whose kind has one of the prefixes.

        SQLite walks the log and compares two numbers in each row: a million events take some
        tenths of a second, and the thread of another reader is not held up.
        """
        numbers = None if kinds == ("",) else json.dumps(self._numbers(kinds))
        served = self.text_number(intent) if intent else None
        if intent and served is None:
            return []
        start = after or _HIGHEST if backward else after
        query = _BACKWARD if backward else _FORWARD
        linked = self._linked(query, (start, numbers, served, limit))
        return list(linked if budget is None else _within(linked, budget))

    def _numbers(self, prefixes: tuple[str, ...]) -> list[int]:
        """Return the numbers of the texts that begin with one of the prefixes."""
        numbers: list[int] = []
        for prefix in prefixes:
            # SQLite orders text by code point, so these are the texts between two others.
            rows = self.connection.execute(
                "SELECT id FROM text WHERE value >= ? AND value < ?",
                (prefix, prefix + chr(sys.maxunicode)),
            )
            numbers += [number for (number,) in rows]
        return numbers

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
