"""What a store was asked to keep, and what it acknowledged."""

from __future__ import annotations

import functools
from random import Random
from typing import TYPE_CHECKING

import anyio
import attrs

from toka.store.core import Receipt, Snapshot, StoreError, open_store
from toka.store.core.testing import EventSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import EventStore, NewEvent
    from toka.store.core.testing import DiskImage, LossyDisk, Recording
    from toka.types import EventId


@attrs.frozen
class Promise:
    """An append, and its receipt where it was acknowledged."""

    events: Sequence[NewEvent]
    receipt: Receipt | None


@attrs.define
class Promises:
    """All appends in the order of the log, of which the last may be of unknown outcome."""

    kept: list[Promise] = attrs.field(factory=list[Promise])
    compacted: int = 0
    """Payloads up to here may be gone."""

    def events(self) -> list[NewEvent]:
        """Return all events, in order."""
        return [event for promise in self.kept for event in promise.events]

    def sort(self) -> None:
        """Bring what was acknowledged into the order of the log."""
        self.kept.sort(key=lambda each: each.receipt.first if each.receipt else 2**63)


@attrs.define
class Run:
    """A recorded run, and what it was promised when."""

    promises: Promises
    recording: Recording

    @functools.cached_property
    def end(self) -> DiskImage:
        """What the disk held at the end, had the process been killed there."""
        return self.recording.kill(len(self.recording.records))

    @functools.cached_property
    def names(self) -> dict[int, str]:
        """The path of each file at the end."""
        return self.recording.names(len(self.recording.records))

    @functools.cached_property
    def all_acknowledged(self) -> int:
        """How many events were acknowledged at the end."""
        return self.acknowledged(len(self.recording.records))

    def acknowledged(self, at: int) -> int:
        """Return how many events were acknowledged before a record."""
        acks = [int(mark.split()[1]) for mark in self.recording.marks(at) if mark[:3] == "ack"]
        return max(acks, default=0)

    def moment(self, chance: Random) -> int:
        """Return a record to fail at: mostly between the appends, where every record matters."""
        last = len(self.recording.records)
        return chance.randint(self.recording.index("open") if chance.getrandbits(3) else 0, last)


class Workload:
    """Appends of every shape, the same for one seed."""

    def __init__(self, seed: int) -> None:
        """Begin with nothing promised."""
        self.source = EventSource(seed)
        self.chance = Random(seed)  # noqa: S311 - a test's
        self.promises = Promises()
        self._ids: list[EventId] = []

    def batch(self, size: int | None = None) -> list[NewEvent]:
        """Return the events of one append: several streams, causes, tags, sizes; time may fall."""
        events = [self._event() for _ in range(size or self.chance.choice((1, 1, 2, 4)))]
        self._ids += [event.id for event in events]
        return events

    def _event(self) -> NewEvent:
        chance = self.chance
        event = self.source.new(
            f"stream {chance.randrange(3)}",
            f"test.{chance.choice('ab')}.v1",
            chance.randbytes(chance.choice((0, 20, 256, 256, 5_000))),
            tuple(sorted(set(chance.choices(self._ids, k=2)))) if self._ids else (),
            tags=("é", "crash")[: chance.randrange(3)],
        )
        return attrs.evolve(event, time=event.time - chance.choice((0, 0, 10**12)))

    async def append(self, store: EventStore, disk: LossyDisk, size: int | None = None) -> None:
        """Append once, and mark when it is acknowledged.

        Raises:
            StoreError: The append failed; its outcome is unknown.
        """
        events = self.batch(size)
        try:
            receipt = await store.append(events)
        except StoreError:
            self.promises.kept.append(Promise(events, None))
            raise
        disk.mark(f"ack {receipt.last}")
        self.promises.kept.append(Promise(events, receipt))

    async def snapshot(self, store: EventStore) -> None:
        """Save a snapshot at the head."""
        head = await store.head()
        await store.save_snapshot(
            Snapshot("state", head.position, b"state %d" % head.position, head.digest)
        )

    async def burst(self, store: EventStore, disk: LossyDisk, count: int = 5) -> None:
        """Append several times at once, which may share a commit."""
        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(self.append, store, disk)
        self.promises.sort()


async def run_appends(url: str, disk: LossyDisk, seed: int, rounds: int = 12) -> Run:
    """Record a store that appends, and is never closed as far as the recording goes."""
    work = Workload(seed)
    async with await open_store(url) as store:
        disk.mark("open")
        for number in range(rounds):
            await work.append(store, disk)
            if number % 4 == 1:
                await work.burst(store, disk)
            if number in (5, 11):
                await work.snapshot(store)
        recording = disk.recording()
    return Run(work.promises, recording)


async def run_upkeep(url: str, disk: LossyDisk, seed: int) -> Run:
    """Record a store that is closed, opened, copied and compacted between its appends."""
    work = Workload(seed)
    async with await open_store(url) as store:
        disk.mark("open")
        for _ in range(6):
            await work.append(store, disk, 4)
        await work.snapshot(store)
    async with await open_store(url) as store:
        if store.capabilities.backup:
            await store.backup(disk.folder / "backup")
        await work.append(store, disk)
        if store.capabilities.compaction:
            work.promises.compacted = 24
            await store.compact("state")
        await work.burst(store, disk)
    async with await open_store(url) as store:
        await work.append(store, disk)
    return Run(work.promises, disk.recording())
