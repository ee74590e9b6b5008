"""Notes in a SQLite file, which several processes may share."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from toka.tools._errors import NotesError
from toka.tools.notes._notes import MAX_NOTES, Note, full

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Sequence

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notes (
    name TEXT PRIMARY KEY, text TEXT NOT NULL, stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""
_STORE: Final = """
INSERT INTO notes (name, text, stored_at) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET text = excluded.text, stored_at = excluded.stored_at
"""
_BUSY_SECONDS: Final = 5.0


@attrs.frozen
class FileNotes:
    """Keeps notes in a file, which is made at the first use, with its directory.

    Each operation opens the file, is one transaction, and is on disk when it returns.
    """

    path: Path = attrs.field(converter=Path)
    most: int = MAX_NOTES

    async def store(self, note: Note) -> bool:
        """Keep a note in place of the one of its name; return whether there was none.

        Raises:
            NotesError: There is no room, or it cannot be written.
        """

        def store(connection: sqlite3.Connection) -> bool:
            known = "SELECT count(*), max(name = ?) FROM notes"
            count, there = connection.execute(known, (note.name,)).fetchone()
            if not there and count >= self.most:
                raise full(self.most)
            connection.execute(_STORE, (note.name, note.text, note.stored_at))
            return not there

        return await self._in_thread(store)

    async def forget(self, name: str) -> bool:
        """Remove a note; return whether there was one.

        Raises:
            NotesError: It cannot be written.
        """

        def forget(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM notes WHERE name = ?", (name,)).rowcount > 0

        return await self._in_thread(forget)

    async def recall(self, name: str) -> Note | None:
        """Return the note of a name, if there is one.

        Raises:
            NotesError: It cannot be read.
        """

        def recall(connection: sqlite3.Connection) -> Note | None:
            query = "SELECT name, text, stored_at FROM notes WHERE name = ?"
            row = connection.execute(query, (name,)).fetchone()
            return None if row is None else Note(*row)

        return await self._in_thread(recall)

    async def below(self, name: str) -> Sequence[str]:
        """Return the sorted names of the notes below a name, or of all if it is empty.

        Raises:
            NotesError: They cannot be read.
        """

        def below(connection: sqlite3.Connection) -> list[str]:
            # "0" comes after "/", so this is the range of what begins with `name/`.
            query = "SELECT name FROM notes WHERE ? OR (name > ? AND name < ?) ORDER BY name"
            rows = connection.execute(query, (not name, f"{name}/", f"{name}0"))
            return [row[0] for row in rows]

        return await self._in_thread(below)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(self._transact, work)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(_SCHEMA)
                result = work(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return result

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        import sqlite3  # noqa: PLC0415 - 5 ms at import

        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            with closing(connection):
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise NotesError(f"The notes in {self.path} cannot be used: {error}.") from error
