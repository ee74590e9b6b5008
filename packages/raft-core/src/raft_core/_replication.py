"""What a leader sends: appends, snapshots, heartbeats (paper, section 5.3; thesis section 10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import _snapshots
from raft_core._entries import Entry, payload_size
from raft_core._errors import CompactedError
from raft_core._messages import Message, MessageType
from raft_core._progress import Progress, ProgressState
from raft_core._witnesses import without_data

if TYPE_CHECKING:
    from raft_core._raft import Raft


def send_append(raft: Raft, to: int) -> None:
    """Send what a follower lacks; if that is nothing, at least the commit index."""
    maybe_send_append(raft, to, send_if_empty=True)


def maybe_send_append(raft: Raft, to: int, *, send_if_empty: bool) -> bool:
    """Send one append, or a snapshot where the entries are compacted; say whether it was sent."""
    progress = raft.tracker.progress[to]
    if progress.is_paused:
        return False
    log = raft.log
    prev_index = progress.next - 1
    prev_term = log.term(prev_index)
    if prev_term is None:
        return _snapshots.send(raft, to, progress)
    try:
        entries = _entries_for(raft, to, progress)
    except CompactedError:
        return _snapshots.send(raft, to, progress)
    if not entries and not send_if_empty:
        return False
    raft.send(
        Message(
            type=MessageType.APP,
            to=to,
            sender=raft.id,
            term=raft.term,
            log_term=prev_term,
            index=prev_index,
            entries=entries,
            commit=log.committed,
        )
    )
    progress.sent_entries(len(entries), payload_size(entries))
    progress.sent_commit = log.committed
    return True


def _entries_for(raft: Raft, to: int, progress: Progress) -> tuple[Entry, ...]:
    # With a full window the append goes out empty. Were all those under way lost, it is what
    # brings the answer that empties the window.
    if progress.state is ProgressState.REPLICATE and progress.inflights.is_full:
        return ()
    log, max_size = raft.log, raft.config.max_size_per_message
    if to not in raft.tracker.conf.witnesses:
        return log.entries_from(progress.next, max_size)
    # Nobody could be elected if a witness alone held an entry, or with one who goes: a witness gets
    # what is on the disk of a voter with data that stays.
    held = raft.tracker.held_with_data()
    return without_data(log.slice(progress.next, held + 1, max_size))


def send_all_appends(raft: Raft, to: int) -> None:
    """Send everything a follower lacks, in as many appends as its window lets through."""
    while maybe_send_append(raft, to, send_if_empty=False):
        pass


def send_to_witnesses(raft: Raft) -> None:
    """Send witnesses what others hold by now."""
    for witness in raft.tracker.conf.witnesses:
        if witness in raft.tracker.progress:
            send_all_appends(raft, witness)


def broadcast_append(raft: Raft) -> None:
    """Send an append to every other member."""
    for member in raft.tracker.others(raft.id):
        send_append(raft, member)


def broadcast_heartbeat(raft: Raft) -> None:
    """Send a heartbeat to every other member."""
    context = raft.read_only.heartbeat_context(raft.ticks)
    for member in raft.tracker.others(raft.id):
        progress = raft.tracker.progress[member]
        # Never beyond what the follower is known to hold: what it has above that may be wrong.
        commit = min(progress.match, raft.log.committed)
        raft.send(
            Message(
                type=MessageType.HEARTBEAT,
                to=member,
                sender=raft.id,
                term=raft.term,
                commit=commit,
                context=context,
            )
        )
        progress.sent_commit = commit


def maybe_commit(raft: Raft) -> bool:
    """Commit what a quorum holds, if it is of this term; say whether anything was committed."""
    committed = raft.log.maybe_commit(raft.tracker.committed(), raft.term)
    raft.trace("Commit")
    return committed
