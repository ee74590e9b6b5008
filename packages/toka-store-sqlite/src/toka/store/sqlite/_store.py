"""The store as its users see it: the event loop's side of the two threads."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from toka.store.core import (
    EVERYTHING,
    Capabilities,
    Compaction,
    Head,
    OpenRefused,
    ReadOnlyStore,
    StoreClosed,
    StoreFailed,
    StoreMissing,
    StoreStats,
    pack_id,
    split_location,
)
from toka.store.sqlite._backup import back_up
from toka.store.sqlite._compaction import covered, drop_payloads
from toka.store.sqlite._failures import OPENING, TROUBLE, failure
from toka.store.sqlite._files import Files, identify, inspect, recorded_head
from toka.store.sqlite._opening import open_writer
from toka.store.sqlite._reader import NO_BUDGET, PAGE_BYTES, Reader
from toka.store.sqlite._reading import Readings, reading
from toka.store.sqlite._verification import Verification
from toka.store.sqlite._writer import write_snapshot
from toka.store.sqlite._writings import Writings
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from toka.store.core import (
        Absent,
        Event,
        EventStore,
        Expected,
        NewEvent,
        Query,
        Receipt,
        Snapshot,
        VerifyReport,
    )
    from toka.store.sqlite._opening import Synchronous
    from toka.types import Clock, EventId

T = TypeVar("T")

_PAGE: Final = 512
_POLL: Final = NANOSECONDS // 20
_MODES: Final[Mapping[str, Synchronous]] = {"full": "full", "normal": "normal"}
_NOTHING: Final[Mapping[str, Expected]] = {}


class SqliteStore:
    """An `EventStore` in one SQLite file; opened with `SqliteStore.open`, on asyncio."""

    def __init__(self, files: Files, clock: Clock) -> None:
        """Prepare a store; `open` is what callers want."""
        self._files = files
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._closed = False
        self._writings: Writings | None = None
        self._readings = Readings(files, "toka-sqlite-reader")
        self._news: asyncio.Event | None = None

    @classmethod
    async def open(
        cls,
        location: str,
        *,
        read_only: bool = False,
        create: bool = True,
        accept_loss: bool = False,
        clock: Clock | None = None,
    ) -> SqliteStore:
        """Open the store in a file.

        Args:
            location: The path of the database, and options: `run.db?synchronous=normal`.
            read_only: Take no lock and write nothing; works beside a writer.
            create: Make the store if there is none.
            accept_loss: Go on although acknowledged events are missing at the end of the log, and
                take the shorter log for the truth from now on.
            clock: For the lock's time, and for looking for news beside another process.

        Raises:
            OpenRefused: It is missing, locked, foreign, or of a newer format; or the location has
                an unknown option.
            Damaged: It is not as it was written.
            StoreFailed: Input or output failed, or there is no asyncio event loop.
        """
        files, synchronous = _parse(location)
        _need_asyncio()
        store = cls(files, clock or SystemClock())
        try:
            if read_only:
                await store._open_to_read(accept_loss=accept_loss)
            else:
                await store._open_to_write(
                    create=create, accept_loss=accept_loss, synchronous=synchronous
                )
        except TROUBLE as error:
            raise failure(files.location, OPENING, error) from error
        return store

    async def _open_to_read(self, *, accept_loss: bool) -> None:
        def check() -> None:
            if not identify(self._files):
                raise StoreMissing(str(self._files.database))
            inspect(self._files, accept_loss=accept_loss)

        await asyncio.to_thread(check)
        await self._readings.start()

    async def _open_to_write(
        self, *, create: bool, accept_loss: bool, synchronous: Synchronous
    ) -> None:
        start = functools.partial(
            open_writer,
            self._files,
            make=create,
            accept_loss=accept_loss,
            synchronous=synchronous,
            now=self._clock.now(),
        )
        writings = Writings(lambda report: start(report=report), self._wake)
        await writings.start()
        self._writings = writings
        await self._readings.start()
        writings.head = await self._readings.ask(Reader.head)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(durable=True, backup=True, compaction=True, shared_payloads=True)

    @property
    def location(self) -> str:
        return self._files.location

    # ---- writing

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = _NOTHING,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        return await self._writable().append(events, streams, head, absent)

    def _writable(self) -> Writings:
        writings = self._writings
        if writings is None or self._closed or os.getpid() != self._pid:
            self._check_open()
            raise ReadOnlyStore(self.location)
        return writings

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        await self._writable().do(functools.partial(write_snapshot, snapshot))

    async def compact(self, snapshot: str) -> Compaction:
        writings = self._writable()
        target = await writings.do(functools.partial(covered, self.location, snapshot))
        step = functools.partial(drop_payloads, self.location, target)
        events = size = 0
        while True:
            dropped = await self._writable().do(step)
            events += dropped.events
            size += dropped.size
            if dropped.end.position >= target:
                return Compaction(dropped.end.position, dropped.end.digest, events, size)

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
        budget: int = NO_BUDGET,
    ) -> list[Event]:
        if limit <= 0 or (backward and after == 1):
            self._check_open()
            return []
        if not backward and where == EVERYTHING:
            return await self._ask(lambda reader: reader.page(after, limit, budget))
        return await self._ask(
            lambda reader: reader.selected(where, after, limit, backward=backward, budget=budget)
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
        if self._writings is None:
            return await self._ask(Reader.head)
        self._check_open()
        return self._writings.head

    async def stream_version(self, stream: str) -> int:
        return await self._ask(lambda reader: reader.version(stream))

    async def load_snapshot(self, name: str) -> Snapshot | None:
        return await self._ask(lambda reader: reader.snapshot(name))

    async def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        while not self._closed:
            if self._writings is not None and after >= self._writings.head.position:
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
        walk = Verification(self.location, await asyncio.to_thread(recorded_head, self._files))
        async with reading(self._files, "toka-sqlite-verify") as readings:
            await readings.ask(walk.begin)
            while await readings.ask(walk.step):
                if progress is not None:
                    progress(walk.walked, walk.total)
            return await readings.ask(walk.finish)

    async def backup(self, path: str | Path) -> Head:
        self._check_open()
        target = Path(path)
        async with reading(self._files, "toka-sqlite-backup") as readings:
            return await readings.ask(lambda reader: back_up(reader, target))

    async def stats(self) -> StoreStats:
        head, writings = await self.head(), self._writings
        free, shared, compacted = await self._ask(
            lambda reader: (reader.free_bytes(), reader.shared_payloads(), reader.compacted())
        )
        return StoreStats(
            self.location,
            head.position,
            self._files.stored_bytes(),
            0 if writings is None else writings.appended,
            0 if writings is None else writings.commits,
            0 if writings is None else writings.waiting,
            free,
            self._files.unmerged_bytes(),
            shared,
            compacted.position,
        )

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._wake()
        try:
            await self._readings.close()
            if self._writings is not None:
                await self._writings.close()
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


def _need_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        raise StoreFailed(
            "A SQLite store needs asyncio's event loop, and none is running.",
            code="store.needs_asyncio",
            hint="Run it under asyncio; the memory store works under trio too.",
        ) from error


def _parse(location: str) -> tuple[Files, Synchronous]:
    place, options = split_location(location, ("synchronous",))
    synchronous = _MODES.get(options.get("synchronous", "full"))
    if not place or synchronous is None:
        raise OpenRefused(
            f"The address {location!r} has no path, or a mode that is not full or normal.",
            code="store.invalid_location",
            hint="As in sqlite:run.db or sqlite:run.db?synchronous=normal.",
            details={"location": location},
        )
    return Files(Path(place)), synchronous


if TYPE_CHECKING:
    _implements: type[EventStore] = SqliteStore
