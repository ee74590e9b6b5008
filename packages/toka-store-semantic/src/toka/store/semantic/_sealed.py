"""Files that are believed only whole: a digest before the bytes it vouches for.

    "toka.sealed.1" and a line feed, BLAKE3 of all that follows, the log position in 8 bytes, data

A file is written beside its place, synced and moved there, so it is there whole or not at all. It
is read once, and what was checked is what is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs
from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"toka.sealed.1\n"
_DIGEST: Final = 32
_POSITION: Final = 8
_HEAD: Final = len(_MAGIC) + _DIGEST + _POSITION


@attrs.frozen
class Sealed:
    """What a sealed file holds."""

    position: int
    """In the log: what the data was derived from."""
    data: bytes = attrs.field(repr=False)


def seal(path: Path, sealed: Sealed) -> None:
    """Write a sealed file in place of what was there.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    position = sealed.position.to_bytes(_POSITION, "big")
    digest = blake3(position, max_threads=blake3.AUTO).update(sealed.data).digest()
    draft = path.with_name(f"{path.name}.new")
    with draft.open("wb") as file:
        for part in (_MAGIC, digest, position, sealed.data):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def unseal(path: Path) -> Sealed | None:
    """Return what a sealed file holds, or None where it is missing, torn or changed.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, rest = data[len(_MAGIC) : len(_MAGIC) + _DIGEST], memoryview(data)[_HEAD - _POSITION :]
    if not data.startswith(_MAGIC) or len(data) < _HEAD:
        return None
    if blake3(rest, max_threads=blake3.AUTO).digest() != digest:
        return None
    return Sealed(int.from_bytes(rest[:_POSITION], "big"), data[_HEAD:])
