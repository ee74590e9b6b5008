"""Snapshots from the leader to a follower, whole or in pieces (paper, section 7 and figure 13).

In pieces, the leader sends one, waits for the answer that says how much is there, and sends what
follows. The last piece is an ordinary `SNAP`, so it is answered like one. Pieces of two senders or
two snapshots are never put together: the same entries need not give the same bytes everywhere.

A follower gets a snapshot because its log ends where the leader's begins, or because its own
application asked for one. In the second case entries go on beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import msgspec

from raft_core import _transfer
from raft_core._entries import NO_NODE
from raft_core._errors import SnapshotUnavailableError
from raft_core._messages import Message, MessageType
from raft_core._progress import Outgoing, Progress, ProgressState
from raft_core._states import Role

if TYPE_CHECKING:
    from raft_core._raft import Raft
    from raft_core._states import Snapshot


def send(raft: Raft, to: int, progress: Progress) -> bool:
    """Send the latest snapshot, or its first piece; say whether there was one to send."""
    if not progress.recent_active:
        return False  # nobody to send so much to
    snapshot = _latest(raft)
    if snapshot is None:
        return False
    progress.become_snapshot(snapshot.index)
    _begin(raft, to, progress, snapshot)
    return True


def _latest(raft: Raft) -> Snapshot | None:
    try:
        return raft.log.storage.snapshot()
    except SnapshotUnavailableError:
        return None


def _begin(raft: Raft, to: int, progress: Progress, snapshot: Snapshot) -> None:
    progress.snapshot_tick = raft.ticks
    if to in raft.tracker.conf.witnesses:
        snapshot = msgspec.structs.replace(snapshot, data=b"")
    limit = raft.config.max_snapshot_chunk
    if limit and len(snapshot.data) > limit:
        progress.outgoing = Outgoing(snapshot)
        _send_piece(raft, to, progress.outgoing)
        return
    raft.send(
        Message(type=MessageType.SNAP, to=to, sender=raft.id, term=raft.term, snapshot=snapshot)
    )


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
    """Begin what was asked for; send a piece again of which nothing was heard for long."""
    if progress.state is not ProgressState.SNAPSHOT:
        _serve_request(raft, to, progress)
    outgoing = progress.outgoing
    if outgoing is not None and raft.ticks - outgoing.sent_tick >= raft.config.election_tick:
        _send_piece(raft, to, outgoing)


def _serve_request(raft: Raft, to: int, progress: Progress) -> None:
    """Send a snapshot beside the entries, which need not wait: the follower's log is whole."""
    wanted, outgoing = progress.wanted_snapshot, progress.outgoing
    if outgoing is not None and not 0 < wanted <= outgoing.snapshot.index:
        progress.outgoing = outgoing = None
    if not wanted or outgoing is not None:
        return
    patience = raft.config.snapshot_timeout_tick or raft.config.election_tick
    if progress.snapshot_tick and raft.ticks - progress.snapshot_tick < patience:
        return  # it may be under way still
    snapshot = _latest(raft)
    if snapshot is not None and snapshot.index >= wanted:
        _begin(raft, to, progress, snapshot)
    else:
        # Reading a snapshot in vain costs something, too: not with every heartbeat.
        progress.snapshot_tick = raft.ticks + raft.config.election_tick - patience


# The follower


def request(raft: Raft) -> None:
    """Apply nothing more until a snapshot has replaced the application's state.

    The entries are not at fault: the log stays, and so does all that was promised of it. So this
    node may have to lead, if nobody else's log is as good; but then it looks for a successor.
    """
    log = raft.log
    if log.unstable.snapshot is not None:
        return  # one is about to be put into the application
    own = _latest(raft)
    log.wanted_snapshot = max(log.applying, own.index + 1 if own is not None else 1)
    raft.quiescent = False
    if raft.role is Role.LEADER:
        _transfer.hand_over(raft)
    elif raft.lead != NO_NODE:
        raft.send(
            Message(
                type=MessageType.HEARTBEAT_RESP,
                to=raft.lead,
                sender=raft.id,
                term=raft.term,
                index=log.wanted_snapshot,
            )
        )


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
