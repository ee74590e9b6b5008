"""The index without threads and without the log: catalogue, vectors and embedder together."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from toka.store.core import ORIGIN
from toka.store.semantic import _lock
from toka.store.semantic._catalog import Catalog, DamagedCatalog
from toka.store.semantic._document import Document, Hit, snippet
from toka.store.semantic._errors import IndexFailed, NotIndexed
from toka.store.semantic._fusion import fuse
from toka.store.semantic._vectors import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from toka.store.core import Event, Query
    from toka.store.semantic._catalog import Mark
    from toka.store.semantic._embedder import Embedder, Vectors
    from toka.store.semantic._exact import Positions
    from toka.store.semantic._text import TextExtractor
    from toka.store.semantic._vectors import Engine

Mode: TypeAlias = Literal["hybrid", "meaning", "words"]
"""How to search: by vectors, by words, or by both with their rankings fused."""

_DEPTH: Final = 5
"""How much deeper than its answer a hybrid search looks, so that rankings can meet."""
_FILES: Final = ("catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.seal", "graph")

_logger: Final = logging.getLogger(__name__)


class Projection:
    """What is derived from a log. Used by one thread at a time."""

    def __init__(
        self, folder: Path | None, embedder: Embedder, extractor: TextExtractor, engine: Engine
    ) -> None:
        """Open what is there, or begin anew where it is missing, damaged or of another model.

        Raises:
            IndexLocked: Someone else has the folder.
            IndexFailed: Input or output failed.
            EngineMissing: A graph is demanded and usearch is not installed.
        """
        self.folder: Final = folder
        self.location: Final = str(folder or "in memory")
        self._embedder: Final = embedder
        self._extractor: Final = extractor
        self._engine: Final[Engine] = engine
        self._held = -1 if folder is None else self._take(folder)
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    def _take(self, folder: Path) -> int:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return _lock.take(folder)
        except OSError as error:
            raise IndexFailed(self.location, error.strerror or str(error)) from error

    def _release(self) -> None:
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)

    def _open(self) -> None:
        try:
            self._load()
        except DamagedCatalog as damage:
            self._begin_anew(str(damage))

    def _load(self) -> None:
        self._catalog = Catalog(self.folder, _model(self._embedder, self._extractor))
        try:
            self.mark: Mark = self._catalog.mark
            self.vectors = self._restored()
        except OSError as error:
            self._catalog.abandon()
            raise IndexFailed(self.location, error.strerror or str(error)) from error
        except BaseException:
            self._catalog.abandon()
            raise

    def _restored(self) -> VectorIndex:
        path = None if self.folder is None else self.folder / "graph"
        vectors = VectorIndex(self._embedder.dimensions, engine=self._engine, path=path)
        known = vectors.restore(self.mark.documents, self.mark.position)
        vectors.extend(self._catalog.vectors(after=known))
        if len(vectors) != self.mark.documents:
            raise DamagedCatalog("the graph has other documents")
        return vectors

    def belongs_to(self, digest: bytes | None) -> bool:
        """Say whether the log's event at the mark has this digest; None if there is none."""
        return self.mark.digest == (ORIGIN if self.mark.position == 0 else digest)

    def discard(self, why: str) -> None:
        """Throw everything away and begin anew.

        Raises:
            IndexFailed: Input or output failed.
        """
        self._catalog.abandon()
        self._begin_anew(why)

    def _begin_anew(self, why: str) -> None:
        _logger.warning("The index %s is discarded and built again: %s", self.location, why)
        try:
            for name in _FILES if self.folder is not None else ():
                (self.folder / name).unlink(missing_ok=True)  # type: ignore[operator]  # not None
        except OSError as error:
            raise IndexFailed(self.location, error.strerror or str(error)) from error
        self._load()

    def follow(self, events: Sequence[Event]) -> int:
        """Take the next events of the log in, and return how many of them have text.

        Raises:
            IndexFailed: Input or output failed; nothing was taken in.
        """
        documents = [Document.of(event, text) for event in events if (text := self._text(event))]
        vectors = self.embed([each.text for each in documents])
        self._catalog.add(documents, vectors, events[-1].position, events[-1].digest)
        self.mark = self._catalog.mark
        positions = np.fromiter((each.position for each in documents), np.int64, len(documents))
        self.vectors.add(positions, vectors)
        if self.vectors.is_to_save():
            self._save()
        return len(documents)

    def _text(self, event: Event) -> str:
        return self._extractor(event).strip()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors, in the precision in which the index keeps them."""
        vectors = self._embedder.embed(texts) if texts else np.empty((0, self._embedder.dimensions))
        return vectors.astype(np.float16).astype(np.float32)

    def select(self, where: Query) -> Positions:
        """Return the rising positions of what a query selects."""
        found = self._catalog.matching(where)
        return self.vectors.positions if found is None else found

    def documents(self, positions: Sequence[int]) -> dict[int, Document]:
        """Return documents by position; those that are not there are left out."""
        return self._catalog.documents(positions)

    def search(self, text: str, limit: int, where: Query, mode: Mode) -> list[Hit]:
        """Return what fits a text best."""
        similar = self._by_meaning(text, limit, where) if mode != "words" else {}
        worded = self._catalog.with_words(text, where, _DEPTH * limit) if mode != "meaning" else []
        rankings = {
            "hybrid": [list(similar), worded],
            "meaning": [list(similar)],
            "words": [worded],
        }
        return self._hits(fuse(rankings[mode], limit), similar, text)

    def _by_meaning(self, text: str, limit: int, where: Query) -> dict[int, float]:
        (vector,) = self.embed([text])
        among = self._catalog.matching(where)
        near = self.vectors.search(vector, _DEPTH * limit, among)
        pairs = zip(near.positions.tolist(), near.similarities.tolist(), strict=True)
        return {at: similarity for at, similarity in pairs if similarity > self._embedder.unrelated}

    def like(self, position: int, limit: int, where: Query) -> list[Hit]:
        """Return what is most like a document, without itself.

        Raises:
            NotIndexed: There is no such document.
        """
        if not self.vectors.has(position):
            raise NotIndexed(position)
        (vector,) = self.vectors.get(np.array([position]))
        near = self.vectors.search(vector, limit + 1, self._catalog.matching(where))
        pairs = zip(near.positions.tolist(), near.similarities.tolist(), strict=True)
        similar = {at: similarity for at, similarity in pairs if at != position}
        text = self.documents([position])[position].text
        ranking = [(at, max(0.0, similarity)) for at, similarity in similar.items()]
        return self._hits(ranking[:limit], similar, text)

    def _hits(
        self, ranking: list[tuple[int, float]], similar: dict[int, float], text: str
    ) -> list[Hit]:
        documents = self.documents([at for at, _ in ranking])
        return [
            Hit(documents[at], score, similar.get(at), snippet(documents[at].text, text))
            for at, score in ranking
        ]

    def _save(self) -> None:
        try:
            self.vectors.save(self.mark.position)
        except OSError as error:
            raise IndexFailed(self.location, error.strerror or str(error)) from error

    def close(self) -> None:
        """Save what is not saved and close the files.

        Raises:
            IndexFailed: Input or output failed; what is missing is computed again.
        """
        try:
            try:
                self._save()
            finally:
                self._catalog.close()
        except DamagedCatalog as damage:
            raise IndexFailed(self.location, str(damage)) from damage
        finally:
            self._release()


def _model(embedder: Embedder, extractor: Callable[..., object]) -> str:
    name = getattr(extractor, "__qualname__", type(extractor).__qualname__)
    return f"{embedder.name} of {extractor.__module__}.{name}"
