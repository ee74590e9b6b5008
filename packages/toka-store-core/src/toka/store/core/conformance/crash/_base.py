"""What all parts of the checklist share: places, addresses, rounds and recorded runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from toka.store.core.conformance.crash._promises import run_appends, run_upkeep
from toka.store.core.testing import LossyDisk, memory_folder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from random import Random

    from toka.store.core.conformance.crash._promises import Run
    from toka.store.core.testing import DiskImage


_SEED: Final = 10 * int(os.environ.get("TOKA_CRASH_SEED", "0"))


class CrashBase:
    """How the tests find their stores; see the package for what a backend says."""

    relaxed_options: str = ""
    """What follows the address for a mode that may lose what it acknowledged."""
    unstable: tuple[str, ...] = ()
    """Endings of the names of files that opening may make or change."""

    @classmethod
    def address(cls, folder: Path) -> str:
        """Return the address of the store that keeps its files in a folder."""
        raise NotImplementedError("Define the method `address` in the subclass.")

    @pytest.fixture
    def rounds(self) -> int:
        """Return how often each crash is made."""
        return int(os.environ.get("TOKA_CRASH_ROUNDS", "200"))

    @pytest.fixture
    def place(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """Return a folder, best in memory, for nothing is lost there any more."""
        with memory_folder() as folder, memory_folder() as temporary:
            # For what a backend copies aside to look at it.
            monkeypatch.setattr(tempfile, "tempdir", str(temporary))
            yield folder

    @contextlib.contextmanager
    def materialised(self, image: DiskImage, place: Path) -> Generator[str]:
        """Put an image on a disk for a while, and give the address of the store in it."""
        folder = image.write_to(place / "image")
        try:
            yield self.address(folder)
        finally:
            shutil.rmtree(folder)

    def files(self, place: Path) -> list[Path]:
        """Return the files of the image that is there now."""
        return sorted(each for each in (place / "image").rglob("*") if each.is_file())

    def a_file(self, place: Path, chance: Random) -> Path | None:
        """Return one that is not empty, if there is one."""
        files = [each for each in self.files(place) if each.stat().st_size]
        return chance.choice(files) if files else None

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory: pytest.TempPathFactory) -> Run:
        """Return a run of appends."""
        with LossyDisk(tmp_path_factory.mktemp("run") / "lossy") as disk:
            return anyio.run(run_appends, cls.address(disk.folder), disk, 1 + _SEED)

    @pytest.fixture(scope="class")
    @classmethod
    def relaxed_run(cls, tmp_path_factory: pytest.TempPathFactory) -> Run | None:
        """Return a run of the mode that may lose something, where there is one."""
        if not cls.relaxed_options:
            return None
        with LossyDisk(tmp_path_factory.mktemp("relaxed") / "lossy") as disk:
            url = cls.address(disk.folder) + cls.relaxed_options
            return anyio.run(run_appends, url, disk, 2 + _SEED)

    @pytest.fixture(scope="class")
    @classmethod
    def upkeep_run(cls, tmp_path_factory: pytest.TempPathFactory) -> Run:
        """Return a run with closing, copying and compacting."""
        with LossyDisk(tmp_path_factory.mktemp("upkeep") / "lossy") as disk:
            return anyio.run(run_upkeep, cls.address(disk.folder), disk, 3 + _SEED)
