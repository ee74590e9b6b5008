"""Where a reading thread reads: a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from toka.store.sqlite._files import Files, connect_to_read
from toka.store.sqlite._reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class ReadingConnection:
    """A connection for reading, kept fresh; belongs to one thread.

    A connection that takes its file to be immutable sees no change, and must not go on when there
    is one. So what tells of changes is looked at before an answer is worked out and again after it.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._open()

    def _open(self) -> None:
        self._seen = self._state()
        self._connection, self._immutable = connect_to_read(self._files)
        self._reader = Reader(self._connection, self._files.location)

    def _state(self) -> tuple[int, int, int, int]:
        database = self._files.database.stat()
        try:
            wal = self._files.wal.stat().st_size
        except FileNotFoundError:
            wal = 0
        return database.st_ino, database.st_size, database.st_mtime_ns, wal

    def answer(self, ask: Callable[[Reader], T]) -> T:
        """Ask the reader; raises what `ask` raises."""
        while True:
            if self._immutable and self._seen != self._state():
                self._connection.close()
                self._open()
            try:
                result = ask(self._reader)
            except Exception:
                if self._immutable and self._seen != self._state():
                    continue  # the file changed under the question
                raise
            if not self._immutable or self._seen == self._state():
                return result

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
