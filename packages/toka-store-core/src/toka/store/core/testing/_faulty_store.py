"""A store whose disk fails when it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.store.core._errors import StoreFailed
from toka.store.core._query import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from toka.store.core._event import Event, Head, NewEvent, Receipt
    from toka.store.core._expected import Expected
    from toka.store.core._protocol import Capabilities, Compaction, EventStore, StoreStats
    from toka.store.core._query import Absent, Query
    from toka.store.core._snapshot import Snapshot
    from toka.store.core._verify import VerifyReport
    from toka.types import EventId


class FaultyStore:
    """An `EventStore` whose disk fails when it is told to.

    From the failing append on, every append and snapshot fails, as in a store that must be opened
    again; `heal` stands for that. Reading goes on.
    """

    def __init__(
        self, store: EventStore, fail_at: int | None = None, *, after_storing: bool = False
    ) -> None:
        """Wrap a store.

        Args:
            store: Does the work, and is closed with this.
            fail_at: The number of the first append to fail, counted from 1; or none.
            after_storing: Store the failing append and lose only the answer, as when the process
                dies between the two.
        """
        self._store = store
        self._fail_at = fail_at
        self._after_storing = after_storing
        self.appends = 0
        """Appends that were asked for."""

    def fail_next(self, *, after_storing: bool = False) -> None:
        """Let the next append fail, and all after it."""
        self._fail_at = self.appends + 1
        self._after_storing = after_storing

    def heal(self) -> None:
        """Let appends succeed again."""
        self._fail_at = None

    @property
    def _failing(self) -> bool:
        return self._fail_at is not None and self.appends >= self._fail_at

    def _failure(self) -> StoreFailed:
        return StoreFailed(
            f"Writing to {self.location} failed: no space is left.",
            hint="Free space on the disk, then open the store again.",
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    @property
    def location(self) -> str:
        return self._store.location

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        self.appends += 1
        expected = streams or {}
        if not self._failing:
            return await self._store.append(events, streams=expected, head=head, absent=absent)
        if self._after_storing and self.appends == self._fail_at:
            await self._store.append(events, streams=expected, head=head, absent=absent)
        raise self._failure()

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        if self._failing:
            raise self._failure()
        await self._store.save_snapshot(snapshot)

    async def compact(self, snapshot: str) -> Compaction:
        if self._failing:
            raise self._failure()
        return await self._store.compact(snapshot)

    def read(
        self,
        after: int = 0,
        *,
        limit: int | None = None,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        return self._store.read(after, limit=limit, where=where, backward=backward)

    async def read_page(
        self,
        after: int,
        limit: int,
        *,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> list[Event]:
        return await self._store.read_page(after, limit, where=where, backward=backward)

    def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        return self._store.read_stream(
            stream, after_version=after_version, limit=limit, backward=backward
        )

    async def get(self, event_id: EventId) -> Event | None:
        return await self._store.get(event_id)

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        return await self._store.ancestors(event_id, limit=limit)

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        return await self._store.descendants(event_id, limit=limit)

    async def head(self) -> Head:
        return await self._store.head()

    async def stream_version(self, stream: str) -> int:
        return await self._store.stream_version(stream)

    def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        return self._store.subscribe(after)

    async def load_snapshot(self, name: str) -> Snapshot | None:
        return await self._store.load_snapshot(name)

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        return await self._store.verify(progress)

    async def backup(self, path: str | Path) -> Head:
        return await self._store.backup(path)

    async def stats(self) -> StoreStats:
        return await self._store.stats()

    async def aclose(self) -> None:
        await self._store.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


if TYPE_CHECKING:
    _implements: type[EventStore] = FaultyStore
