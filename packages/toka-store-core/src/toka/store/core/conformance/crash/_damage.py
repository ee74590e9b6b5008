# ruff: noqa: S101 - tests, shipped for others to run
"""Items 6 to 9, 13, 19: bytes change at rest, and files are missing."""

from __future__ import annotations

import shutil
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest

from toka.store.core import StoreError, Unsupported, open_store
from toka.store.core.conformance.crash._base import CrashBase
from toka.store.core.conformance.crash._judge import check, judge
from toka.store.core.conformance.crash._promises import Workload
from toka.store.core.testing import LossyDisk, flip_bit
from toka.store.core.testing._record import Write

if TYPE_CHECKING:
    from pathlib import Path

    from toka.store.core import Head
    from toka.store.core.conformance.crash._promises import Run


@pytest.mark.anyio
class DamageCrashes(CrashBase):
    """What is not as it was written is named, or does not matter."""

    async def test_c06_a_flipped_bit_anywhere_is_found_or_harmless(
        self, run: Run, upkeep_run: Run, place: Path, rounds: int
    ) -> None:
        verdicts: set[str] = set()
        for seed in range(rounds):
            chance, each = Random(seed), (run, upkeep_run)[seed % 2]  # noqa: S311
            with self.materialised(each.end, place) as url:
                path = self.a_file(place, chance)
                assert path is not None
                flip_bit(path, chance.randrange(path.stat().st_size), chance.randrange(8))
                verdicts.add(await judge(url, each.promises, each.all_acknowledged))
        assert verdicts - {"sound"}, "no flip was ever found"

    async def test_c07_a_flipped_bit_of_what_was_acknowledged_is_never_passed_over(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        verdicts: set[str] = set()
        for seed in range(rounds):
            with self.materialised(run.end, place) as url:
                if self._flip_written(run, Random(seed), place):  # noqa: S311
                    verdicts.add(await judge(url, run.promises, run.all_acknowledged))
        assert verdicts - {"sound"}, "no flip was ever found"

    def _flip_written(self, run: Run, chance: Random, place: Path) -> bool:
        """Flip a bit of what was written since the store was opened, if it is still there."""
        records = run.recording.records[run.recording.index("open") :]
        writes = [each for each in records if isinstance(each, Write) and each.data.strip(b"\0")]
        write = chance.choice(writes)
        if write.file not in run.names:
            return False
        path = place / "image" / run.names[write.file]
        offset = write.offset + chance.randrange(len(write.data))
        if offset >= path.stat().st_size:
            return False
        flip_bit(path, offset, chance.randrange(8))
        return True

    async def test_c08_opening_what_is_damaged_repairs_nothing(
        self, run: Run, place: Path, rounds: int
    ) -> None:
        refused = 0
        for seed in range(rounds):
            with self.materialised(run.end, place) as url:
                self._flip_written(run, Random(seed), place)  # noqa: S311
                before = self._contents(place)
                try:
                    async with await open_store(url, create=False):
                        continue
                except StoreError:
                    refused += 1
                    assert self._contents(place) == before
        assert refused, "no damage was ever refused"

    def _contents(self, place: Path) -> dict[str, bytes]:
        return {
            each.name: each.read_bytes()
            for each in self.files(place)
            if not each.name.endswith(self.unstable)
        }

    async def test_c09_a_missing_file_is_named_or_not_needed(
        self, run: Run, upkeep_run: Run, place: Path
    ) -> None:
        verdicts: list[str] = []
        for each in (run, upkeep_run):
            for name in each.end.files:
                with self.materialised(each.end, place) as url:
                    (place / "image" / name).unlink()
                    verdicts.append(await judge(url, each.promises, each.all_acknowledged))
        assert set(verdicts) - {"sound"}, "no file was ever missed"

    async def test_c13_a_copy_made_while_writing_is_a_whole_store(
        self, tmp_path: Path, place: Path
    ) -> None:
        with LossyDisk(tmp_path / "lossy") as disk:
            work, target = Workload(13), place / "copy"
            async with await open_store(self.address(disk.folder)) as store:
                if not store.capabilities.backup:
                    with pytest.raises(Unsupported):
                        await store.backup(target)
                    return
                await work.append(store, disk)
                heads: list[Head] = []

                async def copy() -> None:
                    heads.append(await store.backup(target))

                async with anyio.create_task_group() as group:
                    group.start_soon(work.burst, store, disk, 20)
                    group.start_soon(copy)
                scheme, head = store.location.partition(":")[0], heads[0]
        assert head.position >= 1
        async with await open_store(f"{scheme}:{target}", create=False) as store:
            assert await store.head() == head
            assert (await store.verify()).ok
            await check(store, work.promises, head.position)

    async def test_c13_one_file_of_several_is_no_copy(self, run: Run, place: Path) -> None:
        for name in run.end.files:
            with self.materialised(run.end, place) as url:
                for other in self.files(place):
                    if other != place / "image" / name:
                        other.unlink()
                await judge(url, run.promises, run.all_acknowledged)

    async def test_c19_a_snapshot_that_leads_the_log_is_not_used(
        self, run: Run, place: Path
    ) -> None:
        """Cut the log under a snapshot, by every means of this suite, and ask for it."""
        for seed in range(40):
            chance = Random(seed)  # noqa: S311
            with self.materialised(run.recording.kill(run.moment(chance)), place) as url:
                path = self.a_file(place, chance)
                if path is None:
                    continue
                shutil.copy(path, place / "kept")
                with path.open("r+b") as file:
                    file.truncate(chance.randrange(path.stat().st_size))
                try:
                    async with await open_store(url) as store:
                        snapshot = await store.load_snapshot("state")
                        head = await store.head()
                except StoreError:
                    continue
                assert snapshot is None or snapshot.position <= head.position
