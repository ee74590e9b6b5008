"""Writing: many appends, one transaction, one fsync.

Appends are taken in the order in which they were called and answered when their commit has returned
and the head is on record beside the store; nobody is answered before.

An append that does not fit (an expectation fails, a parent is unknown, an identifier is taken)
leaves the common path: what was drafted before it is committed, then it is looked at alone, against
what is stored. That is where a repeated append finds its first receipt.

After any failure of input or output the writer answers everything with `StoreFailed`: what the disk
holds then, only a new `open` can tell.
"""

from __future__ import annotations

import itertools
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, Protocol, cast

from toka.store.core._append_errors import DuplicateEvent
from toka.store.core._errors import StoreError, StoreFailed
from toka.store.core._event import Receipt
from toka.store.core.backend._items import Append, Context, Job, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toka.store.core._event import Event, Head
    from toka.store.core.backend._head_file import HeadFile
    from toka.store.core.backend._items import Item, Outcome
    from toka.store.core.backend._lock import WriterLock

_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Payload after which a transaction takes no further append."""

logger = logging.getLogger(__name__)


class Draft(Protocol):
    """A transaction in the making, and the state of the log after it."""

    @property
    def head(self) -> Head:
        """Return where the log ends, the draft included."""
        ...

    @property
    def event_count(self) -> int:
        """Return how many events are drafted."""
        ...

    def add(self, append: Append) -> Receipt:
        """Draft an append, or raise a `StoreError` and change nothing."""
        ...

    def commit(self) -> None:
        """Write the draft, return when it is as durable as promised, and begin the next."""
        ...


class GroupWriter(ABC, Generic[Context]):
    """The only one who writes to an engine; belongs to one thread."""

    def __init__(
        self,
        draft: Draft,
        head_file: HeadFile,
        lock: WriterLock,
        location: str,
        report: Callable[[Progress], None],
    ) -> None:
        """Take over an engine.

        Args:
            draft: Without anything drafted.
            head_file: Where to record each commit; closed with the writer.
            lock: Released with the writer.
            location: Of the store, for errors.
            report: Called with each answer, soonest first.
        """
        self._draft = draft
        self._head_file = head_file
        self._lock = lock
        self._location = location
        self._report = report
        self._drafted: list[Outcome] = []
        self._bytes = 0
        self._committed = draft.head
        self._failure: Exception | None = None

    # ---- what is the backend's own

    @abstractmethod
    def _repeated(self, append: Append) -> Receipt | None:
        """Return what `repetition` says of an append and what is committed."""

    @abstractmethod
    def _perform(self, job: Job[Context]) -> object:
        """Do a job in a transaction of its own, or raise `StoreError` and change nothing."""

    @abstractmethod
    def _translate(self, error: Exception) -> StoreError | None:
        """Return the error to raise for one of the engine's; None if it is none of the engine's."""

    @abstractmethod
    def _close_engine(self) -> None:
        """Close the engine; what was acknowledged is on disk already."""

    def _commit_group(self, drafted: list[Outcome]) -> None:
        """Commit and answer several appends; a backend may find only here that one is refused."""
        self._commit(drafted)

    def _abandon(self) -> None:
        """Give up the transaction in hand, for a failure."""

    # ---- what all have

    def handle(self, items: list[Item]) -> None:
        """Do all items, in order, and answer each."""
        try:
            for item in items:
                if isinstance(item, Append) and self._failure is None:
                    self._append(item)
                else:
                    self._take(item)
            self._flush()
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame; it must answer
            self._fail(error, items)

    def _take(self, item: Item) -> None:
        self._flush()
        if self._failure is not None:
            self._report(Progress([(item, None, self._refusal())], self._committed))
        elif isinstance(item, Job):
            self._do(cast("Job[Context]", item))

    def _append(self, append: Append) -> None:
        try:
            receipt = self._draft.add(append)
        except StoreError:  # refused, or it asked about an event that is damaged
            self._flush()
            self._alone(append)
            return
        self._drafted.append((append, receipt, None))
        self._bytes += append.size
        if self._bytes > _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Commit and answer what was drafted."""
        if self._drafted:
            drafted, self._drafted, self._bytes = self._drafted, [], 0
            self._commit_group(drafted)

    def _commit(self, drafted: list[Outcome]) -> None:
        events = self._draft.event_count
        self._draft.commit()
        self._committed = self._draft.head
        self._head_file.write(self._committed)
        self._report(Progress(drafted, self._committed, events, 1))

    def _alone(self, append: Append) -> None:
        """Find the receipt of a repeated append, or refuse it, or commit it by itself."""
        try:
            receipt = self._repeated(append)
            if receipt is None:
                self._commit([(append, self._draft.add(append), None)])
            else:
                self._report(Progress([(append, receipt, None)], self._committed))
        except StoreError as error:
            self._report(Progress([(append, None, error)], self._committed))

    def _do(self, job: Job[Context]) -> None:
        try:
            result = self._perform(job)
        except StoreError as error:
            self._report(Progress([(job, None, error)], self._committed))
            return
        self._head_file.write(self._committed)
        self._report(Progress([(job, result, None)], self._committed, commits=1))

    def _fail(self, error: Exception, items: Sequence[Item]) -> None:
        """Refuse these items and all that follow; who was answered before keeps the answer."""
        logger.error(
            "Writing to %s failed; it takes no more appends", self._location, exc_info=error
        )
        self._failure = error
        self._abandon()
        self._report(Progress([(item, None, self._refusal()) for item in items], self._committed))

    def _refusal(self) -> StoreError:
        error = self._failure
        known = None if error is None else self._translate(error)
        return known or StoreFailed(f"Writing to {self._location} failed: {error!r}.")

    def close(self) -> None:
        """Close the engine and the head file, and give up the lock."""
        try:
            self._close_engine()
        finally:
            try:
                self._head_file.close()
            finally:
                self._lock.release()


class Stored(Protocol):
    """What is committed, as far as `repetition` asks."""

    def position(self, identifier: bytes) -> int | None:
        """Return the position of an event, or None."""
        ...

    def at(self, position: int) -> Event:
        """Return the event at a position, proved."""
        ...


def repetition(stored: Stored, append: Append) -> Receipt | None:
    """Return the receipt of the stored append that this one repeats; None if all of it is new.

    Raises:
        DuplicateEvent: It is part one and part the other.
        Damaged: A stored event is not what was written.
    """
    found = [stored.position(identifier) for identifier in append.ids]
    first = found[0]
    if first is None:
        for event, position in zip(append.events, found, strict=True):
            if position is not None:
                raise DuplicateEvent(event.id, "is stored, others of this append are not")
        if len(set(append.ids)) != len(append.ids):
            raise DuplicateEvent(append.events[0].id, "is in an append that repeats itself")
        return None
    for event, position, place in zip(append.events, found, itertools.count(first)):
        if position != place:
            raise DuplicateEvent(event.id, "is not stored next to the others of this append")
        if not stored.at(place).repeats(event):
            raise DuplicateEvent(event.id, "is stored with other content")
    last = first + len(append.ids) - 1
    return Receipt(first, last, stored.at(last).digest)
