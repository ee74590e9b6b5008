"""The loop's side of a writing thread."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from toka.store.core.backend._bell import make_bell
from toka.store.core.backend._items import Context
from toka.store.core.backend._pending import Pending
from toka.store.core.backend._worker import Worker, call_soon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toka.store.core._event import NewEvent, Receipt
    from toka.store.core._expected import Expected
    from toka.store.core._query import Absent
    from toka.store.core.backend._items import Item, Progress
    from toka.store.core.backend._worker import Handler

T = TypeVar("T")

_BATCH: Final = 1_024


class Writings(Generic[Context]):
    """Hands work to the writer's thread and its answers to those who wait."""

    def __init__(
        self,
        name: str,
        start: Callable[[Callable[[Progress], None]], Handler[Item]],
        committed: Callable[[], None],
    ) -> None:
        """Prepare a thread.

        Args:
            name: Of the thread.
            start: Makes the writer, in the thread, given where it reports to.
            committed: Called in the loop after each commit of events.
        """
        self._loop = asyncio.get_running_loop()
        self._committed = committed
        self._worker: Worker[Item] = Worker(name, lambda: start(self._report), _BATCH)
        self._bell = make_bell(self._loop)
        self.pending = Pending()

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
        item = self.pending.append(events, streams, head, absent)
        self._worker.put(item)
        return cast("Receipt", await item.future)

    async def do(self, action: Callable[[Context], T]) -> T:
        """Have something done in the writer's order, in a transaction of its own."""
        job = self.pending.job(action)
        self._worker.put(job)
        return cast("T", await job.future)

    def _report(self, progress: Progress) -> None:
        """Pass the writer's answers to the loop; runs in the writer's thread."""
        if self._bell is None:
            call_soon(self._loop, self._settle, progress)
        else:
            self._bell.ring(partial(self._settle, progress))

    def _settle(self, progress: Progress) -> None:
        self.pending.settle(progress)
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
