"""The index on disk: one SQLite file with documents, their vectors, and their words (FTS5).

A batch of documents and the log position that it reaches are one transaction, so the process may
die at any moment and goes on where the last batch ended. Each row carries a checksum, because
SQLite does not notice a changed byte in a value.

When the catalogue is closed, its whole file is sealed with a digest (`catalog.seal`). A file that
fits its seal is believed at once; the seal is taken away before the first change, so one that was
not closed has none, and every row of it is checked.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs
import msgspec
import numpy as np
from blake3 import blake3

from toka.store.core import EVERYTHING, ORIGIN
from toka.store.semantic._document import Document
from toka.store.semantic._errors import IndexFailed
from toka.store.semantic._schema import condition, is_ours, prepare
from toka.store.semantic._sealed import Sealed, seal, unseal
from toka.store.semantic._words import question_words
from toka.types import EventId

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from toka.store.core import Query
    from toka.store.semantic._embedder import Vectors
    from toka.store.semantic._exact import Positions

_CHECKSUM: Final = 16
_PAGE: Final = 1_000
_COLUMNS: Final = "position, id, stream, kind, time, intent, actor, tags, text"
_INSERT: Final = f"""INSERT INTO document ({_COLUMNS}, vector, checksum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""  # noqa: S608 - names of columns
_encode: Final = msgspec.msgpack.Encoder().encode

_Row = tuple[int, str, str, str, int, str, str, str, str, bytes, bytes]


class DamagedCatalog(Exception):
    """The file is not what was written; it is discarded by whoever opens it."""


@attrs.frozen
class Mark:
    """How far the catalogue has followed the log."""

    model: str
    """The embedder and the extractor that made it."""
    position: int
    digest: bytes = attrs.field(repr=bytes.hex)
    """Of the event there: the catalogue belongs to the log that has this event there."""
    documents: int


class Catalog:
    """An open catalogue; used by one thread at a time."""

    def __init__(self, folder: Path | None, model: str) -> None:
        """Open the catalogue of a folder, or make it.

        Args:
            folder: None for a catalogue in memory.
            model: What makes the vectors; a catalogue of another model counts as damaged.

        Raises:
            DamagedCatalog: It is to be discarded.
            IndexFailed: Input or output failed.
        """
        self._folder = folder
        self.location: Final = str(folder or "in memory")
        self._sealed = folder is not None and self._fits_seal(folder)
        path = ":memory:" if folder is None else folder / "catalog.db"
        with self._failures():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._failures():
                prepare(self._connection)
                self._check(model)
        except BaseException:
            self._connection.close()
            raise

    def _fits_seal(self, folder: Path) -> bool:
        with self._failures():
            sealed, path = unseal(folder / "catalog.seal"), folder / "catalog.db"
            return sealed is not None and path.exists() and sealed.data == _digest_of(path)

    def _check(self, model: str) -> None:
        if not is_ours(self._connection):
            raise DamagedCatalog("it has another version")
        self._connection.execute(
            "INSERT OR IGNORE INTO mark VALUES (1, ?, 0, ?, 0)", (model, ORIGIN)
        )
        if self.mark.model != model:
            raise DamagedCatalog(f"it was made with {self.mark.model}")
        if not self._sealed:
            self._check_rows()

    def _check_rows(self) -> None:
        (answer,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise DamagedCatalog(str(answer))
        self._connection.execute("INSERT INTO word (word, rank) VALUES ('integrity-check', 1)")
        if sum(len(positions) for positions, _ in self.vectors()) != self.mark.documents:
            raise DamagedCatalog("documents are missing")

    @property
    def mark(self) -> Mark:
        """Return how far the log was followed."""
        with self._failures():
            row = self._connection.execute(
                "SELECT model, position, digest, documents FROM mark"
            ).fetchone()
        return Mark(*row)

    def add(
        self, documents: Sequence[Document], vectors: Vectors, position: int, digest: bytes
    ) -> None:
        """Add documents and move the mark, both or neither.

        Args:
            documents: By rising position, above the mark.
            vectors: One row for each.
            position: Up to where the log is followed now.
            digest: Of the event there.

        Raises:
            IndexFailed: Input or output failed; nothing was added.
        """
        halves = vectors.astype(np.float16)
        rows = [_row(each, half.tobytes()) for each, half in zip(documents, halves, strict=True)]
        words = [(each.position, each.text) for each in documents]
        with self._failures():
            self._unseal()
            with self._transaction():
                self._connection.executemany(_INSERT, rows)
                self._connection.executemany("INSERT INTO word (rowid, text) VALUES (?, ?)", words)
                self._connection.execute(
                    "UPDATE mark SET position = ?, digest = ?, documents = documents + ?",
                    (position, digest, len(rows)),
                )

    def _unseal(self) -> None:
        if self._folder is not None and self._sealed:
            (self._folder / "catalog.seal").unlink()
        self._sealed = False

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def vectors(self, after: int = 0) -> Iterator[tuple[Positions, Vectors]]:
        """Yield positions and vectors of the documents after a position, in pages.

        Raises:
            DamagedCatalog: A row is not what was written.
        """
        while rows := self._rows("WHERE position > ? ORDER BY position LIMIT ?", [after, _PAGE]):
            halves = np.frombuffer(b"".join(row[9] for row in rows), np.float16)
            after = rows[-1][0]
            positions = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            yield positions, halves.reshape(len(rows), -1).astype(np.float32)

    def documents(self, positions: Sequence[int]) -> dict[int, Document]:
        """Return documents by position; those that are not there are left out.

        Raises:
            DamagedCatalog: A row is not what was written.
        """
        found: dict[int, Document] = {}
        for begin in range(0, len(positions), _PAGE):
            page = list(positions[begin : begin + _PAGE])
            marks = ", ".join("?" * len(page))
            for row in self._rows(f"WHERE position IN ({marks})", page):
                found[row[0]] = _document(row)
        return found

    def matching(self, where: Query) -> Positions | None:
        """Return the rising positions of what a query selects; None for all there is."""
        if where == EVERYTHING:
            return None
        text, values = condition(where)
        sql = f"SELECT position FROM document WHERE {text} ORDER BY position"  # noqa: S608 - no data
        with self._failures():
            rows: list[tuple[int]] = self._connection.execute(sql, values).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def with_words(self, text: str, where: Query, limit: int) -> list[int]:
        """Return the positions of texts with any of the words, best first by BM25."""
        words = question_words(text)
        if not words:
            return []
        demand, values = condition(where)
        sql = f"""SELECT word.rowid FROM word JOIN document ON document.position = word.rowid
            WHERE word MATCH ? {f"AND {demand}" if demand else ""}
            ORDER BY bm25(word), word.rowid LIMIT ?"""  # noqa: S608 - values are parameters
        # Quoted, so that no word is an operator of FTS5; no word has a quotation mark.
        match = " OR ".join(f'"{word}"' for word in words)
        with self._failures():
            return [row[0] for row in self._connection.execute(sql, [match, *values, limit])]

    def _rows(self, clause: str, values: list[int]) -> list[_Row]:
        sql = f"SELECT {_COLUMNS}, vector, checksum FROM document {clause}"  # noqa: S608 - no data
        with self._failures():
            rows: list[_Row] = self._connection.execute(sql, values).fetchall()
        for row in rows:
            if _checksum(row[:-1]) != row[-1]:
                raise DamagedCatalog(f"the document of position {row[0]} is not what was written")
        return rows

    def close(self) -> None:
        """Close the file and seal it."""
        with self._failures():
            try:
                position = self.mark.position
            finally:
                self._connection.close()
            if self._folder is not None and not self._sealed:
                digest = _digest_of(self._folder / "catalog.db")
                seal(self._folder / "catalog.seal", Sealed(position, digest))

    def abandon(self) -> None:
        """Close the file without a seal: it is to be discarded."""
        self._connection.close()

    @contextmanager
    def _failures(self) -> Generator[None]:
        """Tell damage from failure."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            # An error without a code is of text that is not UTF-8.
            code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
            if code & 0xFF in _DAMAGE:
                raise DamagedCatalog(str(error)) from error
            raise IndexFailed(self.location, str(error)) from error
        except OSError as error:
            raise IndexFailed(self.location, error.strerror or str(error)) from error


_DAMAGE: Final = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    # Of statements whose text is fixed: a table or a column is not there any more.
    sqlite3.SQLITE_ERROR,
}


def _row(document: Document, vector: bytes) -> _Row:
    tags = msgspec.json.encode(document.tags).decode()
    row = (
        document.position,
        document.id,
        document.stream,
        document.kind,
        document.time,
        document.intent,
        document.actor,
        tags,
        document.text,
        vector,
    )
    return (*row, _checksum(row))


def _document(row: _Row) -> Document:
    position, event_id, stream, kind, time, intent, actor, tags, text, _, _ = row
    labels = msgspec.json.decode(tags, type=tuple[str, ...])
    return Document(position, EventId(event_id), stream, kind, time, intent, actor, labels, text)


def _checksum(values: tuple[object, ...]) -> bytes:
    return blake3(_encode(values)).digest(_CHECKSUM)


def _digest_of(path: Path) -> bytes:
    return blake3(max_threads=blake3.AUTO).update_mmap(path).digest()
