"""Snapshots from the leader to a follower, whole or in pieces (paper, section 7 and figure 13).

In pieces, the leader sends one, waits for the answer that says how much is there, and sends what
follows. The last piece is an ordinary `SNAP`, so it is answered like one. Pieces of two senders or
two snapshots are never put together: the same entries need not give the same bytes everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import msgspec

from raft_core._errors import SnapshotUnavailableError
from raft_core._messages import Message, MessageType
from raft_core._progress import Outgoing, Progress

if TYPE_CHECKING:
    from raft_core._raft import Raft
    from raft_core._states import Snapshot


def send(raft: Raft, to: int, progress: Progress) -> bool:
    """Send the latest snapshot, or its first piece; say whether there was one to send."""
    if not progress.recent_active:
        return False  # nobody to send so much to
    try:
        snapshot = raft.log.storage.snapshot()
    except SnapshotUnavailableError:
        return False
    progress.become_snapshot(snapshot.index)
    progress.snapshot_tick = raft.ticks
    limit = raft.config.max_snapshot_chunk
    if limit and len(snapshot.data) > limit:
        progress.outgoing = Outgoing(snapshot)
        _send_piece(raft, to, progress.outgoing)
        return True
    raft.send(
        Message(type=MessageType.SNAP, to=to, sender=raft.id, term=raft.term, snapshot=snapshot)
    )
    return True


def _send_piece(raft: Raft, to: int, outgoing: Outgoing) -> None:
    snapshot, start = outgoing.snapshot, outgoing.offset
    end = start + raft.config.max_snapshot_chunk
    outgoing.sent_tick = raft.ticks
    raft.send(
        Message(
            type=MessageType.SNAP if end >= len(snapshot.data) else MessageType.SNAP_CHUNK,
            to=to,
            sender=raft.id,
            term=raft.term,
            snapshot=msgspec.structs.replace(snapshot, data=snapshot.data[start:end]),
            offset=start,
        )
    )


def on_chunk_response(raft: Raft, message: Message) -> None:
    """Send what follows the part that is there. Where that is nothing new, the answer is late."""
    progress = raft.tracker.progress.get(message.sender)
    if progress is None:
        return
    progress.recent_active = True
    outgoing = progress.outgoing
    if outgoing is None or outgoing.snapshot.index != message.index:
        return
    # Less than was sent before: the follower was restarted, and what it had is gone.
    if message.offset != outgoing.offset and message.offset < len(outgoing.snapshot.data):
        outgoing.offset = message.offset
        progress.snapshot_tick = raft.ticks
        _send_piece(raft, message.sender, outgoing)


def on_sign_of_life(raft: Raft, to: int, progress: Progress) -> None:
    """Send a piece again of which nothing was heard for an election timeout."""
    outgoing = progress.outgoing
    if outgoing is not None and raft.ticks - outgoing.sent_tick >= raft.config.election_tick:
        _send_piece(raft, to, outgoing)


# The follower


@attrs.define
class Incoming:
    """What has arrived of a snapshot, from one leader in one term."""

    snapshot: Snapshot
    data: bytearray

    def is_of(self, snapshot: Snapshot) -> bool:
        """Say whether a piece belongs to the same snapshot."""
        return msgspec.structs.replace(snapshot, data=b"") == self.snapshot


def put_together(raft: Raft, message: Message, snapshot: Snapshot) -> Snapshot | None:
    """Take a piece; return the snapshot if it was the last one, else ask for what follows."""
    if not message.offset:
        if message.type is MessageType.SNAP:
            return snapshot
        empty = msgspec.structs.replace(snapshot, data=b"")
        raft.incoming = Incoming(empty, bytearray())
    incoming = raft.incoming
    held = len(incoming.data) if incoming is not None and incoming.is_of(snapshot) else 0
    if incoming is not None and held == message.offset:
        incoming.data += snapshot.data
        held = len(incoming.data)
        if message.type is MessageType.SNAP:
            raft.incoming = None
            return msgspec.structs.replace(snapshot, data=bytes(incoming.data))
    raft.send(
        Message(
            type=MessageType.SNAP_CHUNK_RESP,
            to=message.sender,
            sender=raft.id,
            term=raft.term,
            index=snapshot.index,
            offset=held,
        )
    )
    return None
