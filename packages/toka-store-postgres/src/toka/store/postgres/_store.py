"""The store as its users see it."""

from __future__ import annotations

import asyncio
import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from toka.store.core import (
    EVERYTHING,
    Capabilities,
    Compaction,
    Event,
    Head,
    ReadOnlyStore,
    Snapshot,
    StoreClosed,
    StoreFailed,
    StoreStats,
    Unsupported,
    check_snapshot,
    pack_id,
    snapshot_checksum,
)
from toka.store.core.backend import NO_EXPECTATIONS, PagedStore
from toka.store.postgres._address import Address, parse
from toka.store.postgres._compaction import covered, drop_payloads
from toka.store.postgres._connection import PASSING, TROUBLE, Pool, connect, end, failure, pool
from toka.store.postgres._listener import Listener
from toka.store.postgres._reader import Reader
from toka.store.postgres._schema import KEY, escape, prepare
from toka.store.postgres._verification import Verification
from toka.store.postgres._writer import Locked, Writer

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    from toka.store.core import (
        Absent,
        EventStore,
        Expected,
        NewEvent,
        Query,
        Receipt,
        VerifyReport,
    )
    from toka.types import EventId

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds that reading and writing go on trying while no server answers."""

READERS: Final = 8
"""The most connections that read at once."""

_SNAPSHOTS_KEPT: Final = 2
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_LONGEST_WAIT: Final = 5.0
"""Seconds after which a subscriber looks although nothing was announced."""


class PostgresStore(PagedStore):
    """An `EventStore` in a schema of PostgreSQL; opened with `PostgresStore.open`, on asyncio.

    Any number of processes may write to one store: each append locks the head.
    """

    page_bytes: ClassVar[int] = 16 * 1024 * 1024

    def __init__(
        self, address: Address, readers: Pool, writer: Writer | None, patience: float
    ) -> None:
        """Prepare a store; `open` is what callers want."""
        super().__init__()
        self._address = address
        self._readers = readers
        self._writer = writer
        self._patience = patience
        self._listener = Listener(address)

    @classmethod
    async def open(
        cls,
        location: str,
        *,
        read_only: bool = False,
        create: bool = True,
        patience: float = PATIENCE,
    ) -> PostgresStore:
        """Open the store in a schema.

        Args:
            location: What follows `postgresql:`, as in `//user@host:5432/database?schema=toka`; the
                password may stand in it, and is best in the environment or a password file.
            read_only: Write nothing.
            create: Make the schema and its tables if there is no store.
            patience: Seconds to go on trying while no server answers.

        Raises:
            OpenRefused: It is missing, foreign, or of a newer format; or the location is none.
            Damaged: It is not as it was written.
            StoreFailed: The server cannot be reached, or refuses.
        """
        address = parse(location)
        try:
            connection = await connect(address, name="toka opening", read_only=read_only)
            try:
                await prepare(connection, address, create=create and not read_only)
            finally:
                await end(connection)
            readers = await pool(address, name="toka reader", size=READERS, read_only=True)
        except TROUBLE as error:
            raise failure(address.location, "Opening", error) from error
        store = cls(address, readers, None if read_only else Writer(address, patience), patience)
        store._listener.start()
        if store._writer is not None:
            store._writer.start()
        return store

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(durable=True, backup=False, compaction=True, shared_payloads=True)

    @property
    def location(self) -> str:
        return self._address.location

    # ---- writing

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] = NO_EXPECTATIONS,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        return await self._writable().append(events, streams, head, absent)

    def _writable(self) -> Writer:
        self._check_open()
        if self._writer is None:
            raise ReadOnlyStore(self.location)
        return self._writer

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        await self._writable().do(functools.partial(_save_snapshot, snapshot))

    async def compact(self, snapshot: str) -> Compaction:
        writer = self._writable()
        async with self._reader() as reader:
            target = await covered(reader, snapshot, self.location)
        events = size = 0
        while True:
            step = await writer.do(
                lambda locked: drop_payloads(locked.connection, self.location, target)
            )
            events += step.events
            size += step.size
            if step.end.position >= target:
                await self._vacuum()
                return Compaction(step.end.position, step.end.digest, events, size)

    async def _vacuum(self) -> None:
        """Have the server use the room of dropped payloads again, which it would do some day."""
        try:
            connection = await connect(self._address, name="toka vacuum")
            try:
                await connection.execute("VACUUM payload")
                await connection.execute("VACUUM event")
            finally:
                await end(connection)
        except TROUBLE as error:
            raise failure(self.location, "Vacuuming", error) from error

    # ---- reading

    async def _page(
        self, after: int, limit: int, where: Query, *, backward: bool, budget: int
    ) -> list[Event]:
        if not backward and where == EVERYTHING:
            return await self._ask(lambda reader: reader.page(after, limit, budget))
        return await self._ask(
            lambda reader: reader.selected(where, after, limit, backward=backward, budget=budget)
        )

    async def _stream_page(
        self, stream: str, after: int, limit: int, *, backward: bool, budget: int
    ) -> list[Event]:
        return await self._ask(
            lambda reader: reader.stream(stream, after, limit, backward=backward, budget=budget)
        )

    async def get(self, event_id: EventId) -> Event | None:
        identifier = pack_id(event_id)
        return await self._ask(lambda reader: reader.get(identifier))

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        return await self._ask(lambda reader: reader.related(event_id, limit=limit, causes=True))

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        return await self._ask(lambda reader: reader.related(event_id, limit=limit, causes=False))

    async def head(self) -> Head:
        return await self._ask(Reader.head)

    async def stream_version(self, stream: str) -> int:
        return (await self._ask(lambda reader: reader.versions([stream])))[stream]

    async def load_snapshot(self, name: str) -> Snapshot | None:
        return await self._ask(lambda reader: reader.snapshot(name))

    async def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        while not self._closed:
            news = self._listener.promise()
            try:
                page = await self._page(
                    after, self.page_events, EVERYTHING, backward=False, budget=self.page_bytes
                )
            except StoreClosed:
                return
            for event in page:
                yield event
                after = event.position
            if not page:
                try:
                    async with asyncio.timeout(_LONGEST_WAIT):
                        await news.wait()
                except TimeoutError:
                    continue

    @asynccontextmanager
    async def _reader(self) -> AsyncGenerator[Reader]:
        """Lend a reader of one snapshot of the database, so that a page fits together."""
        self._check_open()
        try:
            async with (
                self._readers.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield Reader(connection, self.location)
        except TROUBLE as error:
            self._check_open()  # or the trouble is that it was closed meanwhile
            raise failure(self.location, "Reading", error) from error

    async def _ask(self, ask: Callable[[Reader], Awaitable[T]]) -> T:
        """Ask until a server answers, for as long as the store is patient."""
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + self._patience, _FIRST_PAUSE
        while True:
            try:
                async with self._reader() as reader:
                    return await ask(reader)
            except StoreFailed as error:
                if not isinstance(error.__cause__, PASSING) or clock() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    # ---- keeping

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        async with self._reader() as reader:
            return await Verification(reader, self.location).run(progress, self._check_open)

    async def backup(self, path: str | Path) -> Head:
        raise Unsupported(
            f"{self.location} has no file to copy to {path}.",
            hint="Copy its events to a store on disk (toka store copy), or use pg_dump.",
        )

    async def stats(self) -> StoreStats:
        head, size, shared, compacted = await self._ask(_figures)
        pending = None if self._writer is None else self._writer.pending
        return StoreStats(
            self.location,
            head.position,
            size,
            0 if pending is None else pending.appended,
            0 if pending is None else pending.commits,
            0 if pending is None else pending.waiting,
            shared_payloads=shared,
            compacted=compacted,
        )

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            await self._writer.close()
        await self._listener.close()
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                await self._readers.close()
        except TROUBLE:
            self._readers.terminate()


async def _save_snapshot(snapshot: Snapshot, locked: Locked) -> None:
    """Keep a snapshot and drop the oldest of its name."""
    check_snapshot(snapshot, locked.head.position)
    connection, name = locked.connection, escape(snapshot.name)
    await connection.execute(
        "INSERT INTO snapshot (name, position, digest, checksum, data) VALUES ($1, $2, $3, $4, $5)"
        f" ON CONFLICT (left(name, {KEY}), md5(name), position) DO UPDATE"
        " SET digest = excluded.digest, checksum = excluded.checksum, data = excluded.data",
        name,
        snapshot.position,
        snapshot.digest,
        snapshot_checksum(snapshot),
        snapshot.data,
    )
    await connection.execute(
        f"DELETE FROM snapshot WHERE left(name, {KEY}) = $1 AND name = $2 AND position NOT IN"
        f" (SELECT position FROM snapshot WHERE left(name, {KEY}) = $1 AND name = $2"
        " ORDER BY position DESC LIMIT $3)",
        name[:KEY],
        name,
        _SNAPSHOTS_KEPT,
    )


async def _figures(reader: Reader) -> tuple[Head, int, int, int]:
    """Return the head, the bytes of all tables, the shared payloads, the compacted position."""
    fetchval = reader.connection.fetchval
    size = await fetchval(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    )
    shared = await fetchval("SELECT count(*) FROM payload")
    return await reader.head(), int(size), int(shared), (await reader.compacted()).position


if TYPE_CHECKING:
    _implements: type[EventStore] = PostgresStore
