"""How a leader answers reads (dissertation section 6.4); the bookkeeping is in `_reads`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core._entries import NO_NODE
from raft_core._errors import ReadDroppedError
from raft_core._messages import Message, MessageType
from raft_core._states import ReadState

if TYPE_CHECKING:
    from raft_core._raft import Raft


def on_read_index(raft: Raft, request: Message) -> None:
    """Answer a read at once, when a quorum confirms, or when this term has a commit.

    Raises:
        ReadDroppedError: Too many reads wait already.

    """
    if len(raft.early_reads) + len(raft.read_only.pending) >= raft.config.max_pending_reads:
        raise ReadDroppedError(f"{raft.config.max_pending_reads} reads wait for a quorum already")
    if not raft.has_committed_in_term():
        # What an earlier leader committed may be more than this one knows yet; and the earlier
        # leader may have been the only voter itself, before it lost its commit index in a crash.
        raft.early_reads.append(request)
    else:
        _confirm(raft, request)


def _decides_alone(raft: Raft) -> bool:
    voters = raft.tracker.voters
    return voters.is_singleton and voters.ids[0] == raft.id


def _confirm(raft: Raft, request: Message) -> None:
    config = raft.config
    lease = config.election_tick - config.lease_margin_tick
    if _decides_alone(raft) or raft.read_only.holds_lease(
        raft.tracker.voters, raft.id, raft.ticks, lease
    ):
        _respond(raft, request, raft.log.committed)
        return
    raft.read_only.add(request, raft.log.committed, raft.id)
    raft.reads_unannounced = True


def on_commit(raft: Raft) -> None:
    """Take up the reads that came before this term had a commit."""
    if raft.early_reads and raft.has_committed_in_term():
        requests, raft.early_reads = raft.early_reads, []
        for request in requests:
            _confirm(raft, request)


def release_confirmed(raft: Raft) -> None:
    """Answer the reads that a quorum has confirmed by now."""
    for read in raft.read_only.take_confirmed(raft.tracker.voters):
        _respond(raft, read.request, read.index)


def _respond(raft: Raft, request: Message, index: int) -> None:
    if request.sender in (NO_NODE, raft.id):
        raft.read_states.append(ReadState(index, request.entries[0].data))
        return
    raft.send(
        Message(
            type=MessageType.READ_INDEX_RESP,
            to=request.sender,
            sender=raft.id,
            term=raft.term,
            index=index,
            entries=request.entries,
        )
    )
