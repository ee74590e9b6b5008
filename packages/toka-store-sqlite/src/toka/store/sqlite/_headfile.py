"""The second place: where the log ends, written beside the database after every commit.

SQLite ends its write-ahead log at the first frame whose checksum is wrong. One flipped byte there
makes every later commit vanish, and the database is still whole by its own measure. Only a record
outside it can tell; it has to cost nothing, so it is one `pwrite` of 64 bytes and no `fsync`:

- It is written after the commit it names is on disk, so it never leads what is durable (with
  `synchronous=normal` it may, after a power cut; then what is missing was acknowledged and is
  reported).
- It is in the page cache when the append is acknowledged, so it survives the death of the process.
  After a power cut it may lag, and then proves the log up to where it had got.
- Two slots are written in turn, each with a checksum, so a torn write leaves the other.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Final

from toka.store.core import Head

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"TOKAHEAD"
_RECORD: Final = struct.Struct(">8sQ32s")
_SUM: Final = struct.Struct(">I12x")
_SLOT: Final = _RECORD.size + _SUM.size


class HeadFile:
    """The open file; closed by `close`."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            OSError: It cannot be opened.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._turn = 0

    def write(self, head: Head) -> None:
        """Record a head that is on disk.

        Raises:
            OSError: The file cannot be written.
        """
        record = _RECORD.pack(_MAGIC, head.position, head.digest)
        os.pwrite(self._descriptor, record + _SUM.pack(zlib.crc32(record)), self._turn * _SLOT)
        self._turn ^= 1

    def rewrite(self, head: Head) -> None:
        """Forget what both slots say, record `head`, and wait until it is on disk.

        Raises:
            OSError: The file cannot be written.
        """
        self.write(head)
        self.write(head)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Wait until the record is on disk, and close.

        Raises:
            OSError: It cannot be written.
        """
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)


def read_head(path: Path) -> Head | None:
    """Return the newest head on record, or None where no slot is sound.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
    """
    data = path.read_bytes()
    slots = [_slot(data[start : start + _SLOT]) for start in (0, _SLOT)]
    return max((head for head in slots if head), key=lambda head: head.position, default=None)


def _slot(data: bytes) -> Head | None:
    if len(data) != _SLOT:
        return None
    record = data[: _RECORD.size]
    magic, position, digest = _RECORD.unpack(record)
    if magic != _MAGIC or _SUM.pack(zlib.crc32(record)) != data[_RECORD.size :]:
        return None
    return Head(position, digest)
