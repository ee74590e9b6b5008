"""What a leader does with messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core import _membership, _read_index, _replication, _snapshots, _transfer
from raft_core._entries import NO_NODE, Entry
from raft_core._errors import ProposalDroppedError
from raft_core._messages import Message, MessageType
from raft_core._progress import Progress, ProgressState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raft_core._raft import Raft

    Handler = Callable[[Raft, Message], None]


def check_quorum(raft: Raft) -> None:
    """Step down if no quorum was heard of since the last round (dissertation section 6.2)."""
    if not raft.tracker.quorum_active():
        raft.become_follower(raft.term, NO_NODE)
        return
    for member in raft.tracker.others(raft.id):
        raft.tracker.progress[member].recent_active = False


def propose(raft: Raft, entries: Sequence[Entry]) -> None:
    """Append proposals and send them out.

    Raises:
        ProposalDroppedError: None of them was appended.
        ConfChangeError: One changes members in a way that leads to no valid configuration.

    """
    if raft.id not in raft.tracker.progress:
        raise ProposalDroppedError("this leader was removed from the group")
    if raft.lead_transferee != NO_NODE:
        raise ProposalDroppedError(f"leadership is moving to {raft.lead_transferee}")
    pending = raft.pending_conf_index
    try:
        raft.append_entries(_membership.check_proposal(raft, entries))
    except ProposalDroppedError:
        raft.pending_conf_index = pending
        raise
    _replication.broadcast_append(raft)


def on_proposal(raft: Raft, message: Message) -> None:
    """Take a proposal that a follower passed on."""
    propose(raft, message.entries)


def on_append_response(raft: Raft, message: Message) -> None:
    """Learn how far a member is, commit, and send it more."""
    progress = raft.tracker.progress.get(message.sender)
    if progress is None:
        return
    progress.recent_active = True
    if message.reject:
        _on_reject(raft, progress, message)
        return
    probing = progress.state is ProgressState.PROBE and progress.match == message.index
    if progress.maybe_update(message.index) or probing:
        _on_acknowledged(raft, progress, message)


def _on_reject(raft: Raft, progress: Progress, message: Message) -> None:
    """Go back to where the logs may match; once a term at most, see `find_conflict_by_term`."""
    hint = message.reject_hint
    if message.log_term:
        hint, _ = raft.log.find_conflict_by_term(hint, message.log_term)
    if progress.maybe_decrease(message.index, hint):
        if progress.state is ProgressState.REPLICATE:
            progress.become_probe()
        _replication.send_append(raft, message.sender)


def _on_acknowledged(raft: Raft, progress: Progress, message: Message) -> None:
    member = message.sender
    if progress.state is ProgressState.PROBE:
        progress.become_replicate()
    elif progress.state is ProgressState.REPLICATE:
        progress.inflights.free_up_to(message.index)
    elif progress.match + 1 >= raft.log.first_index():
        # Whichever snapshot it was, the log goes on from there.
        progress.become_replicate()
    if _replication.maybe_commit(raft):
        _read_index.on_commit(raft)
        _replication.broadcast_append(raft)
    elif member != raft.id and progress.can_bump_commit(raft.log.committed):
        _replication.send_append(raft, member)
    if member != raft.id:
        _replication.send_all_appends(raft, member)
    _replication.send_to_witnesses(raft)
    if member == raft.lead_transferee and progress.match == raft.log.last_index():
        _transfer.send_timeout_now(raft, member)


def on_heartbeat_response(raft: Raft, message: Message) -> None:
    """Note that a member is alive; send it what it lacks, and answer reads it has confirmed."""
    progress = raft.tracker.progress.get(message.sender)
    if progress is None:
        return
    progress.recent_active = True
    progress.flow_paused = False
    # One append, even if the window is full: those under way may all be lost.
    if progress.match < raft.log.last_index() or progress.state is ProgressState.PROBE:
        _replication.send_append(raft, message.sender)
    progress.wanted_snapshot = message.index
    _snapshots.on_sign_of_life(raft, message.sender, progress)
    if message.context:
        raft.read_only.acknowledge(message.sender, message.context)
        _read_index.release_confirmed(raft)


def report_snapshot(raft: Raft, member: int, *, success: bool) -> None:
    """Learn what became of a snapshot; the next append waits for a sign of life."""
    progress = raft.tracker.progress.get(member)
    if progress is None or progress.state is not ProgressState.SNAPSHOT:
        return
    if not success:
        progress.pending_snapshot = 0  # probe from the old place
    progress.become_probe()
    progress.flow_paused = True


def give_up_snapshots(raft: Raft) -> None:
    """Take snapshots for lost of which nothing was heard for too long.

    Without this, one lost message and one lost report would leave a member behind for good.
    """
    limit = raft.config.snapshot_timeout_tick
    for member, progress in raft.tracker.progress.items():
        waiting = progress.state is ProgressState.SNAPSHOT
        if limit and waiting and raft.ticks - progress.snapshot_tick >= limit:
            report_snapshot(raft, member, success=False)


def report_unreachable(raft: Raft, member: int) -> None:
    """Learn that messages to a member were lost: appends sent ahead as well, most likely."""
    progress = raft.tracker.progress.get(member)
    if progress is not None and progress.state is ProgressState.REPLICATE:
        progress.become_probe()


def on_transfer(raft: Raft, message: Message) -> None:
    """Prepare the successor that a follower was asked for."""
    _transfer.transfer_to(raft, message.sender)


HANDLERS: Final[Mapping[MessageType, Handler]] = {
    MessageType.PROP: on_proposal,
    MessageType.APP_RESP: on_append_response,
    MessageType.HEARTBEAT_RESP: on_heartbeat_response,
    MessageType.SNAP_CHUNK_RESP: _snapshots.on_chunk_response,
    MessageType.READ_INDEX: _read_index.on_read_index,
    MessageType.TRANSFER_LEADER: on_transfer,
}
