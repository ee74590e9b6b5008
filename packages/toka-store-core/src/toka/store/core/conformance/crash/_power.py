# ruff: noqa: S101 - tests, shipped for others to run
"""Items 1 to 5, 10, 14, 16, 18, 21: the power fails, or the process dies."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from toka.store.core import open_store
from toka.store.core.conformance.crash._base import CrashBase
from toka.store.core.conformance.crash._judge import demand, judge
from toka.store.core.conformance.crash._promises import Workload
from toka.store.core.testing import Recording, garbage_tail, zero_tail
from toka.store.core.testing._record import Sync, SyncFolder, Write

if TYPE_CHECKING:
    from pathlib import Path

    from toka.store.core.conformance.crash._promises import Run
    from toka.store.core.testing import DiskImage


@pytest.mark.anyio
class PowerCrashes(CrashBase):
    """What is acknowledged survives."""

    async def _demand(self, run: Run, at: int, image: DiskImage, place: Path) -> None:
        with self.materialised(image, place) as url:
            await demand(url, run.promises, run.acknowledged(at))

    async def test_c01_what_is_acknowledged_survives_a_power_cut(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        for seed in range(rounds):
            at = run.moment(Random(seed))  # noqa: S311
            image = run.recording.cut(at, seed=seed, strict=seed % 4 == 3)  # noqa: PLR2004
            await self._demand(run, at, image, place)

    async def test_c02_a_disk_that_does_not_wait_loses_something(
        self, run: Run, relaxed_run: Run | None, place: Path
    ) -> None:
        """Prove the harness: without the store's `fsync`, the same test has to fail."""
        deaf = [each for each in run.recording.records if not isinstance(each, Sync | SyncFolder)]
        assert await self._lost(run, Recording(deaf), place)
        if relaxed_run is not None:
            assert await self._lost(relaxed_run, relaxed_run.recording, place)

    async def _lost(self, run: Run, recording: Recording, place: Path) -> int:
        end, lost = len(recording.records), 0
        acknowledged = run.acknowledged(len(run.recording.records))
        for seed in range(20):
            with self.materialised(recording.cut(end, seed=seed), place) as url:
                try:
                    lost += await judge(url, run.promises, acknowledged) != "sound"
                except AssertionError:
                    lost += 1
        return lost

    async def test_c03_what_is_acknowledged_survives_the_process(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        """Take the state after SIGKILL at any call, for the page cache survives the process."""
        for seed in range(rounds):
            at = run.moment(Random(seed))  # noqa: S311
            await self._demand(run, at, run.recording.kill(at), place)

    async def test_c04_a_last_write_torn_at_any_byte_is_harmless(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        records, chance = run.recording.records, Random(4)  # noqa: S311
        first = run.recording.index("open")
        writes = [at for at in range(first, len(records)) if isinstance(records[at], Write)]
        for number in range(rounds):
            at = writes[-1 - number % 40 % len(writes)]
            record = records[at]
            assert isinstance(record, Write)
            torn = chance.randint(0, len(record.data))
            await self._demand(run, at, run.recording.kill(at, torn), place)

    async def test_c05_a_tail_of_zeros_or_garbage_is_found_or_harmless(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        for seed in range(rounds):
            chance = Random(seed)  # noqa: S311
            at = run.moment(chance)
            with self.materialised(run.recording.kill(at), place) as url:
                path = self.a_file(place, chance)
                if path is None:
                    continue
                damage = chance.choice((zero_tail, garbage_tail))
                damage(path, chance.choice((1, 100, 4_096, 20_000)))
                await judge(url, run.promises, run.acknowledged(at))

    async def test_c10_an_append_is_there_as_a_whole_or_not_at_all(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        largest = max(
            (each.receipt for each in run.promises.kept if each.receipt),
            key=lambda receipt: receipt.last - receipt.first,
        )
        end = run.recording.index(f"ack {largest.last}")
        for seed in range(rounds):
            at = end - seed // 3 % 30
            fate = ("kept", "lost", "torn")[seed % 3]
            image = run.recording.cut(at, fate, seed=seed)  # type: ignore[arg-type]  # one of three
            await self._demand(run, at, image, place)

    async def test_c14_a_crash_of_closing_copying_and_compacting_loses_nothing(
        self, upkeep_run: Run, place: Path, rounds: int
    ) -> None:
        for seed in range(rounds):
            at = upkeep_run.moment(Random(seed))  # noqa: S311
            recording = upkeep_run.recording
            image = recording.cut(at, seed=seed) if seed % 2 else recording.kill(at)
            await self._demand(upkeep_run, at, image, place)

    async def test_c16_an_append_of_unknown_outcome_can_be_repeated(
        self, run: Run, place: Path
    ) -> None:
        for seed in range(20):
            at = run.moment(Random(seed))  # noqa: S311
            with self.materialised(run.recording.cut(at, seed=seed), place) as url:
                async with await open_store(url) as store:
                    for promise in run.promises.kept:
                        assert await store.append(promise.events) == promise.receipt
                    assert (await store.verify()).ok

    async def test_c18_a_subscription_goes_on_behind_the_crash_without_gap_or_repeat(
        self, run: Run, place: Path
    ) -> None:
        for seed in range(10):
            chance = Random(seed)  # noqa: S311
            at = run.moment(chance)
            with self.materialised(run.recording.cut(at, seed=seed), place) as url:
                async with await open_store(url) as store:
                    head = (await store.head()).position
                    after = chance.randint(0, head)
                    await store.append(Workload(1_000 + seed).batch(3))
                    seen: list[int] = []
                    subscription = store.subscribe(after)
                    async for event in subscription:
                        seen.append(event.position)
                        if event.position == head + 3:
                            break
                    await subscription.aclose()
                    assert seen == list(range(after + 1, head + 4))

    async def test_c21_one_seed_gives_one_crash_bit_for_bit(self, run: Run, place: Path) -> None:
        at = len(run.recording.records) // 2
        assert run.recording.cut(at, seed=7) == run.recording.cut(at, seed=7)
        with self.materialised(run.recording.kill(at), place) as url:
            async with await open_store(url) as store:
                digests = [event.digest async for event in store.read()]
        events = iter(run.promises.events())
        copy = self.address(place / "again")
        (place / "again").mkdir()
        async with await open_store(copy) as store:
            for _ in digests:
                await store.append([next(events)])
            assert [event.digest async for event in store.read()] == digests
