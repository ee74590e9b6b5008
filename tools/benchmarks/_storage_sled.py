"""The store on LevelDB, beside plyvel given the same keys and values, ready made, and synced.

The peer shows what the engine takes, so that the ratio shows what checks, digests, the chain, the
look for taken identifiers and the record beside the engine cost.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeAlias

from benchmarks._storage_core import sample
from toka.store.core import pack_id
from toka.store.core.backend import Append
from toka.store.core.testing import EventSource
from toka.store.sled import SledStore
from toka.store.sled._draft import Draft
from toka.store.sled._engine import open_engine
from workshop.measure import Measure, at_least, scratch

if TYPE_CHECKING:
    from pathlib import Path

    from toka.store.core import NewEvent
    from toka.store.sled._engine import Batch, Engine, EngineName

_GROUP = 1_000
_GROUPS = 20
_ALONE = 300
_SCANNED = 100_000

_Keys: TypeAlias = "list[tuple[bytes, bytes]]"


def measures() -> list[Measure]:
    """Return what the disk and the interpreter decide."""
    return [
        Measure(
            "sled append, 1,000 an append, sync",
            "events/s",
            {"ours": store_groups, "plyvel": bare_groups},
            [at_least(0.6, times="plyvel")],
        ),
        Measure(
            "sled append, one an append, sync",
            "events/s",
            {"ours": store_one, "plyvel": bare_one},
            [at_least(0.9, times="plyvel")],
            runs=15,
        ),
        Measure("sled scan", "events/s", {"ours": store_scan}, [at_least(250_000)]),
    ]


# ---- ours


def store_groups() -> float:
    """Append a thousand events at a time."""
    return _GROUP * _GROUPS / asyncio.run(_append(_groups(_GROUPS, _GROUP)))


def store_one() -> float:
    """Append one event at a time."""
    return _ALONE / asyncio.run(_append(_groups(_ALONE, 1)))


def _groups(count: int, size: int) -> list[list[NewEvent]]:
    source = EventSource()
    return [sample(size, "run/agent", source) for _ in range(count)]


async def _append(groups: list[list[NewEvent]]) -> float:
    with scratch() as folder:
        async with await SledStore.open(f"{folder}?engine=leveldb") as store:
            began = time.perf_counter()
            for group in groups:
                await store.append(group)
            return time.perf_counter() - began


def store_scan() -> float:
    """Read a log, every event proved and decoded."""
    groups = _groups(_SCANNED // _GROUP, _GROUP)

    async def scan() -> float:
        with scratch() as folder:
            async with await SledStore.open(f"{folder}?engine=leveldb") as store:
                for group in groups:
                    await store.append(group)
                began = time.perf_counter()
                count = 0
                async for _ in store.read():
                    count += 1
                return count / (time.perf_counter() - began)

    return asyncio.run(scan())


# ---- by hand


def bare_groups() -> float:
    """Write the keys of a thousand events at a time."""
    return _GROUP * _GROUPS / _write(_groups(_GROUPS, _GROUP))


def bare_one() -> float:
    """Write the keys of one event at a time."""
    return _ALONE / _write(_groups(_ALONE, 1))


def _write(groups: list[list[NewEvent]]) -> float:
    with scratch() as folder:
        batches = _keys(folder / "model", groups)
        engine = open_engine("leveldb", folder / "bare", create=True)
        began = time.perf_counter()
        for keys in batches:
            batch = engine.batch()
            put = batch.put
            for key, value in keys:
                put(key, value)
            engine.write(batch)
        took = time.perf_counter() - began
        engine.close()
        return took


def _keys(folder: Path, groups: list[list[NewEvent]]) -> list[_Keys]:
    """Return the keys and values that our store writes for appends of these events."""
    engine = _Noting(open_engine("leveldb", folder, create=True, sync=False))
    draft = Draft(engine, "")
    nobody: asyncio.Future[object] = asyncio.Future(loop=asyncio.new_event_loop())
    for events in groups:
        ids = [pack_id(event.id) for event in events]
        draft.add(Append(nobody, 0, events, ids, {}, None, ()))
        draft.commit()
    engine.close()
    return engine.noted


class _Noting:
    """An engine that notes what is put into it."""

    def __init__(self, engine: Engine) -> None:
        self.name: EngineName = engine.name
        self.view = engine.view
        self.close = engine.close
        self.compact = engine.compact
        self._engine = engine
        self.noted: list[_Keys] = []

    def batch(self) -> _Note:
        return _Note(self._engine.batch())

    def write(self, batch: Batch) -> None:
        """Write, and keep what was written."""
        assert isinstance(batch, _Note)  # noqa: S101 - ours
        self._engine.write(batch.inner)
        self.noted.append(batch.keys)


class _Note:
    def __init__(self, inner: Batch) -> None:
        self.inner = inner
        self.keys: _Keys = []

    def put(self, key: bytes, value: bytes) -> None:
        self.inner.put(key, value)
        self.keys.append((key, value))

    def delete(self, key: bytes) -> None:
        self.inner.delete(key)
