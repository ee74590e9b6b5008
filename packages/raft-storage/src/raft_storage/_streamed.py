"""A store as `raft_core` is to see it if snapshots go another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_storage._files import FileStorage

if TYPE_CHECKING:
    from raft_core import Snapshot


@attrs.define(eq=False, init=False, repr=False)
class StreamedStorage(FileStorage):
    """A `FileStorage` whose snapshots go another way than through Raft: see `open_snapshot`."""

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot without its data, which is not read for that.

        Raises:
            SnapshotUnavailableError: There is none.
            ClosedError: The store is closed.
            WriteFailedError: The disk failed before.

        """
        return self.snapshot_head()
