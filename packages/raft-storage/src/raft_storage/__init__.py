"""A durable log, hard state and snapshots for Raft, in files and in memory."""

from raft_storage._checksum import ChecksumKind
from raft_storage._errors import (
    ClosedError,
    DamagedError,
    ExistsError,
    FormatError,
    HoleError,
    LockedError,
    NoSpaceError,
    NotFoundError,
    RaftStorageError,
    ReadOnlyError,
    RefusedWriteError,
    WriteFailedError,
)
from raft_storage._files import FileStorage
from raft_storage._folder import File, Folder, Lock
from raft_storage._memory import MemoryStorage
from raft_storage._opening import Settings
from raft_storage._protocol import LogStore
from raft_storage._recovery import Recovery
from raft_storage._repair import Repair, repair
from raft_storage._snapshots import SnapshotReader
from raft_storage._streamed import StreamedStorage
from raft_storage._streaming import SnapshotWriter
from raft_storage._system import SystemFolder

__all__ = [
    "ChecksumKind",
    "ClosedError",
    "DamagedError",
    "ExistsError",
    "File",
    "FileStorage",
    "Folder",
    "FormatError",
    "HoleError",
    "Lock",
    "LockedError",
    "LogStore",
    "MemoryStorage",
    "NoSpaceError",
    "NotFoundError",
    "RaftStorageError",
    "ReadOnlyError",
    "Recovery",
    "RefusedWriteError",
    "Repair",
    "Settings",
    "SnapshotReader",
    "SnapshotWriter",
    "StreamedStorage",
    "SystemFolder",
    "WriteFailedError",
    "repair",
]
