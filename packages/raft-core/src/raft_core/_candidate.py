"""What a candidate and a pre-candidate do with messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core import _election, _follower, _replication
from raft_core._entries import NO_NODE
from raft_core._errors import ReadDroppedError
from raft_core._messages import Message, MessageType
from raft_core._quorum import VoteResult
from raft_core._states import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raft_core._raft import Raft

    Handler = Callable[[Raft, Message], None]


def on_leader(raft: Raft, message: Message) -> None:
    """Concede: somebody else won this term (paper, section 5.2)."""
    raft.become_follower(message.term, message.sender)
    _follower.HANDLERS[message.type](raft, message)


def on_vote(raft: Raft, message: Message) -> None:
    """Count a vote; lead or give up once the outcome is certain."""
    result = raft.tracker.record_vote(message.sender, granted=not message.reject)
    if message.reject:
        _election.learn_commit(raft, message)
    if result is VoteResult.LOST:
        # The term stays: that of a pre-vote has not begun.
        raft.become_follower(raft.term, NO_NODE)
    elif result is VoteResult.WON and raft.role is not Role.FOLLOWER:
        if raft.role is Role.PRE_CANDIDATE:
            _election.campaign(raft, _election.Campaign.ELECTION)
        elif _may_lead(raft):
            raft.become_leader()
            _replication.broadcast_append(raft)


def _may_lead(raft: Raft) -> bool:
    """Say whether the own vote is counted, and so on disk.

    A leader that forgets its term in a crash could win the same term again, by the votes of those
    who gave them before, and give an index another entry of the same term. The votes of the others
    can come before a slow disk has written the own one, which then decides.
    """
    return raft.tracker.votes.get(raft.id, False)


def on_read_index(_raft: Raft, _message: Message) -> None:
    """Refuse: nobody leads."""
    raise ReadDroppedError("there is no leader to ask for a read index")


HANDLERS: Final[Mapping[MessageType, Handler]] = {
    MessageType.PROP: _follower.drop_proposal,
    MessageType.READ_INDEX: on_read_index,
    MessageType.APP: on_leader,
    MessageType.HEARTBEAT: on_leader,
    MessageType.SNAP: on_leader,
    MessageType.SNAP_CHUNK: on_leader,
    MessageType.QUIESCE: on_leader,
}

# Answers to the campaign before this one may still arrive, so each phase takes its own only.
PRE_VOTE_HANDLERS: Final[Mapping[MessageType, Handler]] = {MessageType.PRE_VOTE_RESP: on_vote}
VOTE_HANDLERS: Final[Mapping[MessageType, Handler]] = {MessageType.VOTE_RESP: on_vote}
