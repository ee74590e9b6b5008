"""The protocol of an event store.

A backend is correct when it passes `toka.store.core.conformance`; the text here says what those
tests hold it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from toka.store.core._query import EVERYTHING, Query

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from toka.store.core._event import Event, Head, NewEvent, Receipt
    from toka.store.core._expected import Expected
    from toka.store.core._query import Absent
    from toka.store.core._snapshot import Snapshot
    from toka.store.core._verify import VerifyReport
    from toka.types import EventId


@attrs.frozen
class Capabilities:
    """What a backend can do beyond what all must; the conformance tests check each declaration."""

    durable: bool
    """An acknowledged event is there after a crash and a new `open`."""
    backup: bool
    """`backup` writes a copy that opens as a store."""
    compaction: bool
    """`compact` drops payloads."""
    shared_payloads: bool
    """Equal payloads of 4 KiB and more are stored once."""


@attrs.frozen
class Compaction:
    """What `compact` did."""

    position: int
    """Up to here all payloads are dropped, by this call or by earlier ones."""
    digest: bytes = attrs.field(repr=bytes.hex)
    """Of the event there: with the position, what proves the log up to it."""
    events: int
    """Events whose payload this call dropped."""
    dropped_bytes: int
    """What their payloads had together, each counted as often as it was appended."""


@attrs.frozen
class StoreStats:
    """Figures of a store, for people and gauges."""

    location: str
    events: int
    stored_bytes: int
    """In memory, or in the files of the store; free and not yet merged bytes included."""
    appended: int
    """Events appended since the store was opened."""
    commits: int
    """Transactions since the store was opened; `appended / commits` share one fsync."""
    waiting: int
    """Appends that wait to be written now."""
    free_bytes: int = 0
    """Of the stored ones: given free by compaction, and used again before the files grow."""
    unmerged_bytes: int = 0
    """Of the stored ones: in a log before the main file, where the backend has one. A reader that
    stays long in one place lets it grow."""
    shared_payloads: int = 0
    """Payloads that are stored once for all events that have them."""
    compacted: int = 0
    """The position up to which payloads were dropped."""


class EventStore(Protocol):
    """A log of events, in one total order, with streams as its subsequences."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this backend can do."""
        ...

    @property
    def location(self) -> str:
        """Return the address that opens this store again, as in `sqlite:run.db`."""
        ...

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = ...,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        """Store events, all or none, and return when they are as durable as the store is.

        Appends are committed in the order in which they were called: a call enqueues before it
        first suspends. Who is cancelled while waiting does not know the outcome; the same append
        again (the same events, by identifier) returns the first receipt, without a look at the
        expectations, whether or not it had been stored.

        Args:
            events: At least one. A parent may stand earlier in the same append.
            streams: What to expect of streams, those of `events` or others.
            head: The exact position of the log's last event before this append. It fences a second
                writer.
            absent: What must not be in the log: no event of any of these queries after its
                position (the append condition of a dynamic consistency boundary).

        Raises:
            InvalidEvent: A field breaks a rule, or there is no event.
            PayloadTooLarge: A payload exceeds the limit.
            WrongVersion: A stream is not as expected.
            WrongHead: The log does not end at `head`.
            ConditionFailed: An event is there that is to be absent.
            UnknownParent: A parent is not in the log.
            DuplicateEvent: An identifier is taken and this is no repetition of a whole append.
            StoreBusy: Too much waits to be written.
            StoreFull: The store is bounded and full.
            ReadOnlyStore: The store is open for reading.
            StoreClosed: The store was closed.
            StoreFailed: Input or output failed, now or before.
        """
        ...

    def read(
        self,
        after: int = 0,
        *,
        limit: int | None = None,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Iterate over the log as it is when each page is read.

        Args:
            after: A position; reading begins with the next one in the direction of reading. 0 is
                the start, or for `backward` the end.
            limit: The most events to return.
            where: Selects the events.
            backward: From high positions to low.

        Raises:
            StoreClosed: The store was closed.
            Damaged: An event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    async def read_page(
        self,
        after: int,
        limit: int,
        *,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> list[Event]:
        """Return what `read` yields first, as a list; fewer than `limit` only at the end.

        Raises:
            StoreClosed: The store was closed.
            Damaged: An event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Iterate over one stream by version, as `read` does over the log by position.

        Raises:
            StoreClosed: The store was closed.
            Damaged: An event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    async def get(self, event_id: EventId) -> Event | None:
        """Return one event, or None.

        Raises:
            InvalidEvent: This is no identifier.
            StoreClosed: The store was closed.
            Damaged: The event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        """Return the causes of an event, direct and indirect, the newest first, without itself.

        Args:
            event_id: The event to explain.
            limit: The most events to return; the newest are kept.

        Raises:
            UnknownEvent: It is not in the log.
            InvalidEvent: This is no identifier.
            StoreClosed: The store was closed.
            Damaged: An event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        """Return what an event caused, directly and indirectly, the oldest first, without itself.

        Args:
            event_id: The cause.
            limit: The most events to return; the oldest are kept.

        Raises:
            UnknownEvent: It is not in the log.
            InvalidEvent: This is no identifier.
            StoreClosed: The store was closed.
            Damaged: An event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    async def head(self) -> Head:
        """Return where the log ends.

        Raises:
            StoreClosed: The store was closed.
            StoreFailed: Input failed.
        """
        ...

    async def stream_version(self, stream: str) -> int:
        """Return the version of a stream's last event; 0 where there is none.

        Raises:
            StoreClosed: The store was closed.
            StoreFailed: Input failed.
        """
        ...

    def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Iterate over every event after a position: those stored, then those to come.

        Each comes once, in order, without a gap. The iteration ends when this store is closed.

        Raises:
            Damaged: An event is not what was written.
            StoreFailed: Input failed.
        """
        ...

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, as durably as an event, and drop the oldest of its name.

        Raises:
            InvalidSnapshot: It has no name, or leads the log.
            ReadOnlyStore: The store is open for reading.
            StoreClosed: The store was closed.
            StoreFailed: Input or output failed, now or before.
        """
        ...

    async def load_snapshot(self, name: str) -> Snapshot | None:
        """Return the newest sound snapshot of a name.

        One that is damaged is logged and passed over, because the log can do without it; `verify`
        reports it as a problem.

        Raises:
            StoreClosed: The store was closed.
            StoreFailed: Input failed.
        """
        ...

    async def compact(self, snapshot: str) -> Compaction:
        """Drop the payloads of all events that every kept snapshot of a name covers.

        Those are the events up to the position of the oldest kept one. Their headers stay, so
        identity, receipts, versions, causes and the chain stay provable; they read with an empty
        payload and are `compacted`. It goes on beside appends and reads. After a crash in its
        middle fewer payloads are dropped, and the same call drops the rest.

        Args:
            snapshot: The name.

        Raises:
            UnknownSnapshot: None of this name is kept.
            Unsupported: The backend declares no compaction.
            ReadOnlyStore: The store is open for reading.
            StoreClosed: The store was closed.
            Damaged: No kept snapshot of the name, or an event before it, is what was written.
            StoreFailed: Input or output failed, now or before.
        """
        ...

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Walk the whole log and all that is derived from it, while others read and write.

        Args:
            progress: Called with the events walked and the total, about once a thousand.

        Raises:
            StoreClosed: The store was closed.
            StoreFailed: Input failed.
        """
        ...

    async def backup(self, path: str | Path) -> Head:
        """Write a copy of the store while it is written to, and return where the copy ends.

        Raises:
            Unsupported: The backend declares no backup.
            OpenRefused: There is something at `path` already.
            StoreClosed: The store was closed.
            StoreFailed: Input or output failed; nothing is left at `path`.
        """
        ...

    async def stats(self) -> StoreStats:
        """Return figures of the store.

        Raises:
            StoreClosed: The store was closed.
            StoreFailed: Input failed.
        """
        ...

    async def aclose(self) -> None:
        """Store what was enqueued, then close. Closing again does nothing."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
