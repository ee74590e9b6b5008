"""Where storage writes happen: in the loop's own thread, in one beside it, or as it fits.

All do one job after another, in order, and tell when each is done. In a thread, those that came
while the one before was syncing become one write with one sync.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, Protocol

import attrs

from raft_core import Entry, HardState, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raft_storage import FileStorage

    #: What is told when a write is durable, or why it is not.
    Done = Callable[["Sequence[Message]", BaseException | None], None]


@attrs.define
class Counters:
    """What the disk was asked to do."""

    batches: int = 0
    """Writes that carried entries."""
    entries: int = 0


class Writer(Protocol):
    """Does what `STORAGE_APPEND` messages ask for; a snapshot is a job to `run`."""

    counters: Counters

    def write(self, message: Message) -> None:
        """Begin a write; those begun later are done later."""
        ...

    def run(self, job: Callable[[], None]) -> None:
        """Do something else with the store, when all writes begun before are done."""
        ...

    def close(self) -> None:
        """Finish what was begun."""
        ...


class InlineWriter:
    """Writes at once: nothing else happens meanwhile, and what arrives then is the next batch."""

    def __init__(self, store: FileStorage, done: Done) -> None:
        self.counters = Counters()
        self._store = store
        self._done = done

    def write(self, message: Message) -> None:
        """Write, then tell."""
        save(self._store, (message,), self.counters)
        self._done((message,), None)

    def run(self, job: Callable[[], None]) -> None:
        """Do it."""
        job()

    def close(self) -> None:
        """Nothing is under way."""


class ThreadWriter:
    """Writes in a thread of its own: messages are taken while the disk works."""

    def __init__(self, store: FileStorage, done: Done) -> None:
        self.counters = Counters()
        self._store = store
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Message | Callable[[], None]] = queue.SimpleQueue()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="raft-writer", daemon=True)
        self._thread.start()

    def write(self, message: Message) -> None:
        """Hand a write to the thread."""
        self._jobs.put(message)

    def run(self, job: Callable[[], None]) -> None:
        """Hand a job to the thread."""
        self._jobs.put(job)

    def close(self) -> None:
        """Wait for the thread."""
        self._jobs.put(self._stop)
        self._thread.join()

    def _stop(self) -> None:
        self._open = False

    def _work(self) -> None:
        job: Message | Callable[[], None] | None = None
        while self._open:
            job = job or self._jobs.get()
            batch: list[Message] = []
            try:
                if isinstance(job, Message):
                    batch, job = self._batch(job)
                    save(self._store, batch, self.counters)
                else:
                    job = job()
            except BaseException as error:  # noqa: BLE001 - the loop's thread shall raise it
                self._loop.call_soon_threadsafe(self._done, (), error)
                return
            if batch:
                self._loop.call_soon_threadsafe(self._done, batch, None)

    def _batch(self, first: Message) -> tuple[list[Message], Message | Callable[[], None] | None]:
        """Return what can be one write, and the job after it if that was taken out already."""
        batch = [first]
        while not self._jobs.empty():
            job = self._jobs.get()
            if not isinstance(job, Message):
                return batch, job
            batch.append(job)
        return batch, None


class AdaptiveWriter:
    """Writes at once where nothing else waits meanwhile, else in a thread of its own.

    Handing a write to a thread and hearing of it again costs more than a quick sync. But where many
    wait, the next batch can be on its way to the followers before this one is on the disk.

    A store takes one write at a time: nothing is done at once while the thread has something to do.
    """

    def __init__(self, store: FileStorage, done: Done, is_busy: Callable[[], bool]) -> None:
        self._under_way = 0
        self._loop = asyncio.get_running_loop()
        self._is_busy = is_busy
        self._inline = InlineWriter(store, done)
        self._thread = ThreadWriter(store, partial(self._written, done))
        self.counters = self._inline.counters = self._thread.counters

    def _written(
        self, done: Done, messages: Sequence[Message], error: BaseException | None
    ) -> None:
        self._under_way -= len(messages)
        done(messages, error)

    def write(self, message: Message) -> None:
        """Write now, unless that would hold others up or overtake what is under way."""
        if self._under_way or self._is_busy():
            self._under_way += 1
            self._thread.write(message)
        else:
            self._inline.write(message)

    def run(self, job: Callable[[], None]) -> None:
        """Do it when all writes begun before are done."""
        if not self._under_way:
            self._inline.run(job)
            return
        self._under_way += 1

        def counted() -> None:
            job()
            self._loop.call_soon_threadsafe(self._job_done)

        self._thread.run(counted)

    def _job_done(self) -> None:
        self._under_way -= 1

    def close(self) -> None:
        """Wait for the thread."""
        self._thread.close()


def make_writer(kind: str, store: FileStorage, done: Done, is_busy: Callable[[], bool]) -> Writer:
    """Return a writer by the name of its kind."""
    if kind == "adaptive":
        return AdaptiveWriter(store, done, is_busy)
    return (ThreadWriter if kind == "thread" else InlineWriter)(store, done)


def save(store: FileStorage, messages: Sequence[Message], counters: Counters) -> None:
    """Write what one or more messages ask for, with one sync."""
    entries: list[Entry] = []
    hard_state: HardState | None = None
    for message in messages:
        if message.entries:
            first = message.entries[0].index
            if entries and first <= entries[-1].index:  # a later leader replaced some
                del entries[max(0, first - entries[0].index) :]
            entries += message.entries
        if message.term:
            hard_state = HardState(message.term, message.vote, message.commit)
    if entries:
        counters.batches += 1
        counters.entries += len(entries)
    if entries or hard_state:
        store.save(entries=entries, hard_state=hard_state)
