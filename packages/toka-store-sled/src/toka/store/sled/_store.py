"""The store as its users see it: the event loop's side of the two threads."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from toka.store.core import StoreMissing, StoreStats
from toka.store.core.backend import Readings, ThreadedStore, Writings, need_asyncio, read_head
from toka.store.sled._address import parse
from toka.store.sled._backup import back_up
from toka.store.sled._failures import TROUBLE, failure, translate
from toka.store.sled._folder import Folder, choose, identify
from toka.store.sled._keeping import Compacting, touch_ends, write_snapshot
from toka.store.sled._keys import PAYLOAD, beyond
from toka.store.sled._opening import open_writer
from toka.store.sled._reader import Reader
from toka.store.sled._records import compacted
from toka.store.sled._replica import Replica
from toka.store.sled._source import Held, OtherEngine, OwnEngine
from toka.store.sled._verification import Verification
from toka.store.sled._writer import Change
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core import (
        Compaction,
        EventStore,
        Head,
        Snapshot,
        StoreError,
        VerifyReport,
    )
    from toka.store.core.backend import Progress, Source
    from toka.store.sled._engine import Engine, EngineName
    from toka.store.sled._opening import Synchronous
    from toka.store.sled._writer import Writer
    from toka.types import Clock


class SledStore(ThreadedStore[Reader, Change]):
    """An `EventStore` in a folder; opened with `SledStore.open`, on asyncio."""

    page_events: ClassVar[int] = 1_024

    def __init__(self, folder: Folder, clock: Clock) -> None:
        """Prepare a store; `open` is what callers want."""
        super().__init__(clock)
        self._folder = folder
        self._engine_name: EngineName = "leveldb"
        self._engine: Engine | None = None

    @classmethod
    async def open(
        cls,
        location: str,
        *,
        read_only: bool = False,
        create: bool = True,
        clock: Clock | None = None,
    ) -> SledStore:
        """Open the store in a folder.

        Args:
            location: The path of the folder, and options: `runs?engine=rocksdb` (or `leveldb`) for
                a new folder, `runs?synchronous=normal` to acknowledge before the disk has it.
            read_only: Take no lock and write nothing there; works beside a writer.
            create: Make the store if there is none.
            clock: For the lock's time, and for looking for news beside another process.

        Raises:
            OpenRefused: It is missing, locked, foreign, of a newer format or of another engine;
                its engine is not installed; or the location has an unknown option.
            Damaged: It is not as it was written.
            StoreFailed: Input or output failed, or there is no asyncio event loop.
        """
        folder, engine, synchronous = parse(location)
        need_asyncio("A sled")
        store = cls(folder, clock or SystemClock())
        try:
            if read_only:
                await store._open_to_read(engine)
            else:
                await store._open_to_write(engine, create=create, synchronous=synchronous)
        except TROUBLE as error:
            raise failure(f"sled:{folder.path}", "Opening", error) from error
        return store

    async def _open_to_read(self, wanted: EngineName | None) -> None:
        def find() -> EngineName:
            found = identify(self._folder)
            if found is None:
                raise StoreMissing(str(self._folder.path))
            return choose(self._folder, found, wanted)

        self._engine_name = await asyncio.to_thread(find)
        await self._start_readings()

    async def _open_to_write(
        self, wanted: EngineName | None, *, create: bool, synchronous: Synchronous
    ) -> None:
        opened: list[Writer] = []

        def start(report: Callable[[Progress], None]) -> Writer:
            writer = open_writer(
                self._folder,
                wanted,
                make=create,
                synchronous=synchronous,
                now=self._clock.now(),
                report=report,
            )
            opened.append(writer)
            return writer

        writings: Writings[Change] = Writings("toka-sled-writer", start, self._news.wake)
        await writings.start()
        self._writings, self._engine = writings, opened[0].engine
        self._engine_name = self._engine.name
        await self._start_readings()
        writings.pending.head = await self._readings.ask(Reader.head)

    async def _start_readings(self) -> None:
        self._readings = Readings("toka-sled-reader", self.location, self._source, self._failure)
        await self._readings.start()

    def _source(self) -> Source[Reader]:
        if self._engine is not None:
            return OwnEngine(self._engine, self.location)
        return OtherEngine(Replica(self._folder, self._engine_name), self.location)

    def _held(self) -> Source[Reader]:
        if self._engine is not None:
            return Held(self._engine.view(), self.location, lambda: None)
        replica = Replica(self._folder, self._engine_name)
        return Held(replica.view(), self.location, replica.close)

    def _failure(self, doing: str, error: Exception) -> StoreError | None:
        return translate(self.location, doing, error)

    @property
    def location(self) -> str:
        """Return the address that opens this store again, the engine included."""
        return self._folder.location(self._engine_name)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        await self._writable().do(functools.partial(write_snapshot, snapshot))

    async def compact(self, snapshot: str) -> Compaction:
        work = Compacting(snapshot, self.location)
        while await self._writable().do(work.step):
            pass
        done = await self._ask(work.result)
        if work.events:
            await self._give_back()
        return done

    async def _give_back(self) -> None:
        """Have the engine free the room of what was dropped."""
        engine = self._engine
        assert engine is not None  # noqa: S101 - only a writer compacts
        try:
            await asyncio.to_thread(engine.compact)
            # LevelDB does not merge a lone file with itself, and so keeps what was written and
            # removed within one: something new on top of all files makes it merge them.
            await self._writable().do(touch_ends)
            await asyncio.to_thread(engine.compact)
        except TROUBLE as error:
            raise failure(self.location, "Compacting", error) from error

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        self._check_open()
        walk = Verification(self.location, await asyncio.to_thread(read_head, self._folder.head))
        async with self._reading("toka-sled-verify", self._held) as readings:
            await readings.ask(walk.begin)
            more = walk.total > 0
            while more:
                more = await readings.ask(walk.step)
                if progress is not None:
                    progress(walk.walked, walk.total)
            return await readings.ask(walk.finish)

    async def backup(self, path: str | Path) -> Head:
        target, name, check = Path(path), self._engine_name, self._check_open
        async with self._reading("toka-sled-backup", self._held) as readings:
            return await readings.ask(lambda reader: back_up(reader, target, name, check))

    async def stats(self) -> StoreStats:
        head, writings = await self.head(), self._writings
        shared, dropped = await self._ask(_figures)
        pending = None if writings is None else writings.pending
        return StoreStats(
            self.location,
            head.position,
            self._folder.stored_bytes(self._engine_name),
            0 if pending is None else pending.appended,
            0 if pending is None else pending.commits,
            0 if pending is None else pending.waiting,
            shared_payloads=shared,
            compacted=dropped,
        )


def _figures(reader: Reader) -> tuple[int, int]:
    shared = sum(1 for _ in reader.view.scan(PAYLOAD, beyond(PAYLOAD)))
    return shared, compacted(reader.view)


if TYPE_CHECKING:
    _implements: type[EventStore] = SledStore
