"""Specifications that were read, for as long as their files are what they were."""

from __future__ import annotations

import stat
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from toka.orchestration._spec_set import load_specs
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toka.orchestration._spec_set import SpecSet

KEPT: Final = 64
SETTLED: Final = 2 * NANOSECONDS
"""A file that was changed just now may be changed again within the same tick of its time stamp."""

_Mark: TypeAlias = tuple[int, int, int, int, int]


class SpecCache:
    """The newest specifications that came from single files. Safe to use from several threads."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        """Begin with nothing.

        Args:
            now: Tells the time, in nanoseconds, by the clock of the file system.
        """
        self._now = now
        self._kept: OrderedDict[Path, tuple[_Mark, SpecSet]] = OrderedDict()

    def find(self, path: Path) -> SpecSet | None:
        """Return what `load` would return without reading more than the file's time stamps."""
        kept = self._kept.get(path)
        return kept[1] if kept is not None and kept[0] == _mark_of(path) else None

    def load(self, path: Path) -> SpecSet:
        """Return what `load_specs` does.

        Raises:
            SpecError: Something is wrong.
        """
        mark = _mark_of(path)
        kept = self._kept.get(path)
        if kept is not None and kept[0] == mark:
            return kept[1]
        specs = load_specs(path)
        if mark is not None and self._now() - max(mark[3:]) > SETTLED and mark == _mark_of(path):
            self._kept[path] = (mark, specs)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return specs


def _mark_of(path: Path) -> _Mark | None:
    """Return what is another value after a file has changed; None for what is no file."""
    try:
        found = path.stat()
    except OSError:
        # Whoever reads it says so better.
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
