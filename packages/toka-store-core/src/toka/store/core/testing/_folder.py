"""A folder for tests of anything but the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_MEMORY: Final = "/dev/shm"  # noqa: S108 - the folder in it gets a name that nobody can guess
_LEAST: Final = 512 * 1024 * 1024


@contextmanager
def memory_folder() -> Generator[Path]:
    """Lend a folder in memory, where waiting for the disk costs nothing.

    SIGKILL and whatever a program does to its files are the same there. Where there is no memory
    to lend (Linux has it, and small containers too little), it is a usual temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="toka-", dir=_place()) as folder:
        yield Path(folder)


def _place() -> str | None:
    there = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _LEAST
    return _MEMORY if there else None
