"""The walk over everything that is stored, in steps that leave the loop and other readers free.

SQLite's `integrity_check` compares indexes with tables, which the chain cannot; the chain covers
every byte of every event, which SQLite cannot. Between them lie what events are found by (edges of
the causal graph, tags, spans of time), shared payloads and snapshots, which are checked here.

Each step reads in one transaction: compaction may go on beside it.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from toka.store.core import ChainCheck, Damaged, pack_id, snapshot_checksum
from toka.store.sqlite._files import check_recorded
from toka.store.sqlite._rows import CONTENT, DIGEST
from toka.store.sqlite._schema import SPAN, has_schema

if TYPE_CHECKING:
    from collections.abc import Generator

    from toka.store.core import Event, Head, VerifyReport
    from toka.store.sqlite._reader import Reader
    from toka.store.sqlite._rows import Row

_UNREADABLE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)

STEP: Final = 1_000
"""Events of one step."""


class Verification:
    """One walk, from the first event to the head as it was when the walk began."""

    def __init__(self, location: str, recorded: Head | None) -> None:
        """Begin.

        Args:
            location: Of the store.
            recorded: The head from the second place, read before this.
        """
        self._location = location
        self._recorded = recorded
        self._check = ChainCheck(location)
        self._edges = self._tags = 0
        self._times: list[int] = []
        self._end = 0

    @property
    def walked(self) -> int:
        """Return the position that the walk has reached."""
        return self._check.head.position

    @property
    def total(self) -> int:
        """Return the position at which it will end."""
        return self._end

    def begin(self, reader: Reader) -> None:
        """Check the database as a whole."""
        try:
            self._end = reader.head().position
            for finding in reader.integrity():
                self._check.problem(None, f"SQLite finds: {finding}")
            if not has_schema(reader.connection):
                self._check.problem(None, "the tables are not those of a store")
            check_recorded(reader, self._location, reader.head(), self._recorded)
        except Damaged as error:
            self._check.problem(error.position, str(error.details["what"]))
        except _UNREADABLE as error:
            self._check.problem(None, f"SQLite cannot read it: {error}")

    def step(self, reader: Reader) -> bool:
        """Walk the next events; say whether there are more."""
        if self.walked >= self._end:
            return False
        try:
            with _consistently(reader):
                self._check.compacted = reader.compacted().position
                rows = reader.rows(self.walked, min(STEP, self._end - self.walked))
                for row in rows:
                    self._walk(reader, row)
        except Damaged as error:  # the record of compaction
            self._check.problem(error.position, str(error.details["what"]))
            return False
        except _UNREADABLE as error:
            self._check.problem(self.walked + 1, f"SQLite cannot read on: {error}")
            return False
        return bool(rows)

    def _walk(self, reader: Reader, row: Row) -> None:
        try:
            event = reader.decoder.unchecked(row, self._check.head.digest)
        except Damaged as error:
            self._check.skip(row[0], row[DIGEST], str(error.details["what"]))
            return
        self._check.add(event)
        if event.parents:
            self._walk_edges(reader, event)
        if event.tags:
            self._walk_tags(reader, event)
        content = row[CONTENT]
        if content is not None and event.payload and reader.last_use(content) < event.position:
            self._check.problem(event.position, "its payload is not kept as long as it is")
        self._sum_up(reader, event)

    def _walk_tags(self, reader: Reader, event: Event) -> None:
        tags = set(event.tags)
        if reader.tags_of(event.position, tags) != len(tags):
            self._check.problem(event.position, "it is not found by all of its tags")
        self._tags += len(tags)

    def _sum_up(self, reader: Reader, event: Event) -> None:
        self._times.append(event.time)
        if event.position % SPAN == 0:
            times = self._times
            if reader.span(event.position) != (min(times), max(times)) and len(times) == SPAN:
                self._check.problem(event.position, "the times up to it are not summed up")
            self._times = []

    def _walk_edges(self, reader: Reader, event: Event) -> None:
        for parent in event.parents:
            place = reader.position(pack_id(parent))
            if place is None or place >= event.position:
                self._check.problem(event.position, f"its parent {parent} is not before it")
            elif place == event.position - 1:
                continue
            elif not reader.has_edge(place, event.position):
                self._check.problem(event.position, f"the edge from its parent {parent} is missing")
            self._edges += 1

    def finish(self, reader: Reader) -> VerifyReport:
        """Check what is derived from the events, and report."""
        try:
            with _consistently(reader):
                if reader.edge_count(self._end) != self._edges:
                    self._check.problem(None, "the causal graph has edges that no event names")
                if reader.tag_count(self._end) != self._tags:
                    self._check.problem(None, "there are tags that no event has")
                if reader.has_idle_payload():
                    self._check.problem(None, "there are payloads that no event has")
                for name in reader.snapshot_names():
                    self._check_snapshots(reader, name)
        except _UNREADABLE as error:
            self._check.problem(None, f"SQLite cannot read what is derived: {error}")
        return self._check.report()

    def _check_snapshots(self, reader: Reader, name: str) -> None:
        for snapshot, checksum in reader.snapshots(name):
            if snapshot_checksum(snapshot) != checksum or snapshot.position > self._end:
                what = f"the snapshot {name!r} of position {snapshot.position} is not as written"
                self._check.problem(None, what)


@contextmanager
def _consistently(reader: Reader) -> Generator[None]:
    reader.connection.execute("BEGIN")
    try:
        yield
    finally:
        reader.connection.execute("ROLLBACK")
