"""Snapshots in files of their own.

A file is written aside, synced and renamed before the log mentions it, and the log holds its
checksum: a file that the log does not mention is not a snapshot yet, or no more.

    0   8 x  magic
    8   u32  checksum of all that follows
    12  u32  version
    16  u64  index
    24  u64  term
    32  u64  size of the data
    40  u32  size of the configuration
    44  u32  zero
    48       the configuration as MessagePack, then the data
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_core import ConfState, Snapshot
from raft_storage._errors import DamagedError, FormatError
from raft_storage._frames import VERSION
from raft_storage._ledger import TEMPORARY
from raft_storage._scan import SnapshotMark

if TYPE_CHECKING:
    from typing import Self

    from raft_storage._folder import File, Folder

PREFIX: Final = "snapshot-"
_MAGIC: Final = b"raftsnap"
_HEAD: Final = Struct("<IQQQII")
_START: Final = len(_MAGIC) + 4
_BODY: Final = _START + _HEAD.size
_CHUNK: Final = 2**20


@attrs.frozen
class _Head:
    index: int
    term: int
    data_at: int
    size: int
    conf_state: ConfState


def snapshot_name(index: int, term: int) -> str:
    """Return the name of a snapshot's file."""
    return f"{PREFIX}{index:020d}-{term:020d}"


def write_snapshot(folder: Folder, snapshot: Snapshot) -> SnapshotMark:
    """Write a snapshot durably; return what the log is to say of it."""
    name = snapshot_name(snapshot.index, snapshot.term)
    conf = msgspec.msgpack.encode(snapshot.conf_state)
    head = _HEAD.pack(VERSION, snapshot.index, snapshot.term, len(snapshot.data), len(conf), 0)
    checksum = zlib.crc32(snapshot.data, zlib.crc32(head + conf))
    file = folder.open(name + TEMPORARY, create=True)
    try:
        file.write(0, _MAGIC + checksum.to_bytes(4, "little") + head + conf)
        file.write(_BODY + len(conf), snapshot.data)
        file.sync()
    finally:
        file.close()
    folder.rename(name + TEMPORARY, name)
    folder.sync()
    return SnapshotMark(snapshot.index, snapshot.term, checksum)


def read_snapshot(folder: Folder, mark: SnapshotMark) -> Snapshot:
    """Return the snapshot that the log mentions.

    Raises:
        DamagedError: Its file is gone or changed.
        FormatError: It has another format.

    """
    with _Reader(folder, mark) as reader:
        head = reader.head()
        data = reader.file.read(head.data_at, head.size)
        reader.check(zlib.crc32(data, reader.checksum))
        return Snapshot(head.index, head.term, head.conf_state, data)


def check_snapshot(folder: Folder, mark: SnapshotMark) -> ConfState:
    """Read the snapshot that the log mentions, a piece at a time; return its configuration.

    Raises:
        DamagedError: Its file is gone or changed.
        FormatError: It has another format.

    """
    with _Reader(folder, mark) as reader:
        head = reader.head()
        checksum, end = reader.checksum, head.data_at + head.size
        for offset in range(head.data_at, end, _CHUNK):
            checksum = zlib.crc32(reader.file.read(offset, min(_CHUNK, end - offset)), checksum)
        reader.check(checksum)
        return head.conf_state


@attrs.define
class _Reader:
    """A snapshot's file, while it is being read."""

    folder: Folder
    mark: SnapshotMark
    name: str = attrs.field(init=False, default="")
    checksum: int = 0
    file: File = attrs.field(init=False)

    def __enter__(self) -> Self:
        self.name = snapshot_name(self.mark.index, self.mark.term)
        try:
            self.file = self.folder.open(self.name)
        except FileNotFoundError as error:
            raise DamagedError("the latest snapshot is missing", file=self.name) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def head(self) -> _Head:
        """Return what precedes the data; whether it is sound turns out at the end."""
        start = self.file.read(0, _BODY)
        if len(start) < _BODY or not start.startswith(_MAGIC):
            raise self._damaged()
        version, index, term, size, conf_size, _ = _HEAD.unpack_from(start, _START)
        if _BODY + conf_size + size != self.file.size():
            raise self._damaged()
        conf = self.file.read(_BODY, conf_size)
        self.checksum = zlib.crc32(start[_START:] + conf)
        if version != VERSION:
            raise FormatError(f"snapshot {index} has format {version}; this is {VERSION}")
        try:
            conf_state = msgspec.msgpack.decode(conf, type=ConfState)
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._damaged() from error
        return _Head(index, term, _BODY + conf_size, size, conf_state)

    def check(self, checksum: int) -> None:
        """Refuse a file that is not the one that the log mentions."""
        stored = int.from_bytes(self.file.read(len(_MAGIC), 4), "little")
        if not checksum == stored == self.mark.checksum:
            raise self._damaged()

    def _damaged(self) -> DamagedError:
        return DamagedError("the latest snapshot is not as it was written", file=self.name)
