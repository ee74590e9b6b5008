"""What the suites in `tools/benchmarks` are made of: `toka.performance`, and folders on a disk.

A suite is a module there with a function `measures()` that says what it measures.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from toka.performance import (
    Bar,
    Measure,
    NotInstalled,
    Row,
    Subject,
    at_least,
    at_most,
    rows,
    take_turns,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "Bar",
    "Measure",
    "NotInstalled",
    "Row",
    "Subject",
    "at_least",
    "at_most",
    "rows",
    "scratch",
    "scratch_for_ever",
    "take_turns",
]


@contextmanager
def scratch() -> Generator[Path]:
    """Lend a folder on a disk: where temporary files are kept in memory, syncing costs nothing."""
    with tempfile.TemporaryDirectory(prefix="toka-bench-", dir="/var/tmp") as folder:
        yield Path(folder)


def scratch_for_ever() -> Path:
    """Return a folder on a disk that is there until this process ends."""
    folder = tempfile.mkdtemp(prefix="toka-bench-", dir="/var/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
