"""The store as its users see it: the event loop's side of the two threads."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from toka.store.core import (
    EMPTY,
    EVERYTHING,
    Capabilities,
    InvalidEvent,
    ReadOnlyStore,
    StoreBusy,
    StoreClosed,
    StoreFailed,
    StoreMissing,
    StoreStats,
    check_event,
    pack_id,
)
from toka.store.sled._address import need_asyncio, parse
from toka.store.sled._backup import back_up
from toka.store.sled._draft import Append
from toka.store.sled._failures import TROUBLE, failure
from toka.store.sled._folder import Folder, choose, identify
from toka.store.sled._headfile import read_head
from toka.store.sled._keeping import Compacting, touch_ends, write_snapshot
from toka.store.sled._keys import PAYLOAD, beyond
from toka.store.sled._opening import open_writer
from toka.store.sled._reader import PAGE_BYTES, Reader
from toka.store.sled._reading import Held, OtherEngine, OwnEngine, Readings, reading
from toka.store.sled._records import compacted
from toka.store.sled._replica import Replica
from toka.store.sled._verification import Verification
from toka.store.sled._worker import Worker, call_soon
from toka.store.sled._writer import Item, Job, Progress
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from toka.store.core import (
        Absent,
        Compaction,
        Event,
        EventStore,
        Expected,
        Head,
        NewEvent,
        Query,
        Receipt,
        Snapshot,
        VerifyReport,
    )
    from toka.store.sled._engine import Batch, Engine, EngineName
    from toka.store.sled._opening import Synchronous
    from toka.store.sled._reading import Source
    from toka.store.sled._writer import Writer
    from toka.types import Clock, EventId

T = TypeVar("T")

MAX_WAITING_BYTES: Final = 256 * 1024 * 1024
"""Payload that may wait to be written; an append alone may be larger."""

MAX_WAITING: Final = 100_000
"""Appends that may wait to be written."""

_PAGE: Final = 1_024
_BATCH: Final = 1_024
_POLL: Final = NANOSECONDS // 20
_NOTHING: Final[Mapping[str, Expected]] = {}


class SledStore:
    """An `EventStore` in a folder; opened with `SledStore.open`, on asyncio."""

    def __init__(self, folder: Folder, clock: Clock) -> None:
        """Prepare a store; `open` is what callers want."""
        self._folder = folder
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._closed = False
        self._engine_name: EngineName = "leveldb"
        self._engine: Engine | None = None
        self._writer: Worker[Item] | None = None
        self._readings: Readings
        self._head = EMPTY
        self._appended = self._commits = self._waiting = self._waiting_bytes = 0
        self._news: asyncio.Event | None = None

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
        need_asyncio()
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

        def start() -> Writer:
            writer = open_writer(
                self._folder,
                wanted,
                make=create,
                synchronous=synchronous,
                now=self._clock.now(),
                report=self._report,
            )
            opened.append(writer)
            return writer

        writer = Worker("toka-sled-writer", start, _BATCH)
        await writer.start()
        self._writer, self._engine = writer, opened[0].engine
        self._engine_name = self._engine.name
        await self._start_readings()
        self._head = await self._readings.ask(Reader.head)

    async def _start_readings(self) -> None:
        self._readings = Readings(self._source, self.location, "toka-sled-reader")
        await self._readings.start()

    def _source(self) -> Source:
        if self._engine is not None:
            return OwnEngine(self._engine, self.location)
        return OtherEngine(Replica(self._folder, self._engine_name), self.location)

    def _held(self) -> Source:
        if self._engine is not None:
            return Held(self._engine.view(), self.location, lambda: None)
        replica = Replica(self._folder, self._engine_name)
        return Held(replica.view(), self.location, replica.close)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(durable=True, backup=True, compaction=True, shared_payloads=True)

    @property
    def location(self) -> str:
        """Return the address that opens this store again, the engine included."""
        return self._folder.location(self._engine_name)

    # ---- writing

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = _NOTHING,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        writer = self._writable()
        if not events:
            raise InvalidEvent("An append holds at least one event.")
        ids: list[bytes] = []
        size = 0
        for event in events:
            ids.append(check_event(event))
            size += len(event.payload)
        if self._waiting:
            self._check_waiting(size)
        future: asyncio.Future[Receipt] = self._loop.create_future()
        # Copies, for the writer's thread reads them while the caller goes on.
        expected = dict(streams) if streams else _NOTHING
        writer.put(Append(tuple(events), ids, expected, head, tuple(absent), size, future))
        self._waiting += 1
        self._waiting_bytes += size
        return await future

    def _check_waiting(self, size: int) -> None:
        if self._waiting >= MAX_WAITING:
            raise StoreBusy(self._waiting, MAX_WAITING, "appends")
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise StoreBusy(self._waiting_bytes, MAX_WAITING_BYTES, "bytes of payload")

    def _writable(self) -> Worker[Item]:
        writer = self._writer
        if writer is None or self._closed or os.getpid() != self._pid:
            self._check_open()
            raise ReadOnlyStore(self.location)
        return writer

    def _report(self, progress: Progress) -> None:
        """Pass the writer's answers to the loop; runs in the writer's thread."""
        call_soon(self._loop, self._settle, progress)

    def _settle(self, progress: Progress) -> None:
        self._head = progress.head
        self._appended += progress.events
        self._commits += progress.commits
        for item, result, error in progress.outcomes:
            self._waiting -= 1
            self._waiting_bytes -= item.size
            future = cast("asyncio.Future[object]", item.future)
            if future.done():
                continue  # who waited was cancelled
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if progress.events:
            self._wake()

    async def _do(self, action: Callable[[Reader, Batch], T]) -> T:
        """Have something done in the writer's order, in a batch of its own."""
        writer = self._writable()
        future: asyncio.Future[T] = self._loop.create_future()
        writer.put(cast("Job[object]", Job(action, future)))
        self._waiting += 1
        return await future

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        await self._do(functools.partial(write_snapshot, snapshot))

    async def compact(self, snapshot: str) -> Compaction:
        work = Compacting(snapshot, self.location)
        while await self._do(work.step):
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
            await self._do(touch_ends)
            await asyncio.to_thread(engine.compact)
        except TROUBLE as error:
            raise failure(self.location, "Compacting", error) from error

    # ---- reading

    async def read(
        self,
        after: int = 0,
        *,
        limit: int | None = None,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        while limit is None or limit > 0:
            size = _PAGE if limit is None else min(limit, _PAGE)
            page = await self._page(after, size, where, backward=backward, budget=PAGE_BYTES)
            for event in page:
                yield event
            if not page:
                return
            after = page[-1].position
            limit = None if limit is None else limit - len(page)
            if backward and after == 1:
                return

    async def read_page(
        self,
        after: int,
        limit: int,
        *,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> list[Event]:
        return await self._page(after, limit, where, backward=backward)

    async def _page(
        self,
        after: int,
        limit: int,
        where: Query = EVERYTHING,
        *,
        backward: bool = False,
        budget: int | None = None,
    ) -> list[Event]:
        if limit <= 0 or (backward and after == 1):
            self._check_open()
            return []
        return await self._ask(
            lambda reader: reader.page(after, limit, where, backward=backward, budget=budget)
        )

    async def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        while limit is None or limit > 0:
            size = _PAGE if limit is None else min(limit, _PAGE)
            ask = functools.partial(
                Reader.stream,
                stream=stream,
                after=after_version,
                limit=size,
                backward=backward,
                budget=PAGE_BYTES,
            )
            page = await self._ask(ask)
            for event in page:
                yield event
            if not page or (backward and page[-1].version == 1):
                return
            after_version = page[-1].version
            limit = None if limit is None else limit - len(page)

    async def get(self, event_id: EventId) -> Event | None:
        identifier = pack_id(event_id)
        return await self._ask(lambda reader: reader.get(identifier))

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        identifier = pack_id(event_id)
        return await self._ask(
            lambda reader: reader.related(event_id, identifier, limit, causes=True)
        )

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        identifier = pack_id(event_id)
        return await self._ask(
            lambda reader: reader.related(event_id, identifier, limit, causes=False)
        )

    async def head(self) -> Head:
        if self._writer is None:
            return await self._ask(Reader.head)
        self._check_open()
        return self._head

    async def stream_version(self, stream: str) -> int:
        return await self._ask(lambda reader: reader.version(stream))

    async def load_snapshot(self, name: str) -> Snapshot | None:
        return await self._ask(lambda reader: reader.snapshot(name))

    async def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        while not self._closed:
            if self._writer is not None and after >= self._head.position:
                await self._commit()
                continue
            page = await self._page(after, _PAGE, budget=PAGE_BYTES)
            for event in page:
                yield event
                after = event.position
            if not page and not self._closed:
                await self._clock.sleep(_POLL)

    async def _commit(self) -> None:
        """Wait for the next commit, or for the store to be closed."""
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _ask(self, ask: Callable[[Reader], T]) -> T:
        self._check_open()
        return await self._readings.ask(ask)

    # ---- keeping

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        self._check_open()
        walk = Verification(self.location, await asyncio.to_thread(read_head, self._folder.head))
        async with reading(self._held, self.location, "toka-sled-verify") as readings:
            await readings.ask(walk.begin)
            more = walk.total > 0
            while more:
                more = await readings.ask(walk.step)
                if progress is not None:
                    progress(walk.walked, walk.total)
            return await readings.ask(walk.finish)

    async def backup(self, path: str | Path) -> Head:
        self._check_open()
        target = Path(path)
        async with reading(self._held, self.location, "toka-sled-backup") as readings:
            return await readings.ask(lambda reader: back_up(reader, target, self._engine_name))

    async def stats(self) -> StoreStats:
        head = await self.head()
        shared, dropped = await self._ask(_figures)
        return StoreStats(
            self.location,
            head.position,
            self._folder.stored_bytes(self._engine_name),
            self._appended,
            self._commits,
            self._waiting,
            shared_payloads=shared,
            compacted=dropped,
        )

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._wake()
        try:
            await self._readings.close()
            if self._writer is not None:
                await self._writer.close()
        except TROUBLE as error:
            raise failure(self.location, "Closing", error) from error

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


def _figures(reader: Reader) -> tuple[int, int]:
    shared = sum(1 for _ in reader.view.scan(PAYLOAD, beyond(PAYLOAD)))
    return shared, compacted(reader.view)


if TYPE_CHECKING:
    _implements: type[EventStore] = SledStore
