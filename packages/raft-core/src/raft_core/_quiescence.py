"""Groups with nothing to do that cost nothing.

A process may hold thousands of groups, most of them idle, and heartbeats alone would keep it busy.
When every member is known to hold the whole log and nobody has asked for anything for a while, the
leader tells all of them and both sides stop counting ticks. Any message or request wakes a node,
and a leader that wakes wakes the others with a heartbeat.

A sleeping group does not notice that its leader is gone. Whoever wants something of it wakes a
follower, which then campaigns after an election timeout as always; pre-vote and check-quorum keep a
node that did not hear the good night from deposing a leader that merely sleeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core import _replication
from raft_core._entries import NO_NODE
from raft_core._messages import Message, MessageType
from raft_core._progress import ProgressState
from raft_core._states import Role

if TYPE_CHECKING:
    from raft_core._raft import Raft


@attrs.define
class Idleness:
    """How long a leader has had nothing to do."""

    ticks: int = 0
    #: Last index, commit index and number of reads: whatever is asked of a group moves one of them.
    state: tuple[int, int, int] = (0, 0, 0)


def tick(raft: Raft) -> None:
    """Count idle ticks, and put the group to sleep after enough of them."""
    idleness, log = raft.idleness, raft.log
    state = (log.last_index(), log.committed, raft.read_only.newest)
    if state != idleness.state or not _is_at_rest(raft):
        raft.idleness = Idleness(state=state)
        return
    idleness.ticks += 1
    # The silent might be gone, so somebody else might lead. They are waited for.
    everybody = all(one.recent_active for one in raft.tracker.progress.values())
    if idleness.ticks < raft.config.quiesce_tick or not everybody:
        return
    for member in raft.tracker.others(raft.id):
        raft.send(
            Message(
                type=MessageType.QUIESCE,
                to=member,
                sender=raft.id,
                term=raft.term,
                log_term=log.last_term(),
                index=log.last_index(),
                commit=log.committed,
            )
        )
    raft.quiescent = True


def _is_at_rest(raft: Raft) -> bool:
    """Say whether every member holds everything and nothing is under way."""
    last = raft.log.last_index()
    return (
        raft.log.applied == last
        and raft.lead_transferee == NO_NODE
        and not raft.tracker.conf.is_joint
        and raft.id in raft.tracker.conf.voters
        and not raft.read_only.pending
        and not raft.early_reads
        and all(
            progress.match == last
            and progress.state is ProgressState.REPLICATE
            and not progress.wanted_snapshot
            for progress in raft.tracker.progress.values()
        )
    )


def disturb(raft: Raft, message: Message) -> None:
    """Take a message in one's sleep, and wake unless it was refused or is no reason to.

    No reason are the good night itself and what was on its way before it.
    """
    raft.take(message)
    if raft.quiescent and not (
        message.type is MessageType.QUIESCE
        or (message.type is MessageType.HEARTBEAT_RESP and not (message.context or message.index))
    ):
        _wake(raft)


def _wake(raft: Raft) -> None:
    """Count ticks again; as leader tell the others."""
    raft.quiescent = False
    raft.idleness = Idleness()
    if raft.role is Role.LEADER:
        raft.election_elapsed = 0  # a whole round for the others to be heard of
        _replication.broadcast_heartbeat(raft)


def on_quiesce(raft: Raft, message: Message) -> None:
    """Sleep, if this log is what the leader takes it for; else say so, which wakes the leader."""
    log = raft.log
    raft.election_elapsed = 0
    raft.lead = message.sender
    if raft.config.quiesce_tick and log.matches(message.index, message.log_term):
        log.commit_to(message.commit)
        raft.quiescent = True
        return
    raft.quiescent = False
    raft.send(
        Message(
            type=MessageType.APP_RESP,
            to=message.sender,
            sender=raft.id,
            term=raft.term,
            index=log.committed,
        )
    )
