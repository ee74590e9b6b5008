"""What a node wants done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from raft_core._entries import Entry
    from raft_core._messages import Message
    from raft_core._states import HardState, ReadState, Snapshot, SoftState


@attrs.frozen
class Ready:
    """What is to be done since the last time, in this order.

    1. Send `messages`. They promise nothing about this node's disk, so they may leave first, while
       the disk works (dissertation section 10.2.1).
    2. Write `snapshot`, then `entries`, then `hard_state`, and sync if `must_sync` or there is a
       snapshot.
    3. Send `persisted_messages`: they promise that all of it is on disk.
    4. Put `snapshot` into the application, then apply `committed_entries`; what changes members
       goes through `apply_conf_change`.
    5. Call `advance`.

    With asynchronous storage writes, 2 to 5 do not apply: `messages` holds requests to the storage
    threads as well, which carry all that and the answers to deliver when it is done. Then the
    other fields are for the curious.
    """

    messages: tuple[Message, ...] = ()
    """Send at once."""
    entries: tuple[Entry, ...] = ()
    """Write; they replace what is there at their indexes and above."""
    hard_state: HardState | None = None
    """Write, if there is one."""
    snapshot: Snapshot | None = None
    """Write in place of the whole log, and put into the application. `entries` that come with it
    may have been acknowledged before: write all of it or nothing."""
    must_sync: bool = False
    """Entries, term or vote changed: a promise rests on them. A new commit index alone may wait."""
    persisted_messages: tuple[Message, ...] = ()
    """Send once everything above is on disk."""
    committed_entries: tuple[Entry, ...] = ()
    """Apply."""
    read_states: tuple[ReadState, ...] = ()
    """Reads that may run as soon as their index is applied."""
    soft_state: SoftState | None = None
    """What changed in who leads and who this node is; nothing to do about it."""
