"""Writing: many appends, one transaction, one commit of the server.

One task owns the one connection that writes. It takes all that waits, locks the head, asks once for
all that the appends depend on, judges them in order, writes their rows and commits. Nobody is
answered before the commit has returned.

Where the connection is lost, the outcome of the transaction in hand is not known. The same appends
are then tried on a new connection: those that were stored are recognised by their identifiers and
get their receipt, the others are stored; so no restart of a server stores one twice or half. When
no server answers for as long as the store is patient, they fail, and the caller may repeat them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar, cast

import attrs

from toka.store.core import AppendRefused, StoreClosed, StoreError, pack_id
from toka.store.core.backend import Append, Job, Pending, Progress
from toka.store.postgres._connection import PASSING, TROUBLE, connect, end, failure
from toka.store.postgres._draft import Draft, Known
from toka.store.postgres._reader import Reader
from toka.store.postgres._rows import STORED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from toka.store.core import Absent, Event, Expected, Head, NewEvent, Receipt
    from toka.store.core.backend import Item, Outcome
    from toka.store.postgres._address import Address
    from toka.store.postgres._connection import Connection

T = TypeVar("T")

_GROUP: Final = 1_024
_GROUP_BYTES: Final = 16 * 1024 * 1024
_COPIED_FROM: Final = 16
"""Rows from which COPY, with its own round trips, is faster than an INSERT each."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0

_INSERT: Final = (
    f"INSERT INTO event ({', '.join(STORED)})"
    f" VALUES ({', '.join(f'${number}' for number in range(1, len(STORED) + 1))})"
)

# The bytes that are there are left alone: an UPDATE of them would store them again.
_INSERT_PAYLOAD: Final = (
    "INSERT INTO payload (digest, last, data) VALUES ($1, $2, $3)"
    " ON CONFLICT (digest) DO UPDATE SET last = excluded.last"
)

logger = logging.getLogger(__name__)


@attrs.frozen
class Locked:
    """What a job works with: a transaction that has locked the head."""

    connection: Connection
    head: Head


class Writer:
    """What waits to be written, and the task that writes it."""

    def __init__(self, address: Address, patience: float) -> None:
        """Prepare a writer.

        Args:
            address: Of the store.
            patience: Seconds to go on trying while no server answers.
        """
        self._address = address
        self._patience = patience
        self._connection: Connection | None = None
        self._queue: deque[Item] = deque()
        self._news = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.pending = Pending()

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="toka-postgres-writer")

    # ---- what callers do

    async def append(
        self,
        events: Sequence[NewEvent],
        streams: Mapping[str, Expected],
        head: int | None,
        absent: Sequence[Absent],
    ) -> Receipt:
        """Have an append written, and return when it is committed.

        Raises:
            InvalidEvent: A field breaks a rule, or there is no event.
            StoreBusy: Too much waits already.
        """
        self._check_open()
        append = self.pending.append(events, streams, head, absent)
        self._put(append)
        return cast("Receipt", await append.future)

    async def do(self, action: Callable[[Locked], Awaitable[T]]) -> T:
        """Have something done in the writer's order, in a transaction of its own.

        It may be done twice, where the connection is lost.
        """
        self._check_open()
        job = self.pending.job(action)
        self._put(job)
        return cast("T", await job.future)

    def _check_open(self) -> None:
        if self._closing:
            raise StoreClosed(self._address.location)

    def _put(self, item: Item) -> None:
        self._queue.append(item)
        self._news.set()

    async def close(self) -> None:
        """Let what waits be written, then end the task and the connection."""
        self._closing = True
        self._news.set()
        if self._task is not None:
            await self._task

    # ---- the task

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                items = self._take()
                try:
                    await self._answer(items)
                except Exception as error:
                    logger.exception("Writing to %s failed", self._address.location)
                    self.pending.settle(self._failed(items, error))
            if self._closing:
                if self._connection is not None:
                    await end(self._connection)
                return

    async def _answer(self, items: list[Item]) -> None:
        try:
            progress = await self._persist(items)
        except StoreError as error:
            if len(items) > 1:  # what is damaged concerns one of them
                for item in items:
                    await self._answer([item])
                return
            progress = Progress([(items[0], None, error)], self.pending.head)
        self.pending.settle(progress)

    def _take(self) -> list[Item]:
        """Take what is written in one transaction: one job, or many appends."""
        items = [self._queue.popleft()]
        size = items[0].size
        if isinstance(items[0], Job):
            return items
        while self._queue and len(items) < _GROUP:
            item = self._queue[0]
            size += item.size
            if isinstance(item, Job) or size > _GROUP_BYTES:
                break
            items.append(self._queue.popleft())
        return items

    async def _persist(self, items: list[Item]) -> Progress:
        """Write until it is certain that it is written, or patience ends."""
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + self._patience, _FIRST_PAUSE
        while True:
            try:
                return await self._transact(items)
            except PASSING as error:
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                if clock() + pause > deadline:
                    return self._failed(items, error)
                logger.info("Trying %s again after: %s", self._address.location, error)
            except TROUBLE as error:
                return self._failed(items, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _failed(self, items: list[Item], error: Exception) -> Progress:
        return Progress(
            [(item, None, failure(self._address.location, "Writing to", error)) for item in items],
            self.pending.head,
        )

    async def _transact(self, items: list[Item]) -> Progress:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = self._connection = await connect(self._address, name="toka writer")
        async with connection.transaction():
            reader = Reader(connection, self._address.location)
            head = await reader.head(lock=True)
            if isinstance(items[0], Job):
                job = cast("Job[Locked]", items[0])
                return Progress([await _do(job, Locked(connection, head))], head)
            appends = [item for item in items if isinstance(item, Append)]
            draft = Draft(await _inquire(reader, head, appends))
            outcomes = [_judge(draft, append) for append in appends]
            if draft.rows:
                await self._write(connection, draft)
        return Progress(outcomes, draft.head, len(draft.rows), bool(draft.rows))

    async def _write(self, connection: Connection, draft: Draft) -> None:
        if len(draft.rows) < _COPIED_FROM:
            await connection.executemany(_INSERT, draft.rows)
        else:
            await connection.copy_records_to_table("event", records=draft.rows, columns=STORED)
        if draft.edges:
            await connection.copy_records_to_table(
                "cause", records=draft.edges, columns=("parent", "child")
            )
        if draft.tags:
            await connection.copy_records_to_table(
                "tag", records=draft.tags, columns=("value", "position")
            )
        if draft.payloads:
            rows = [(digest, last, data) for digest, (last, data) in draft.payloads.items()]
            await connection.executemany(_INSERT_PAYLOAD, rows)
        await connection.execute(
            "WITH told AS (SELECT pg_notify($3, $1::bigint::text))"
            " UPDATE head SET position = $1::bigint, digest = $2 FROM told",
            draft.head.position,
            draft.head.digest,
            self._address.channel,
        )


def _judge(draft: Draft, append: Append) -> Outcome:
    try:
        return append, draft.add(append), None
    except AppendRefused as error:
        return append, None, error


async def _do(job: Job[Locked], locked: Locked) -> Outcome:
    try:
        return job, await cast("Awaitable[object]", job.action(locked)), None
    except StoreError as error:
        return job, None, error


async def _inquire(reader: Reader, head: Head, appends: Sequence[Append]) -> Known:
    """Ask for everything that the appends will be judged by."""
    wanted = {identifier for append in appends for identifier in append.ids}
    parents = _parents(appends) - wanted
    places = await reader.positions([*wanted, *parents])
    streams = {event.stream for append in appends for event in append.events}
    streams.update(stream for append in appends for stream in append.streams)
    found: dict[Absent, int] = {}
    for demand in {demand for append in appends for demand in append.absent}:
        first = await reader.first(demand.query, demand.after)
        if first is not None:
            found[demand] = first
    return Known(
        head,
        places,
        await reader.versions(list(streams)),
        await _repeated(reader, head, places, appends),
        found,
    )


def _parents(appends: Sequence[Append]) -> set[bytes]:
    return {
        pack_id(parent) for append in appends for event in append.events for parent in event.parents
    }


async def _repeated(
    reader: Reader, head: Head, places: dict[bytes, int], appends: Sequence[Append]
) -> dict[int, Event]:
    positions: set[int] = set()
    for append in appends:
        first = places.get(append.ids[0])
        if first is not None:
            positions.update(range(first, min(first + len(append.ids), head.position + 1)))
    if not positions:
        return {}
    return {event.position: event for event in await reader.at(sorted(positions))}
