"""Writing: many appends, one batch, one fsync.

Appends are taken in the order in which they were called and answered when their batch is on disk
and the head is on record beside it; nobody is answered before.

An append that does not fit (an expectation fails, a parent is unknown, an identifier is taken)
leaves the common path: what was drafted before it is committed, then it is looked at alone, against
what is stored. That is where a repeated append finds its first receipt.

After any failure of input or output the writer answers everything with `StoreFailed`: what the disk
holds then, only a new `open` can tell.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import attrs

from toka.store.core import AppendRefused, DuplicateEvent, Head, Receipt, StoreError, StoreFailed
from toka.store.sled._draft import Append, Draft
from toka.store.sled._engine import EngineError
from toka.store.sled._failures import TROUBLE, failure
from toka.store.sled._reader import Reader

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from toka.store.sled._engine import Batch, Engine
    from toka.store.sled._headfile import HeadFile
    from toka.store.sled._lock import WriterLock

_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Payload after which a batch takes no further append."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


@attrs.define(eq=False)
class Job(Generic[T]):
    """Other work in the writer's order, in a batch of its own."""

    action: Callable[[Reader, Batch], T]
    """Looks at what is stored and fills the batch; what it raises, the caller gets."""
    future: asyncio.Future[T]
    size: int = 0


Item: TypeAlias = "Append | Job[object]"

Outcome: TypeAlias = "tuple[Item, object, StoreError | None]"


@attrs.frozen
class Progress:
    """What the writer tells the loop: answers, and what was committed before them."""

    outcomes: list[Outcome]
    head: Head
    events: int = 0
    commits: int = 0


class Writer:
    """The only one who writes to the engine; belongs to one thread."""

    def __init__(
        self,
        engine: Engine,
        head_file: HeadFile,
        lock: WriterLock,
        location: str,
        report: Callable[[Progress], None],
    ) -> None:
        """Take over an engine.

        Args:
            engine: Closed with the writer.
            head_file: Where to record each commit; closed with the writer.
            lock: Released with the writer.
            location: Of the store, for errors.
            report: Called with each answer, soonest first.
        """
        self.engine = engine
        self._head_file = head_file
        self._lock = lock
        self._location = location
        self._report = report
        self._draft = Draft(engine, location)
        self._drafted: list[Outcome] = []
        self._bytes = 0
        self._committed = self._draft.head
        self._failure: Exception | None = None

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
            self._do(item)

    def _append(self, append: Append) -> None:
        try:
            receipt = self._draft.add(append)
        except AppendRefused:
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
            self._commit(drafted)

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

    def _repeated(self, append: Append) -> Receipt | None:
        view = self.engine.view()
        try:
            return repetition(Reader(view, self._location), append)
        finally:
            view.close()

    def _do(self, job: Job[object]) -> None:
        view = self.engine.view()
        batch = self.engine.batch()
        try:
            result = job.action(Reader(view, self._location), batch)
        except StoreError as error:
            self._report(Progress([(job, None, error)], self._committed))
            return
        finally:
            view.close()
        self.engine.write(batch)
        self._draft.look_again()
        self._head_file.write(self._committed)
        self._report(Progress([(job, result, None)], self._committed, commits=1))

    def _fail(self, error: Exception, items: Sequence[Item]) -> None:
        """Refuse these items and all that follow; who was answered before keeps the answer."""
        logger.error(
            "Writing to %s failed; it takes no more appends", self._location, exc_info=error
        )
        self._failure = error
        self._report(Progress([(item, None, self._refusal()) for item in items], self._committed))

    def _refusal(self) -> StoreError:
        error = self._failure
        if isinstance(error, TROUBLE):
            return failure(self._location, "Writing", error)
        return StoreFailed(f"Writing to {self._location} failed: {error!r}.")

    def close(self) -> None:
        """Close the engine; what was acknowledged is on disk already."""
        self._draft.look_again()
        try:
            self.engine.close()
        except EngineError:
            if self._failure is None:
                raise
            logger.warning("%s: closing failed, as writing did before", self._location)
        finally:
            self._head_file.close()
            self._lock.release()


def repetition(reader: Reader, append: Append) -> Receipt | None:
    """Return the receipt of the stored append that this one repeats; None if all of it is new.

    Raises:
        DuplicateEvent: It is part one and part the other.
        Damaged: A stored event is not what was written.
        EngineError: Input failed.
    """
    stored = [reader.position(identifier) for identifier in append.ids]
    first = stored[0]
    if first is None:
        for event, position in zip(append.events, stored, strict=True):
            if position is not None:
                raise DuplicateEvent(event.id, "is stored, others of this append are not")
        if len(set(append.ids)) != len(append.ids):
            raise DuplicateEvent(append.events[0].id, "is in an append that repeats itself")
        return None
    for event, position, place in zip(append.events, stored, itertools.count(first)):
        if position != place:
            raise DuplicateEvent(event.id, "is not stored next to the others of this append")
        if not reader.at(place).repeats(event):
            raise DuplicateEvent(event.id, "is stored with other content")
    last = first + len(append.ids) - 1
    return Receipt(first, last, reader.at(last).digest)
