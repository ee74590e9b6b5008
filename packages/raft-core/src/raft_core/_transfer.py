"""Moving leadership (dissertation section 3.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import _replication
from raft_core._entries import NO_NODE
from raft_core._messages import Message, MessageType

if TYPE_CHECKING:
    from raft_core._raft import Raft


def transfer_to(raft: Raft, successor: int) -> None:
    """Bring a voter's log up to date, then let it campaign. Anything else changes nothing."""
    progress = raft.tracker.progress.get(successor)
    if progress is None or progress.is_learner or successor in raft.tracker.conf.witnesses:
        return
    if successor == raft.lead_transferee:
        return
    raft.lead_transferee = NO_NODE
    if successor == raft.id:
        return
    raft.election_elapsed = 0  # it has one election timeout
    raft.lead_transferee = successor
    if progress.match == raft.log.last_index():
        send_timeout_now(raft, successor)
    else:
        _replication.send_append(raft, successor)


def send_timeout_now(raft: Raft, successor: int) -> None:
    """Tell a successor to campaign."""
    # However late it arrives, the successor may be elected in spite of a lease.
    raft.read_only.lease_revoked = True
    raft.send(Message(type=MessageType.TIMEOUT_NOW, to=successor, sender=raft.id, term=raft.term))


def hand_over(raft: Raft) -> None:
    """Transfer to the voter whose log is the longest, of those heard of if there are any."""
    progress = raft.tracker.progress
    conf = raft.tracker.conf
    voters = [one for one in conf.voters if one != raft.id and one not in conf.witnesses]
    if voters:
        transfer_to(
            raft, max(voters, key=lambda one: (progress[one].recent_active, progress[one].match))
        )
