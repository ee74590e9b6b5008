"""What was handed to a writer and is not answered yet: bounded, counted, answered once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from toka.store.core._append_errors import InvalidEvent
from toka.store.core._check import check_event
from toka.store.core._errors import StoreBusy
from toka.store.core._event import EMPTY
from toka.store.core.backend._items import Append, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toka.store.core._event import Head, NewEvent
    from toka.store.core._expected import Expected
    from toka.store.core._query import Absent
    from toka.store.core.backend._items import Context, Item, Progress

MAX_WAITING_BYTES: Final = 256 * 1024 * 1024
"""Payload that may wait to be written; an append alone may be larger."""

MAX_WAITING: Final = 100_000
"""Appends that may wait to be written."""

NO_EXPECTATIONS: Final[Mapping[str, Expected]] = {}


class Pending:
    """The loop's account of its writer; what is counted in has to be settled."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._loop = asyncio.get_running_loop()
        self._waiting_bytes = 0
        self.head: Head = EMPTY
        """Where the log ended when the writer last reported."""
        self.appended = self.commits = self.waiting = 0

    def append(
        self,
        events: Sequence[NewEvent],
        streams: Mapping[str, Expected],
        head: int | None,
        absent: Sequence[Absent],
    ) -> Append:
        """Check an append and count it in.

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
            self._check_room(size)
        # Copies, for the writer reads them while the caller goes on.
        expected = dict(streams) if streams else NO_EXPECTATIONS
        self.waiting += 1
        self._waiting_bytes += size
        future: asyncio.Future[object] = self._loop.create_future()
        return Append(future, size, tuple(events), ids, expected, head, tuple(absent))

    def _check_room(self, size: int) -> None:
        if self.waiting >= MAX_WAITING:
            raise StoreBusy(self.waiting, MAX_WAITING, "appends")
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise StoreBusy(self._waiting_bytes, MAX_WAITING_BYTES, "bytes of payload")

    def job(self, action: Callable[[Context], object]) -> Job[Context]:
        """Count other work in."""
        self.waiting += 1
        return Job(self._loop.create_future(), 0, action)

    def settle(self, progress: Progress) -> None:
        """Give the writer's answers to those who still wait for them."""
        self.head = progress.head
        self.appended += progress.events
        self.commits += progress.commits
        for item, result, error in progress.outcomes:
            self._count_out(item)
            if item.future.done():
                continue  # who waited was cancelled
            if error is None:
                item.future.set_result(result)
            else:
                item.future.set_exception(error)

    def _count_out(self, item: Item) -> None:
        # A writer that fails refuses all it has in hand, also what it answered just before.
        if item.waits:
            item.waits = False
            self.waiting -= 1
            self._waiting_bytes -= item.size
