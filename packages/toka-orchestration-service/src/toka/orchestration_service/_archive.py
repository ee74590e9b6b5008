"""Runs that have ended, on disk: what the service shows of them when memory has them no more.

It is made from the log and can be thrown away. Beside its rows stands a position: all runs that
ended before it are in the rows, or are told of again by what follows it. So the next start reads
the log from there on; if the log is another one than it was, everything is read again.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.orchestration import RunView
from toka.orchestration_service._shapes import Run
from toka.orchestration_service._totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

logger = logging.getLogger(__name__)

_FORMAT: Final = 2
_TABLES: Final = (
    (
        "CREATE TABLE run (run TEXT PRIMARY KEY, position INTEGER NOT NULL, state TEXT NOT NULL,"
        " name TEXT NOT NULL, shown BLOB NOT NULL, view BLOB NOT NULL) STRICT, WITHOUT ROWID"
    ),
    (
        "CREATE TABLE mark (position INTEGER NOT NULL, digest BLOB NOT NULL, totals BLOB NOT NULL)"
        " STRICT"
    ),
    f"PRAGMA user_version = {_FORMAT}",
)


@attrs.frozen
class Kept:
    """What an archive says of itself."""

    totals: Totals
    position: int
    digest: bytes
    newest: str


class Archive:
    """A file of ended runs. Its methods block; for one thread at a time.

    Attributes:
        totals: Sums over the runs in it.
        position: Where to go on reading the log.
        digest: Of the event there.
        newest: The newest run in it; empty if there is none.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make one; one that cannot be used is made anew.

        Raises:
            sqlite3.Error: It can be neither used nor made.
        """
        self._path = path
        self.totals = Totals()
        self.position = 0
        self.digest = b""
        self.newest = ""
        try:
            self._database = self._open()
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            logger.warning("%s is made anew: %s", path, error)
            self._remove()
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            # It can be made again from the log: a power cut may cost it.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")
            (made,) = database.execute("PRAGMA user_version").fetchone()
            if made != _FORMAT:
                self._make(database, made)
            row = database.execute("SELECT position, digest, totals FROM mark").fetchone()
            if row is not None:
                self.totals = msgspec.json.decode(row[2], type=Totals)
                self.position, self.digest = row[0], row[1]
            self.newest = database.execute("SELECT max(run) FROM run").fetchone()[0] or ""
        except BaseException:
            database.close()
            raise
        return database

    def _make(self, database: sqlite3.Connection, made: int) -> None:
        if made:
            raise sqlite3.DatabaseError(f"it has format {made}, not {_FORMAT}")
        for statement in _TABLES:
            database.execute(statement)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything: it is of another log."""
        self._database.close()
        self._remove()
        self.totals, self.position, self.digest, self.newest = Totals(), 0, b"", ""
        self._database = self._open()

    def behind(self) -> frozenset[str]:
        """Return the runs in it that events after its position tell of."""
        rows = self._database.execute("SELECT run FROM run WHERE position > ?", (self.position,))
        return frozenset(row[0] for row in rows)

    def keep(self, views: Iterable[tuple[RunView, Run]], position: int, digest: bytes) -> Kept:
        """Take runs that have ended, in one transaction with the new position.

        What the archive says of itself stays as it was until `settle` is told of the result, so
        that it can change together with what memory holds.

        Args:
            views: Each run, and how it is shown in lists.
            position: All that follows it is read again at the next start.
            digest: Of the event there.

        Raises:
            sqlite3.Error: They could not be written; nothing has changed.
        """
        totals = self.totals.copy()
        rows: list[tuple[object, ...]] = []
        for view, shown in views:
            totals.add(view)
            names = (view.run, view.position, shown.state, view.name.casefold())
            rows.append((*names, msgspec.json.encode(shown), msgspec.json.encode(view)))
        mark = (position, digest, msgspec.json.encode(totals))
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._database.execute("DELETE FROM mark")
            self._database.execute("INSERT INTO mark VALUES (?, ?, ?)", mark)
        newest = max([self.newest, *(str(row[0]) for row in rows)])
        return Kept(totals, position, digest, newest)

    def settle(self, kept: Kept) -> None:
        """Say from now on what `keep` has made true."""
        self.totals, self.newest = kept.totals, kept.newest
        self.position, self.digest = kept.position, kept.digest

    def find(self, run: str) -> RunView | None:
        """Return a run, or None.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        rows = self._database.execute("SELECT view FROM run WHERE run = ?", (run,))
        row = rows.fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=RunView)

    def page(
        self, after: str, limit: int, states: Sequence[str], text: str, *, newest_first: bool
    ) -> list[Run]:
        """Return runs as they are shown in lists.

        Args:
            after: Begin behind this run; at the beginning if empty.
            limit: The most to return.
            states: Those that are wanted; all if empty.
            text: What the name or the identifier holds, in lower case.
            newest_first: In which order.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        wanted = ["TRUE"]
        values: list[object] = []
        if after:
            wanted.append("run < ?" if newest_first else "run > ?")
            values.append(after)
        if states:
            wanted.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        if text:
            wanted.append("(instr(name, ?) OR instr(lower(run), ?))")
            values += [text, text]
        order = "DESC" if newest_first else "ASC"
        query = f"SELECT shown FROM run WHERE {' AND '.join(wanted)} ORDER BY run {order} LIMIT ?"  # noqa: S608 - made of the texts above
        rows = self._database.execute(query, (*values, limit))
        return [msgspec.json.decode(row[0], type=Run) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
