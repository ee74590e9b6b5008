# ruff: noqa: S101 - tests, shipped for others to run
"""Items 11, 12, 15, 17, 20, 22: the disk fails, others write, readers stay, input is odd."""

from __future__ import annotations

import errno
import inspect
import re
import shutil
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Literal

import anyio
import attrs
import pytest

from toka.store.core import (
    MAX_PAYLOAD_BYTES,
    InvalidEvent,
    PayloadTooLarge,
    Receipt,
    StoreError,
    StoreFailed,
    StoreLocked,
    WrongVersion,
    open_store,
)
from toka.store.core.conformance.crash._base import CrashBase
from toka.store.core.conformance.crash._judge import check, demand
from toka.store.core.conformance.crash._promises import Workload
from toka.store.core.testing import EventSource, LossyDisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OTHER = """
import anyio, sys
from toka.store.core import StoreLocked, open_store

async def main():
    try:
        async with await open_store(sys.argv[1]):
            print("opened")
    except StoreLocked:
        print("refused")

anyio.run(main)
"""

_FORK = """
import anyio, os, sys, warnings
from toka.store.core import StoreError, open_store
from toka.store.core.testing import EventSource

warnings.simplefilter("ignore", DeprecationWarning)

async def main():
    store = await open_store(sys.argv[1])
    await store.append([EventSource().new()])
    child = os.fork()
    if not child:
        code = 1
        try:
            # By hand, for the event loop does not run here; a guard raises before it waits.
            store.append([EventSource(1).new()]).send(None)
        except StoreError:
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    await store.append([EventSource(2).new()])
    await store.aclose()
    print("refused" if os.waitstatus_to_exitcode(status) == 0 else "written")

anyio.run(main)
"""


@pytest.mark.anyio
class FaultCrashes(CrashBase):
    """What fails is said, and what was said before still holds."""

    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[LossyDisk]:
        """Return a disk that can fail."""
        with LossyDisk(tmp_path / "lossy") as disk:
            yield disk

    @pytest.mark.parametrize(
        ("call", "code"),
        [("write", errno.ENOSPC), ("write", errno.EIO), ("sync", errno.EIO)],
    )
    async def test_c11_a_failing_disk_fails_the_append_and_loses_nothing(
        self, disk: LossyDisk, rounds: int, call: Literal["write", "sync"], code: int
    ) -> None:
        failed = 0
        for seed in range(max(1, rounds // 10)):
            folder = disk.folder / str(seed)
            folder.mkdir()
            failed += await self._failing(self.address(folder), disk, seed, call, code)
            shutil.rmtree(folder)
        assert failed, "no append ever failed"

    async def _failing(
        self, url: str, disk: LossyDisk, seed: int, call: Literal["write", "sync"], code: int
    ) -> bool:
        work, failed = Workload(seed), False
        store = await open_store(url)
        await work.append(store, disk)
        disk.fail(call, code, after=Random(seed).randrange(30))  # noqa: S311
        try:
            for _ in range(30):
                await work.append(store, disk)
        except StoreFailed:
            failed = True
        disk.heal()
        if failed and call == "sync":  # what the page cache holds after it is anyone's guess
            with pytest.raises(StoreFailed):
                await store.append([EventSource(9).new()])
        await store.aclose()
        acknowledged = max(each.receipt.last for each in work.promises.kept if each.receipt)
        await demand(url, work.promises, acknowledged)
        return failed

    async def test_c12_a_second_writer_is_refused_wherever_it_comes_from(self, place: Path) -> None:
        folder = place / "store"
        folder.mkdir()
        url = self.address(folder)
        async with await open_store(url) as store:
            await store.append([EventSource().new()])
            with pytest.raises(StoreLocked):
                await open_store(url)
            assert await _other(_OTHER, url) == "refused"
            shutil.copytree(folder, place / "copied")
            with pytest.raises(StoreLocked):
                await open_store(url)
            assert await _other(_OTHER, url) == "refused"
        assert await _other(_OTHER, url) == "opened"

    async def test_c12_a_child_process_cannot_write(self, place: Path) -> None:
        folder = place / "store"
        folder.mkdir()
        assert await _other(_FORK, self.address(folder)) == "refused"
        async with await open_store(self.address(folder)) as store:
            assert (await store.head()).position == 2  # noqa: PLR2004
            assert (await store.verify()).ok

    async def test_c15_a_reader_that_stays_does_not_let_the_files_grow(self, place: Path) -> None:
        source = EventSource()
        async with await open_store(self.address(place)) as store:
            await store.append(source.several(600))
            reader = store.read()
            first = await anext(reader)
            for _ in range(100):
                await store.append([source.new(payload=bytes(40_000)) for _ in range(2)])
            stats = await store.stats()
            assert stats.unmerged_bytes < stats.stored_bytes
            assert stats.stored_bytes < 4 * 200 * 40_000
            rest = [event.position async for event in reader]
            assert [first.position, *rest] == list(range(1, 801))

    async def test_c17_of_equal_expectations_exactly_one_wins(self, place: Path) -> None:
        source, results = EventSource(), list[Receipt | WrongVersion]()
        async with await open_store(self.address(place)) as store:
            await store.append([source.new()])

            async def append() -> None:
                try:
                    results.append(await store.append([source.new()], streams={"stream": 1}))
                except WrongVersion as error:
                    results.append(error)

            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(append)
            losers = [each for each in results if isinstance(each, WrongVersion)]
            assert len(results) - len(losers) == 1
            assert all(each.details["actual"] == 2 for each in losers)  # noqa: PLR2004

    async def test_c20_odd_input_is_kept_or_refused_and_survives(
        self, disk: LossyDisk, place: Path
    ) -> None:
        work = Workload(20)
        # Not the largest there is, for each of its pages crosses the file system of ours.
        large = work.source.new(payload=bytes(8 * 1024 * 1024))
        empty = attrs.evolve(work.source.new(payload=b""), time=0)
        async with await open_store(self.address(disk.folder)) as store:
            for bad in ("kind\udc80", "", "k" * 2_000):
                with pytest.raises(InvalidEvent):
                    await store.append([attrs.evolve(work.source.new(), kind=bad)])
            receipt = await store.append([large, empty])
            disk.mark("kept")
            with pytest.raises(StoreError):
                await store.append([attrs.evolve(work.source.new(), id=empty.id)])
        # A disk that keeps nothing but what is synchronised, and names by their folder only.
        recording = disk.recording()
        image = recording.cut(recording.index("kept"), "lost", strict=True)
        with self.materialised(image, place) as url:
            async with await open_store(url, create=False) as store:
                assert (await store.head()).digest == receipt.head
                assert [event.new() async for event in store.read()] == [large, empty]

    async def test_c20_the_largest_payload_is_kept_and_one_byte_more_is_refused(
        self, place: Path
    ) -> None:
        source, url = EventSource(20), self.address(place)
        largest = source.new(payload=bytes(MAX_PAYLOAD_BYTES))
        async with await open_store(url) as store:
            await store.append([largest])
            with pytest.raises(PayloadTooLarge):
                await store.append([source.new(payload=bytes(MAX_PAYLOAD_BYTES + 1))])
        async with await open_store(url, create=False) as store:
            assert [event.new() async for event in store.read()] == [largest]

    async def test_c22_all_items_of_the_checklist_are_here(self, place: Path) -> None:
        names = [name for name, _ in inspect.getmembers(type(self), callable)]
        numbers = {int(match[1]) for name in names if (match := re.match(r"test_c(\d\d)_", name))}
        assert numbers == set(range(1, 23))
        async with await open_store(self.address(place)) as store:
            assert store.capabilities.durable
            await check(store, Workload(0).promises, 0)


async def _other(program: str, url: str) -> str:
    command = [sys.executable, "-c", program, url]
    done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
    assert not done.returncode, done.stderr.decode()
    return done.stdout.decode().strip()
