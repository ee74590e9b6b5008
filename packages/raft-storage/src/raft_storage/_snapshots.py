"""Snapshots in files of their own, written and read in pieces.

A file is written aside, synced and renamed before the log mentions it, and the log holds its
checksum: a file that the log does not mention is not a snapshot yet, or no more.

    0   8 x  magic
    8   u32  checksum of the data, then of all from the version to the end of the configuration
    12  u32  version
    16  u64  index
    24  u64  term
    32  u64  size of the data
    40  u32  size of the configuration
    44  u32  zero
    48       the configuration as MessagePack, then the data

The head comes last, in the checksum as in the writing: only the end says how much data there is.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_core import ConfState
from raft_storage._errors import DamagedError, FormatError
from raft_storage._ledger import TEMPORARY
from raft_storage._scan import SnapshotMark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from raft_storage._folder import File, Folder

PREFIX: Final = "snapshot-"
_MAGIC: Final = b"raftsnap"
_VERSION: Final = 2
_HEAD: Final = Struct("<IQQQII")
_START: Final = len(_MAGIC) + 4
_BODY: Final = _START + _HEAD.size
_CHUNK: Final = 2**20
#: So much is synced at a time: a file system's journal lets the log's syncs wait for all of it.
_SYNCED: Final = 8 * 2**20


def snapshot_name(index: int, term: int) -> str:
    """Return the name of a snapshot's file."""
    return f"{PREFIX}{index:020d}-{term:020d}"


@attrs.define
class SnapshotDraft:
    """A snapshot's file, aside, while it is being written."""

    folder: Folder
    number: int
    """Of the drafts of this process: nothing keeps two from being of the same snapshot."""
    index: int
    term: int
    conf_state: ConfState
    size: int = 0
    """Of the data so far."""
    file: File = attrs.field(init=False)
    checksum: int = 0
    _conf: bytes = attrs.field(init=False)
    _unsynced: int = 0

    @property
    def name(self) -> str:
        """Return the name that it has so far."""
        return f"{snapshot_name(self.index, self.term)}-{self.number}{TEMPORARY}"

    def open(self) -> None:
        """Make the file."""
        self._conf = msgspec.msgpack.encode(self.conf_state)
        self.file = self.folder.open(self.name, create=True)

    def write(self, data: bytes) -> None:
        """Write what follows."""
        self.file.write(_BODY + len(self._conf) + self.size, data)
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += len(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNCED:
            self.file.sync()
            self._unsynced = 0

    def finish(self) -> None:
        """Write the head, durably. Whatever is there before that is no snapshot."""
        conf = self._conf
        head = _HEAD.pack(_VERSION, self.index, self.term, self.size, len(conf), 0) + conf
        self.checksum = zlib.crc32(head, self.checksum)
        self.file.write(0, _MAGIC + self.checksum.to_bytes(4, "little") + head)
        self.file.sync()
        self.file.close()

    def keep(self) -> SnapshotMark:
        """Give it its name, durably; return what the log is to say of it."""
        self.folder.rename(self.name, snapshot_name(self.index, self.term))
        self.folder.sync()
        return SnapshotMark(self.index, self.term, self.checksum)

    def remove(self) -> None:
        """Have it not be there."""
        self.folder.remove(self.name)


def check_snapshot(folder: Folder, mark: SnapshotMark) -> ConfState:
    """Read the snapshot that the log mentions, a piece at a time; return its configuration.

    Raises:
        DamagedError: Its file is gone or changed.
        FormatError: It has another format.

    """
    with SnapshotReader(folder, mark) as reader:
        for _ in reader.pieces():
            pass
        return reader.conf_state


class SnapshotReader:
    """The latest snapshot as of when this was made, to be read in pieces; a context manager.

    It can be read to its end even if a later one takes its place meanwhile.
    """

    index: int
    term: int
    conf_state: ConfState
    size: int
    """Of the data."""

    def __init__(self, folder: Folder, mark: SnapshotMark) -> None:
        self.index, self.term, self.checksum = mark.index, mark.term, mark.checksum
        self._name = snapshot_name(mark.index, mark.term)
        try:
            self._file = folder.open(self._name)
        except FileNotFoundError as error:
            raise DamagedError("the latest snapshot is missing", file=self._name) from error
        try:
            self._head = self._read_head()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        """Return the reader; it is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; twice is no error."""
        self._file.close()

    def read(self) -> bytes:
        """Return all the data.

        Raises:
            DamagedError: It is not as it was written.

        """
        return b"".join(self.pieces(max(self.size, 1)))

    def pieces(self, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield the data, so many bytes at a time; take it for true only when all of it came.

        Raises:
            DamagedError: It is not as it was written, as turns out at the end.

        """
        checksum, offset, end = 0, self._data_at, self._data_at + self.size
        while offset < end:
            data = self._file.read(offset, min(size, end - offset))
            if not data:
                raise self._damaged()
            checksum = zlib.crc32(data, checksum)
            offset += len(data)
            yield data
        stored = int.from_bytes(self._file.read(len(_MAGIC), 4), "little")
        if not zlib.crc32(self._head, checksum) == stored == self.checksum:
            raise self._damaged()

    def _read_head(self) -> bytes:
        """Take what precedes the data; whether it is sound turns out at the end."""
        start = self._file.read(0, _BODY)
        if len(start) < _BODY or not start.startswith(_MAGIC):
            raise self._damaged()
        version, _, _, self.size, conf_size, _ = _HEAD.unpack_from(start, _START)
        self._data_at = _BODY + conf_size
        if self._data_at + self.size != self._file.size():
            raise self._damaged()
        if version != _VERSION:
            raise FormatError(f"snapshot {self.index} has format {version}; this is {_VERSION}")
        conf = self._file.read(_BODY, conf_size)
        try:
            self.conf_state = msgspec.msgpack.decode(conf, type=ConfState)
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._damaged() from error
        return start[_START:] + conf

    def _damaged(self) -> DamagedError:
        return DamagedError("the latest snapshot is not as it was written", file=self._name)
