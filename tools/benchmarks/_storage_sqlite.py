"""The store on SQLite, beside what one would write by hand and beside a library.

The peers on bare `sqlite3` use the tables and indexes that our store makes, with FULL, and are
given rows that are ready: they show what the engine takes, so that the ratio shows what checks,
digests, the chain and the record beside the database cost.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from benchmarks._storage_core import PAYLOAD, sample
from toka.store.core.testing import EventSource
from toka.store.sqlite import SqliteStore
from workshop.measure import Measure, NotInstalled, at_least, scratch

if TYPE_CHECKING:
    from pathlib import Path

    from toka.store.core import NewEvent

_APPENDERS = 100
_EACH = 40
_ALONE = 300
_SCANNED = 50_000
_INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_Row: TypeAlias = "tuple[int | bytes | None, ...]"
_Waiting: TypeAlias = "tuple[_Row, asyncio.Future[int]]"


def measures() -> list[Measure]:
    """Return what the disk and the interpreter decide."""
    return [
        Measure(
            "sqlite append, 100 appenders, FULL",
            "events/s",
            {
                "ours": store_many,
                "group-commit thread": thread_many,
                "eventsourcing": eventsourcing_save,
            },
            [at_least(0.8, times="group-commit thread"), at_least(8, times="eventsourcing")],
        ),
        Measure(
            "sqlite append, one appender, FULL",
            "events/s",
            {"ours": store_one, "sqlite3": bare_one},
            [at_least(0.8, times="sqlite3")],
        ),
        Measure(
            "sqlite append, one appender, NORMAL",
            "events/s",
            {"ours": partial(store_one, "?synchronous=normal"), "ours, FULL": store_one},
        ),
        Measure("sqlite scan", "events/CPU s", {"ours": store_scan}, [at_least(150_000)]),
    ]


# ---- ours


def store_many() -> float:
    """Append from a hundred tasks, each one event after the other."""
    source = EventSource()
    lists = [sample(_EACH, f"run/agent-{number}", source) for number in range(_APPENDERS)]

    async def append() -> float:
        with scratch() as folder:
            async with await SqliteStore.open(str(folder / "run.db")) as store:

                async def one(events: list[NewEvent]) -> None:
                    for event in events:
                        await store.append([event])

                began = time.perf_counter()
                await asyncio.gather(*map(one, lists))
                return time.perf_counter() - began

    return _APPENDERS * _EACH / asyncio.run(append())


def store_one(options: str = "") -> float:
    """Append from one task, each event when the one before is acknowledged."""
    events = sample(_ALONE)

    async def append() -> float:
        with scratch() as folder:
            async with await SqliteStore.open(f"{folder}/run.db{options}") as store:
                began = time.perf_counter()
                for event in events:
                    await store.append([event])
                return time.perf_counter() - began

    return _ALONE / asyncio.run(append())


def store_scan() -> float:
    """Read a log, every event proved and decoded."""
    events = sample(_SCANNED)

    async def scan() -> float:
        with scratch() as folder:
            async with await SqliteStore.open(str(folder / "run.db")) as store:
                await store.append(events)
                # Of both threads, the one that reads and the one that asks, and nothing else's.
                began = time.process_time()
                count = 0
                async for _ in store.read():
                    count += 1
                return count / (time.process_time() - began)

    return asyncio.run(scan())


# ---- by hand


def thread_many() -> float:
    """Append from a hundred tasks through a thread that commits what waits."""

    async def append() -> float:
        with scratch() as folder:
            writer = _GroupCommit(folder / "run.db")
            numbers = iter(range(1, _APPENDERS * _EACH + 1))

            async def one(stream: int) -> None:
                for version in range(1, _EACH + 1):
                    await writer.append(_row(next(numbers), stream, version))

            began = time.perf_counter()
            await asyncio.gather(*map(one, range(1, _APPENDERS + 1)))
            took = time.perf_counter() - began
            writer.close()
            return took

    return _APPENDERS * _EACH / asyncio.run(append())


def bare_one() -> float:
    """Insert and commit one row after the other, in this thread."""
    with scratch() as folder, closing(_database(folder / "run.db")) as connection:
        rows = [_row(number, 1, number) for number in range(1, _ALONE + 1)]
        began = time.perf_counter()
        for row in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_INSERT, row)
            connection.execute("COMMIT")
        return _ALONE / (time.perf_counter() - began)


class _GroupCommit:
    """What one writes by hand: a queue, a thread, one transaction for all that waits."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(path,), daemon=True)
        self._thread.start()

    async def append(self, row: _Row) -> int:
        """Return the position when the row is on disk."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._queue.put((row, future))
        return await future

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self, path: Path) -> None:
        with closing(_database(path)) as connection:
            while waiting := self._take():
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, [row for row, _ in waiting])
                connection.execute("COMMIT")
                self._loop.call_soon_threadsafe(self._answer, waiting)

    def _take(self) -> list[_Waiting]:
        waiting: list[_Waiting] = []
        each = self._queue.get()
        while each is not None:
            waiting.append(each)
            try:
                each = self._queue.get_nowait()
            except queue.Empty:
                return waiting
        return waiting

    def _answer(self, waiting: list[_Waiting]) -> None:
        for row, future in waiting:
            position = row[0]
            assert isinstance(position, int)  # noqa: S101 - says the type
            future.set_result(position)


def _database(path: Path) -> sqlite3.Connection:
    """Make the tables that our store makes, and open them as anyone would."""
    asyncio_free = threading.Thread(target=lambda: asyncio.run(_make(path)))
    asyncio_free.start()
    asyncio_free.join()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


async def _make(path: Path) -> None:
    await (await SqliteStore.open(str(path))).aclose()


def _row(position: int, stream: int, version: int) -> _Row:
    identifier = position.to_bytes(16, "big")
    digest = os.urandom(32)
    return (
        position, identifier, stream, version, 1, position, 1, 2, 3, None, None, digest, PAYLOAD,
        None,
    )  # fmt: skip


# ---- by a library


def eventsourcing_save() -> float:
    """Save an aggregate with one new event at a time, as the library's users do."""
    try:
        from benchmarks._storage_peers import Saver  # noqa: PLC0415 - may not be installed
    except ImportError as missing:
        raise NotInstalled(str(missing)) from missing
    with scratch() as folder:
        return Saver(folder / "run.db").saves_per_second(PAYLOAD)
