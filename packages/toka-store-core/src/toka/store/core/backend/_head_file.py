"""The second place: where the log ends, written in a file of its own after every commit.

An engine that lost the end of its own log opens with what is left of it, or with nothing, and finds
nothing wrong: SQLite ends its write-ahead log at the first frame whose checksum is off, LevelDB
opens without a log that was deleted. Only a record outside it can tell; it has to cost nothing, so
it is one `pwrite` of 64 bytes and no `fsync`:

- It is written after the commit it names is on disk, so it never leads what is durable (with
  `synchronous=normal` it may, after a power cut; then what is missing was acknowledged and is
  reported).
- It is in the page cache when the append is acknowledged, so it survives the death of the process.
  After a power cut it may lag, and then proves the log up to where it had got.
- Two slots are written in turn, each with a checksum, so a torn write leaves the other.

The file also counts the commits, which is how a reader beside a writer learns of each.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Final

import attrs

from toka.store.core._event import Head

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"TOKAHEAD"
_OLDER_MAGIC: Final = b"TOKASLED"
_RECORD: Final = struct.Struct(">8sQQ32s")
_OLDER_RECORD: Final = struct.Struct(">8sQ32s")
"""Of files that did not count commits."""
_SUM: Final = struct.Struct(">I4x")
_SLOT: Final = _RECORD.size + _SUM.size


@attrs.frozen
class Recorded:
    """What the file says."""

    commits: int
    """How many there were since the store was made."""
    head: Head


class HeadFile:
    """The open file; closed by `close`."""

    def __init__(self, path: Path) -> None:
        """Open the file and go on counting, or make it.

        Raises:
            OSError: It cannot be opened.
        """
        recorded = read_head(path)
        self._commits = 0 if recorded is None else recorded.commits
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def write(self, head: Head) -> None:
        """Record a head that is on disk.

        Raises:
            OSError: The file cannot be written.
        """
        commits = self._commits = self._commits + 1
        record = _RECORD.pack(_MAGIC, commits, head.position, head.digest)
        os.pwrite(self._descriptor, record + _SUM.pack(zlib.crc32(record)), commits % 2 * _SLOT)

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


def read_head(path: Path) -> Recorded | None:
    """Return the newest head on record, or None where no slot is sound or there is no file.

    Raises:
        OSError: It cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    slots = [_slot(data[start : start + _SLOT]) for start in (0, _SLOT)]
    sound = [each for each in slots if each is not None]
    return max(sound, key=lambda each: (each.commits, each.head.position), default=None)


def _slot(data: bytes) -> Recorded | None:
    if len(data) != _SLOT:
        return None
    if _is_sound(data, _RECORD.size, (_MAGIC, _OLDER_MAGIC)):
        _, commits, position, digest = _RECORD.unpack_from(data)
        return Recorded(commits, Head(position, digest))
    if _is_sound(data, _OLDER_RECORD.size, (_MAGIC,)):
        _, position, digest = _OLDER_RECORD.unpack_from(data)
        return Recorded(0, Head(position, digest))
    return None


def _is_sound(data: bytes, size: int, magics: tuple[bytes, ...]) -> bool:
    record, checksum = data[:size], data[size : size + 4]
    return record.startswith(magics) and zlib.crc32(record) == int.from_bytes(checksum, "big")
