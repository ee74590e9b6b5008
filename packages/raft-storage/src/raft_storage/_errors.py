"""Every error this package raises, beside those of reading that raft_core defines.

RaftStorageError             (a raft_core.StorageError)
├── RefusedWriteError        the write contradicts what is stored; nothing has changed
├── NotFoundError            no store here; it must be created on purpose
├── ExistsError              a store is here already
├── LockedError              somebody else has it open
├── ClosedError              this object is closed, or belongs to the process before a fork
├── ReadOnlyError            the folder cannot be written to
├── NoSpaceError             the disk is full; nothing has changed, try again when there is space
├── WriteFailedError         the disk failed: this store is of no more use to this process
├── FormatError              written in a format that this installation cannot read
└── DamagedError             what was durable is gone or changed
    └── HoleError            ... in the log: these entries, and votes since then, are in doubt
"""

from __future__ import annotations

from typing import ClassVar

from raft_core import StorageError


class RaftStorageError(StorageError):
    """Say what the store could not do, and why."""

    code: ClassVar[str] = "raft_storage.error"


class RefusedWriteError(RaftStorageError, ValueError):
    """The write contradicts what is stored, or itself. Nothing has changed."""

    code = "raft_storage.refused"


class NotFoundError(RaftStorageError):
    """There is no store here.

    `open` never makes one: a node that lost its disk would come back without its votes.
    """

    code = "raft_storage.not_found"


class ExistsError(RaftStorageError):
    """There is a store here already."""

    code = "raft_storage.exists"


class LockedError(RaftStorageError):
    """Another process, or another object in this one, has the store open."""

    code = "raft_storage.locked"


class ClosedError(RaftStorageError):
    """The store is closed, or was opened by the process that this one was forked from."""

    code = "raft_storage.closed"


class ReadOnlyError(RaftStorageError):
    """The folder cannot be written to."""

    code = "raft_storage.read_only"


class NoSpaceError(RaftStorageError):
    """The disk is full. Nothing has changed; the same write may be tried again."""

    code = "raft_storage.no_space"


class WriteFailedError(RaftStorageError):
    """A write or a sync failed, so nobody knows what the disk holds.

    After a failed sync the system may count lost pages as clean and let the next sync succeed
    (Rebello et al., USENIX ATC 2020). So this store refuses everything from here on, and keeps its
    lock as long as the process lives. A new process reads what the disk really holds.
    """

    code = "raft_storage.write_failed"


class FormatError(RaftStorageError):
    """The store has a format that this installation cannot read."""

    code = "raft_storage.format"


class DamagedError(RaftStorageError):
    """What was durable is gone or changed. The store is left as it was found.

    Attributes:
        file: The file that is damaged or missing.
        offset: Where in it the first fault was noticed.

    """

    code = "raft_storage.damaged"

    def __init__(self, reason: str, *, file: str, offset: int = 0) -> None:
        super().__init__(f"{file}, byte {offset}: {reason}")
        self.file: str = file
        self.offset: int = offset


class HoleError(DamagedError):
    """Acknowledged parts of the log are lost.

    The node must not vote, nor count as having these entries: remove it from its group and add it
    under a new id with an empty store, so that the leader sends it everything.

    Attributes:
        first_index: The first entry in doubt.
        last_index: The last entry in doubt; below `first_index` if only a vote or a commit is lost.

    """

    code = "raft_storage.hole"

    def __init__(
        self, reason: str, *, file: str, offset: int = 0, first_index: int, last_index: int
    ) -> None:
        lost = f"entries {first_index} to {last_index}" if first_index <= last_index else "a vote"
        super().__init__(f"{reason}; lost: {lost}", file=file, offset=offset)
        self.first_index: int = first_index
        self.last_index: int = last_index
