"""What happens to files at rest: cut short, flipped, overwritten, gone."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def truncate_file(path: Path, size: int) -> None:
    """Cut a file off after so many bytes.

    Raises:
        OSError: It cannot be written.
    """
    os.truncate(path, size)


def flip_bit(path: Path, offset: int, bit: int = 0) -> None:
    """Change one bit of a file.

    Raises:
        ValueError: The file is not that long.
        OSError: It cannot be written.
    """
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        if not byte:
            raise ValueError(f"{path.name} has no byte {offset}.")
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1 << bit]))


def zero_tail(path: Path, size: int) -> None:
    """Make the last bytes of a file zeros, as blocks that were allocated and never written.

    Raises:
        OSError: It cannot be written.
    """
    _overwrite_tail(path, bytes(min(size, path.stat().st_size)))


def garbage_tail(path: Path, size: int, seed: int = 0) -> None:
    """Make the last bytes of a file what was in those blocks before.

    Raises:
        OSError: It cannot be written.
    """
    chance = Random(seed)  # noqa: S311 - a test's
    _overwrite_tail(path, chance.randbytes(min(size, path.stat().st_size)))


def _overwrite_tail(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(-len(data), os.SEEK_END)
        file.write(data)
