"""The store as its users see it: the event loop's side of the two threads."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.store.core import Compaction, Head, OpenRefused, StoreMissing, StoreStats, split_location
from toka.store.core.backend import Readings, ThreadedStore, Writings, need_asyncio
from toka.store.sqlite._backup import back_up
from toka.store.sqlite._compaction import covered, drop_payloads
from toka.store.sqlite._failures import OPENING, TROUBLE, failure, translate
from toka.store.sqlite._files import Files, identify, inspect, recorded_head
from toka.store.sqlite._opening import open_writer
from toka.store.sqlite._reader import Reader
from toka.store.sqlite._source import ReadingConnection
from toka.store.sqlite._verification import Verification
from toka.store.sqlite._writer import write_snapshot
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.store.core import EventStore, Snapshot, StoreError, VerifyReport
    from toka.store.sqlite._opening import Synchronous
    from toka.types import Clock

_MODES: Final[Mapping[str, Synchronous]] = {"full": "full", "normal": "normal"}


class SqliteStore(ThreadedStore[Reader, Reader]):
    """An `EventStore` in one SQLite file; opened with `SqliteStore.open`, on asyncio."""

    def __init__(self, files: Files, clock: Clock) -> None:
        """Prepare a store; `open` is what callers want."""
        super().__init__(clock)
        self._files = files
        self._readings = Readings("toka-sqlite-reader", files.location, self._source, self._failure)

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
        need_asyncio("A SQLite")
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
        writings: Writings[Reader] = Writings(
            "toka-sqlite-writer", lambda report: start(report=report), self._news.wake
        )
        await writings.start()
        self._writings = writings
        await self._readings.start()
        writings.pending.head = await self._readings.ask(Reader.head)

    def _source(self) -> ReadingConnection:
        return ReadingConnection(self._files)

    def _failure(self, doing: str, error: Exception) -> StoreError | None:
        return translate(self.location, doing, error)

    @property
    def location(self) -> str:
        """Return the address that opens this store again."""
        return self._files.location

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        await self._writable().do(functools.partial(write_snapshot, snapshot))

    async def compact(self, snapshot: str) -> Compaction:
        target = await self._writable().do(functools.partial(covered, snapshot))
        step = functools.partial(drop_payloads, target)
        events = size = 0
        while True:
            dropped = await self._writable().do(step)
            events += dropped.events
            size += dropped.size
            if dropped.end.position >= target:
                return Compaction(dropped.end.position, dropped.end.digest, events, size)

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        self._check_open()
        walk = Verification(self.location, await asyncio.to_thread(recorded_head, self._files))
        async with self._reading("toka-sqlite-verify", self._source) as readings:
            await readings.ask(walk.begin)
            while await readings.ask(walk.step):
                if progress is not None:
                    progress(walk.walked, walk.total)
            return await readings.ask(walk.finish)

    async def backup(self, path: str | Path) -> Head:
        target = Path(path)
        async with self._reading("toka-sqlite-backup", self._source) as readings:
            return await readings.ask(lambda reader: back_up(reader, target))

    async def stats(self) -> StoreStats:
        head, writings = await self.head(), self._writings
        free, shared, compacted = await self._ask(
            lambda reader: (reader.free_bytes(), reader.shared_payloads(), reader.compacted())
        )
        pending = None if writings is None else writings.pending
        return StoreStats(
            self.location,
            head.position,
            self._files.stored_bytes(),
            0 if pending is None else pending.appended,
            0 if pending is None else pending.commits,
            0 if pending is None else pending.waiting,
            free,
            self._files.unmerged_bytes(),
            shared,
            compacted.position,
        )


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
