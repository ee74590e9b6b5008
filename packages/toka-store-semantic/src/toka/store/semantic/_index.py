"""Meaning over a log: follows it, and answers what is like what.

Everything here is derived. The log is read and never written; the index can be deleted at any time
and is built again. It is found damaged, ahead of the log, of another log or of another model when
it is opened, and is then discarded.

Work that computes runs in a worker thread, one piece at a time.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
import attrs

from toka.store.core import EVERYTHING
from toka.store.semantic._catalog import DamagedCatalog
from toka.store.semantic._errors import IndexClosed, IndexFailed
from toka.store.semantic._grouping import cluster, near_duplicates
from toka.store.semantic._hashing import HashingEmbedder
from toka.store.semantic._projection import Projection
from toka.store.semantic._text import event_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from toka.store.core import EventStore, Query
    from toka.store.semantic._document import Document, Hit
    from toka.store.semantic._embedder import Embedder
    from toka.store.semantic._grouping import Clustering, Group
    from toka.store.semantic._projection import Mode
    from toka.store.semantic._text import TextExtractor
    from toka.store.semantic._vectors import Engine

T = TypeVar("T")

_PAGE = 256


@attrs.frozen
class IndexStats:
    """Figures of an index."""

    location: str
    model: str
    position: int
    """Up to where the log was followed."""
    documents: int
    engine: str
    """How vectors are searched now: `exact` or `graph`."""


class SemanticIndex:
    """An index of one store's events. Made by `open`."""

    def __init__(self, store: EventStore, projection: Projection) -> None:
        self._store = store
        self._projection = projection
        self._one = anyio.CapacityLimiter(1)
        self._following = anyio.Lock()
        self._closed = False

    @classmethod
    async def open(
        cls,
        store: EventStore,
        directory: str | Path | None = None,
        *,
        embedder: Embedder | None = None,
        extractor: TextExtractor = event_text,
        engine: Engine = "auto",
    ) -> Self:
        """Open the index of a store; it answers for what it has, until `catch_up`.

        Args:
            store: The log; must stay open as long as the index.
            directory: Where the index is kept; None keeps it in memory.
            embedder: Makes the vectors; `HashingEmbedder` by default.
            extractor: Says what of an event is searched; empty text leaves the event out.
            engine: How vectors are searched.

        Raises:
            IndexLocked: Someone else has the directory.
            IndexFailed: Input or output failed.
            EngineMissing: A graph is demanded and usearch is not installed.
            StoreError: The log cannot be read.
        """
        folder = None if directory is None else Path(directory)
        projection = await anyio.to_thread.run_sync(
            Projection, folder, embedder or HashingEmbedder(), extractor, engine
        )
        index = cls(store, projection)
        try:
            await index._check_log()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await index.aclose()
            raise
        return index

    async def _check_log(self) -> None:
        """Discard what is not of this log, or of a part of it that is there no more."""
        position = self._projection.mark.position
        page = await self._store.read_page(position - 1, 1) if position else []
        there = page[0].digest if page and page[0].position == position else None
        if not self._projection.belongs_to(there):
            why = f"the log has another event at position {position}, or none"
            await self._run(lambda: self._projection.discard(why))

    @property
    def stats(self) -> IndexStats:
        """Return figures of the index."""
        mark, vectors = self._projection.mark, self._projection.vectors
        return IndexStats(
            self._projection.location, mark.model, mark.position, mark.documents, vectors.engine
        )

    async def catch_up(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Follow the log to its present end, and return how many documents were added.

        What was done is kept, page by page, whether or not the work comes to its end.

        Args:
            progress: Called after each page with the position reached and the log's last.

        Raises:
            IndexFailed: Input or output of the index failed.
            IndexClosed: The index was closed.
            StoreError: The log cannot be read.
        """
        added = 0
        async with self._following:
            end = (await self._store.head()).position
            while (position := self._projection.mark.position) < end:
                page = await self._store.read_page(position, _PAGE)
                added += await self._run(partial(self._projection.follow, page))
                if progress is not None:
                    progress(self._projection.mark.position, end)
        return added

    async def follow(self) -> None:
        """Follow the log as it grows, until the store is closed or this is cancelled.

        Raises:
            IndexFailed: Input or output of the index failed.
            IndexClosed: The index was closed.
            StoreError: The log cannot be read.
        """
        async for event in self._store.subscribe(self._projection.mark.position):
            if event.position > self._projection.mark.position:
                await self.catch_up()

    async def search(
        self,
        text: str,
        *,
        limit: int = 10,
        where: Query = EVERYTHING,
        mode: Mode = "hybrid",
    ) -> list[Hit]:
        """Return the events that fit a text best; none that has nothing to do with it.

        Args:
            text: In words; there are no operators.
            limit: The most to return.
            where: Only events that this selects.
            mode: By meaning, by words, or by both.

        Raises:
            IndexFailed: Input or output failed, or the index was damaged meanwhile.
            IndexClosed: The index was closed.
        """
        return await self._run(lambda: self._projection.search(text, limit, where, mode))

    async def like(self, position: int, *, limit: int = 10, where: Query = EVERYTHING) -> list[Hit]:
        """Return the events that are most like one.

        Raises:
            NotIndexed: There is no document of the event.
            IndexFailed: Input or output failed, or the index was damaged meanwhile.
            IndexClosed: The index was closed.
        """
        return await self._run(lambda: self._projection.like(position, limit, where))

    async def documents(self, *positions: int) -> list[Document]:
        """Return documents by position; those that are not there are left out.

        Raises:
            IndexFailed: Input or output failed, or the index was damaged meanwhile.
            IndexClosed: The index was closed.
        """
        found = await self._run(lambda: self._projection.documents(positions))
        return [found[each] for each in positions if each in found]

    async def clusters(
        self, *, where: Query = EVERYTHING, least: int = 5, limit: int = 10_000
    ) -> Clustering:
        """Group events by density; see `cluster`.

        Args:
            where: Only events that this selects.
            least: Of how many events a cluster's core consists.
            limit: The most events, for every pair of them is compared.

        Raises:
            TooMany: More events are selected.
            IndexFailed: Input or output failed, or the index was damaged meanwhile.
            IndexClosed: The index was closed.
        """

        def work() -> Clustering:
            positions = self._projection.select(where)
            return cluster(positions, self._projection.vectors.get, least=least, limit=limit)

        return await self._run(work)

    async def near_duplicates(
        self, *, where: Query = EVERYTHING, similarity: float = 0.95, limit: int = 10_000
    ) -> list[Group]:
        """Group events that say nearly the same; see `near_duplicates`.

        Args:
            where: Only events that this selects.
            similarity: The cosine from which on two events belong together.
            limit: The most events, for every pair of them is compared.

        Raises:
            TooMany: More events are selected.
            IndexFailed: Input or output failed, or the index was damaged meanwhile.
            IndexClosed: The index was closed.
        """

        def work() -> list[Group]:
            positions = self._projection.select(where)
            vectors = self._projection.vectors.get
            return near_duplicates(positions, vectors, similarity=similarity, limit=limit)

        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise IndexClosed(self._projection.location)
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._one)
        except DamagedCatalog as damage:
            raise IndexFailed(self._projection.location, str(damage)) from damage

    async def aclose(self) -> None:
        """Save and close the index; the store stays open. Closing again does nothing.

        Raises:
            IndexFailed: Input or output failed; what is missing is computed again.
        """
        if not self._closed:
            self._closed = True
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._projection.close, limiter=self._one)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
