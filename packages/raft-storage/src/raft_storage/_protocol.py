"""What a store promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from raft_core import Storage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from raft_core import ConfState, Entry, HardState, Snapshot


class LogStore(Storage, Protocol):
    """A log, a hard state and a snapshot that outlast their process, as far as they can.

    `raft_core` reads it as its `Storage`; the methods added here write. A write is on disk when its
    method returns, whole. If it raises, nothing of it has changed.

    One thread at a time may write. Of a `FileStorage`, others may read meanwhile.
    """

    @property
    def store_id(self) -> UUID:
        """Return what distinguishes this store from every other, also from one in its place.

        Make it part of a voter's identity: who lost a disk is another voter.
        """
        ...

    def save(
        self,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        hard_state: HardState | None = None,
    ) -> None:
        """Do the writes of one `Ready`, all of them or none.

        A snapshot replaces the whole log. Entries replace those at their indexes and above. A
        commit index that changed alone need not be durable, so it waits for the next write.

        Raises:
            RefusedWriteError: It contradicts what is stored, or itself.
            NoSpaceError: There is no room; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        ...

    def create_snapshot(self, index: int, conf_state: ConfState, data: bytes) -> Snapshot:
        """Keep the application's state after everything up to an applied index.

        Raises:
            RefusedWriteError: There is a later snapshot, or no such entry.
            NoSpaceError: There is no room; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        ...

    def compact(self, index: int) -> None:
        """Drop the entries up to and with an index; the latest snapshot must cover them.

        Raises:
            RefusedWriteError: They are gone already, or no snapshot covers them.
            NoSpaceError: There is no room to note it; try again when there is.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed.

        """
        ...

    def verify(self) -> None:
        """Read everything, from the disk if there is one.

        Raises:
            DamagedError: Something is not as it was written.
            ClosedError: The store is closed.

        """
        ...

    def close(self) -> None:
        """Let others open the store. Twice is no error."""
        ...

    def __enter__(self) -> Self:
        """Return the store; it is closed at the end of the block."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
