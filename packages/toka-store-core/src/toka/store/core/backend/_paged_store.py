"""What every store does in the same way, once it can give one page of events."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from toka.store.core._errors import StoreClosed, StoreFailed
from toka.store.core._query import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType
    from typing import Self

    from toka.store.core._event import Event
    from toka.store.core._query import Query

NO_BUDGET: Final = sys.maxsize
"""Of a page that is as long as it was asked to be."""


class PagedStore(ABC):
    """The reading of logs and streams page by page, and the end of a store."""

    page_events: ClassVar[int] = 512
    """Events of a page of `read`, at the most."""

    page_bytes: ClassVar[int] = 4 * 1024 * 1024
    """Payload after which a page of `read` ends early, so that memory stays flat."""

    def __init__(self) -> None:
        self._closed = False
        self._pid = os.getpid()

    @property
    @abstractmethod
    def location(self) -> str:
        """Return the address that opens this store again."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the store; doing so again does nothing."""

    @abstractmethod
    async def _page(
        self, after: int, limit: int, where: Query, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return events beyond a position: at least one, if there are any.

        Args:
            after: As in `EventStore.read`.
            limit: The most events; at least one.
            where: Which.
            backward: From high positions to low.
            budget: Bytes of payload after which to stop early.
        """

    @abstractmethod
    async def _stream_page(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int
    ) -> list[Event]:
        """Return events of a stream beyond a version: at least one, if there are any."""

    async def read(
        self,
        after: int = 0,
        *,
        limit: int | None = None,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Yield events, as `EventStore.read` says."""
        self._check_open()
        left = sys.maxsize if limit is None else limit
        while left > 0 and not (backward and after == 1):
            size = min(left, self.page_events)
            page = await self._page(after, size, where, backward=backward, budget=self.page_bytes)
            for event in page:
                yield event
            if not page:
                return
            after = page[-1].position
            left -= len(page)

    async def read_page(
        self,
        after: int,
        limit: int,
        *,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> list[Event]:
        """Return events, as `EventStore.read_page` says."""
        if limit <= 0 or (backward and after == 1):
            self._check_open()
            return []
        return await self._page(after, limit, where, backward=backward, budget=NO_BUDGET)

    async def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a stream, as `EventStore.read_stream` says."""
        self._check_open()
        left = sys.maxsize if limit is None else limit
        while left > 0 and not (backward and after_version == 1):
            size = min(left, self.page_events)
            page = await self._stream_page(
                stream, after_version, size, backward=backward, budget=self.page_bytes
            )
            for event in page:
                yield event
            if not page:
                return
            after_version = page[-1].version
            left -= len(page)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(self.location)
        if os.getpid() != self._pid:
            raise StoreFailed(
                f"{self.location} was opened in process {self._pid} and cannot be used in a child.",
                code="store.forked",
                hint="Open the store anew in the child, with read_only=True beside a writer.",
            )
