"""A store on an engine of this machine whose calls block: one thread writes, another reads."""

from __future__ import annotations

import asyncio
import os
from abc import abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from toka.store.core._errors import ReadOnlyStore, StoreFailed
from toka.store.core._identifier import pack_id
from toka.store.core._protocol import Capabilities
from toka.store.core._query import EVERYTHING
from toka.store.core.backend._items import Context
from toka.store.core.backend._news import News
from toka.store.core.backend._paged_store import PagedStore
from toka.store.core.backend._pending import NO_EXPECTATIONS
from toka.store.core.backend._readings import Readings
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from toka.store.core._errors import StoreError
    from toka.store.core._event import Event, Head, NewEvent, Receipt
    from toka.store.core._expected import Expected
    from toka.store.core._query import Absent, Query
    from toka.store.core._snapshot import Snapshot
    from toka.store.core.backend._readings import Source
    from toka.store.core.backend._writings import Writings
    from toka.types import Clock, EventId

T = TypeVar("T")

_POLL: Final = NANOSECONDS // 20


class StoreReader(Protocol):
    """The questions that a store answers, each from what is committed; for one thread."""

    def head(self) -> Head:
        """Return where the log ends."""
        ...

    def page(
        self, after: int, limit: int, where: Query, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return the events beyond a position that a query selects, as `PagedStore` says."""
        ...

    def stream(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return the events of a stream beyond a version."""
        ...

    def version(self, stream: str) -> int:
        """Return the version of a stream's last event, or 0."""
        ...

    def get(self, identifier: bytes) -> Event | None:
        """Return the event of a packed identifier, or None."""
        ...

    def related(
        self, event_id: EventId, identifier: bytes, limit: int | None, *, causes: bool
    ) -> list[Event]:
        """Return the causes of an event, or its effects, nearest in the log first."""
        ...

    def snapshot(self, name: str) -> Snapshot | None:
        """Return the newest sound snapshot of a name."""
        ...


R = TypeVar("R", bound=StoreReader)


class ThreadedStore(PagedStore, Generic[R, Context]):
    """All of an `EventStore` on asyncio but opening, compaction, verification, backup and stats."""

    _readings: Readings[R]
    """Set and started by whoever opens the store."""

    def __init__(self, clock: Clock) -> None:
        """Prepare a store.

        Args:
            clock: For looking for news beside another process.
        """
        super().__init__()
        self._clock = clock
        self._writings: Writings[Context] | None = None
        self._aside: set[Readings[R]] = set()
        self._news = News()

    @abstractmethod
    def _failure(self, doing: str, error: Exception) -> StoreError | None:
        """Return the error to raise for one of the engine's; None if it is none of the engine's."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what the store can do."""
        return Capabilities(durable=True, backup=True, compaction=True, shared_payloads=True)

    # ---- writing

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = NO_EXPECTATIONS,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        """Append events, as `EventStore.append` says."""
        return await self._writable().append(events, streams, head, absent)

    def _writable(self) -> Writings[Context]:
        writings = self._writings
        if writings is None or self._closed or os.getpid() != self._pid:
            self._check_open()
            raise ReadOnlyStore(self.location)
        return writings

    # ---- reading

    async def _page(
        self, after: int, limit: int, where: Query, *, backward: bool, budget: int
    ) -> list[Event]:
        return await self._ask(
            lambda reader: reader.page(after, limit, where, backward=backward, budget=budget)
        )

    async def _stream_page(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int
    ) -> list[Event]:
        return await self._ask(
            lambda reader: reader.stream(stream, after, limit, backward=backward, budget=budget)
        )

    async def get(self, event_id: EventId) -> Event | None:
        """Return an event, or None."""
        identifier = pack_id(event_id)
        return await self._ask(lambda reader: reader.get(identifier))

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        """Return the causes of an event, as `EventStore.ancestors` says."""
        return await self._related(event_id, limit, causes=True)

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        """Return the effects of an event, as `EventStore.descendants` says."""
        return await self._related(event_id, limit, causes=False)

    async def _related(self, event_id: EventId, limit: int | None, *, causes: bool) -> list[Event]:
        identifier = pack_id(event_id)
        return await self._ask(
            lambda reader: reader.related(event_id, identifier, limit, causes=causes)
        )

    async def head(self) -> Head:
        """Return where the log ends."""
        if self._writings is None:
            return await self._ask(lambda reader: reader.head())
        self._check_open()
        return self._writings.pending.head

    async def stream_version(self, stream: str) -> int:
        """Return the version of a stream's last event, or 0."""
        return await self._ask(lambda reader: reader.version(stream))

    async def load_snapshot(self, name: str) -> Snapshot | None:
        """Return the newest sound snapshot of a name, or None."""
        return await self._ask(lambda reader: reader.snapshot(name))

    async def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield all events after a position, and then those to come until the store is closed."""
        while not self._closed:
            if self._writings is not None and after >= self._writings.pending.head.position:
                await self._news.wait()
                continue
            page = await self._page(
                after, self.page_events, EVERYTHING, backward=False, budget=self.page_bytes
            )
            for event in page:
                yield event
                after = event.position
            if not page and not self._closed:
                await self._clock.sleep(_POLL)

    async def _ask(self, ask: Callable[[R], T]) -> T:
        self._check_open()
        return await self._readings.ask(ask)

    @asynccontextmanager
    async def _reading(
        self, purpose: str, open_source: Callable[[], Source[R]]
    ) -> AsyncGenerator[Readings[R], None]:
        """Lend a reading thread for one long piece of work, so that others need not wait for it.

        Closing the store ends it: the next question raises `StoreClosed`.
        """
        self._check_open()
        readings = Readings(purpose, self.location, open_source, self._failure)
        # Known before it starts, so that the engine is not closed while the thread opens its view.
        self._aside.add(readings)
        try:
            async with readings:
                yield readings
        finally:
            self._aside.discard(readings)

    # ---- the end

    async def aclose(self) -> None:
        """Close the store; doing so again does nothing.

        Raises:
            StoreFailed: The engine failed; what was acknowledged is on disk.
        """
        if self._closed:
            return
        self._closed = True
        self._news.wake()
        try:
            for aside in tuple(self._aside):
                await aside.close()
            await self._readings.close()
            if self._writings is not None:
                await self._writings.close()
        except Exception as error:
            known = self._failure("Closing", error)
            if known is None:
                raise
            raise known from error


def need_asyncio(kind: str) -> None:
    """Refuse where no asyncio event loop is running.

    Args:
        kind: Of store, with its article.

    Raises:
        StoreFailed: There is none.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        raise StoreFailed(
            f"{kind} store needs asyncio's event loop, and none is running.",
            code="store.needs_asyncio",
            hint="Run it under asyncio; the memory store works under trio too.",
        ) from error
