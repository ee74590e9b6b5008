"""Snapshots too large for memory: written aside in pieces, by one thread beside all others.

Raft needs to know only that there is a snapshot, and where. So a node is given a `StreamedStorage`,
its `SNAP` messages carry no data, and the application sends the data itself: from a
`SnapshotReader` here into a `SnapshotWriter` there. When that is durable, the message is stepped,
and what is written goes with the `save` that it leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_storage._errors import NoSpaceError, RefusedWriteError
from raft_storage._writer import is_full

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Self

    from raft_core import ConfState
    from raft_storage._scan import SnapshotMark
    from raft_storage._snapshots import SnapshotDraft


class SnapshotWriter:
    """A snapshot that is being written; a context manager that removes what was not kept.

    Made by `FileStorage.write_snapshot`, kept by `FileStorage.keep_snapshot` or `save`.
    """

    def __init__(
        self, draft: SnapshotDraft, disk: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._draft = draft
        self._disk = disk
        self._finished = self._over = False
        with disk():
            self._on_full(draft.open)

    @property
    def index(self) -> int:
        """Return where the snapshot ends."""
        return self._draft.index

    @property
    def term(self) -> int:
        """Return the term of the entry there."""
        return self._draft.term

    @property
    def conf_state(self) -> ConfState:
        """Return who belonged to the group then."""
        return self._draft.conf_state

    @property
    def size(self) -> int:
        """Return how many bytes were written."""
        return self._draft.size

    @property
    def checksum(self) -> int:
        """Return what tells the finished snapshot from any other, here and on other nodes."""
        return self._draft.checksum

    def write(self, data: bytes) -> None:
        """Write what follows; it need not be on the disk when this returns.

        Raises:
            NoSpaceError: There is no room. What was written is removed.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            RefusedWriteError: The snapshot is finished.
            ClosedError: The store is closed.

        """
        self._check(finished=False)
        with self._disk():
            self._on_full(lambda: self._draft.write(data))

    def finish(self) -> None:
        """Make it durable. It is no snapshot of the store yet, and removed if that is opened anew.

        Keeping does it too, but then the log waits for it.

        Raises:
            NoSpaceError: There is no room. What was written is removed.
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            RefusedWriteError: It was kept or removed already.
            ClosedError: The store is closed.

        """
        if not self._finished:
            self._check(finished=False)
            with self._disk():
                self._on_full(self._draft.finish)
            self._finished = True

    def settle(self) -> SnapshotMark:
        """Give it its name and return what the log is to say of it: `FileStorage` does that."""
        self.finish()
        self._check(finished=True)
        self._over = True
        return self._draft.keep()

    def discard(self) -> None:
        """Remove it, unless it was kept. Twice is no error.

        Raises:
            WriteFailedError: The disk failed, now or before: this process is done with the store.
            ClosedError: The store is closed; opening it removes what is left.

        """
        if not self._over:
            self._over = True
            self._draft.file.close()
            with self._disk():
                self._draft.remove()

    def _check(self, *, finished: bool) -> None:
        if self._over or self._finished is not finished:
            raise RefusedWriteError(f"snapshot {self.index} was finished, kept or removed before")

    def _on_full(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            if not is_full(error):
                raise
            self.discard()
            raise NoSpaceError(f"no room for a snapshot of over {self.size} bytes") from error

    def __enter__(self) -> Self:
        """Return the writer; what it wrote is removed at the end of the block, unless kept."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not kept."""
        self.discard()
