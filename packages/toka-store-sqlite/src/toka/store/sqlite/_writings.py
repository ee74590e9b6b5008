"""The loop's side of the writing thread: what waits to be written, and for whom."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from toka.store.core import EMPTY, InvalidEvent, StoreBusy, check_event
from toka.store.sqlite._draft import Append
from toka.store.sqlite._worker import Worker, call_soon, make_bell
from toka.store.sqlite._writer import Item, Job, Progress

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from toka.store.core import Absent, Expected, Head, NewEvent, Receipt
    from toka.store.sqlite._writer import Writer

T = TypeVar("T")

MAX_WAITING_BYTES: Final = 256 * 1024 * 1024
"""Payload that may wait to be written; an append alone may be larger."""

MAX_WAITING: Final = 100_000
"""Appends that may wait to be written."""

_BATCH: Final = 1_024
_NOTHING: Final[Mapping[str, Expected]] = {}


class Writings:
    """Hands work to the writer's thread and its answers to those who wait."""

    def __init__(
        self,
        start: Callable[[Callable[[Progress], None]], Writer],
        committed: Callable[[], None],
    ) -> None:
        """Prepare a thread.

        Args:
            start: Makes the writer, in the thread, given where it reports to.
            committed: Called in the loop after each commit of events.
        """
        self._loop = asyncio.get_running_loop()
        self._committed = committed
        self._worker: Worker[Item] = Worker(
            "toka-sqlite-writer", lambda: start(self._report), _BATCH
        )
        self._bell = make_bell(self._loop)
        self._waiting_bytes = 0
        self.head: Head = EMPTY
        """Where the log ends on disk."""
        self.appended = self.commits = self.waiting = 0

    async def start(self) -> None:
        """Start the thread; raises what making the writer raises."""
        try:
            await self._worker.start()
        except BaseException:
            self._end()
            raise

    async def append(
        self,
        events: Sequence[NewEvent],
        streams: Mapping[str, Expected],
        head: int | None,
        absent: Sequence[Absent],
    ) -> Receipt:
        """Have an append written, and return when it is on disk.

        Raises:
            InvalidEvent: A field breaks a rule, or there is no event.
            StoreBusy: Too much waits already.
        """
        if not events:
            raise InvalidEvent("An append holds at least one event.")
        ids: list[bytes] = []
        size = 0
        for event in events:
            ids.append(check_event(event))
            size += len(event.payload)
        if self.waiting:
            self._check_waiting(size)
        future: asyncio.Future[Receipt] = self._loop.create_future()
        # Copies, for the writer's thread reads them while the caller goes on.
        expected = dict(streams) if streams else _NOTHING
        self._worker.put(Append(tuple(events), ids, expected, head, tuple(absent), size, future))
        self.waiting += 1
        self._waiting_bytes += size
        return await future

    def _check_waiting(self, size: int) -> None:
        if self.waiting >= MAX_WAITING:
            raise StoreBusy(self.waiting, MAX_WAITING, "appends")
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise StoreBusy(self._waiting_bytes, MAX_WAITING_BYTES, "bytes of payload")

    async def do(self, action: Callable[[sqlite3.Connection, Head], T]) -> T:
        """Have something done in the writer's order, in a transaction of its own."""
        future: asyncio.Future[object] = self._loop.create_future()
        self._worker.put(Job(action, future))
        self.waiting += 1
        return cast("T", await future)

    def _report(self, progress: Progress) -> None:
        """Pass the writer's answers to the loop; runs in the writer's thread."""
        if self._bell is None:
            call_soon(self._loop, self._settle, progress)
        else:
            self._bell.ring(partial(self._settle, progress))

    def _settle(self, progress: Progress) -> None:
        self.head = progress.head
        self.appended += progress.events
        self.commits += progress.commits
        for item, result, error in progress.outcomes:
            self.waiting -= 1
            self._waiting_bytes -= item.size
            future = cast("asyncio.Future[object]", item.future)
            if future.done():
                continue  # who waited was cancelled
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if progress.events:
            self._committed()

    async def close(self) -> None:
        """Let what was handed over be done, close the writer, end the thread."""
        try:
            await self._worker.close()
        finally:
            # Who is cancelled here leaves a thread that may ring yet.
            if self._worker.ended:
                self._end()

    def _end(self) -> None:
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.close()
