"""Campaigns and votes (paper, section 5.2 and 5.4.1; pre-vote: dissertation section 9.6)."""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Final

from raft_core._entries import CONF_CHANGE_TYPES, NO_NODE
from raft_core._messages import Message, MessageType
from raft_core._states import Role

if TYPE_CHECKING:
    from raft_core._raft import Raft

#: Context of a vote request whose sender the leader itself chose: it overrides leases.
TRANSFER_CONTEXT: Final = b"transfer"

#: So many election timeouts without a leader make a node vote for candidates of low priority.
PRIORITY_PATIENCE: Final = 4

_commit = Struct("<QQ")

_RESPONSE: Final = {
    MessageType.VOTE: MessageType.VOTE_RESP,
    MessageType.PRE_VOTE: MessageType.PRE_VOTE_RESP,
}


class Campaign(Enum):
    """Why a node campaigns."""

    PRE_ELECTION = 1
    ELECTION = 2
    TRANSFER = 3


def hup(raft: Raft, kind: Campaign | None = None) -> None:
    """Campaign, unless this node leads already or had better not."""
    if raft.role is Role.LEADER or not raft.is_promotable or _has_unapplied_conf_change(raft):
        return
    if raft.lease_embargo and kind is not Campaign.TRANSFER:
        return  # its own vote is one of those it owes
    if kind is None:
        kind = Campaign.PRE_ELECTION if raft.config.pre_vote else Campaign.ELECTION
    campaign(raft, kind)


def _has_unapplied_conf_change(raft: Raft) -> bool:
    """Say whether a committed change of members waits to be applied.

    Configurations come into force when applied, so this node would count votes by an old one.
    """
    log = raft.log
    return any(
        entry.type in CONF_CHANGE_TYPES
        for page in log.pages(log.applied + 1, log.committed + 1)
        for entry in page
    )


def campaign(raft: Raft, kind: Campaign) -> None:
    """Ask every voter for its vote, or whether it would give it."""
    if kind is Campaign.PRE_ELECTION:
        raft.become_pre_candidate()
        request, term = MessageType.PRE_VOTE, raft.term + 1
    else:
        raft.become_candidate()
        request, term = MessageType.VOTE, raft.term
    last_index, last_term = raft.log.last_index(), raft.log.last_term()
    for voter in raft.tracker.voters.ids:
        if voter == raft.id:
            # The own vote counts when it is on disk, like everybody's.
            message = Message(type=_RESPONSE[request], to=voter, sender=raft.id, term=term)
        else:
            message = Message(
                type=request,
                to=voter,
                sender=raft.id,
                term=term,
                log_term=last_term,
                index=last_index,
                context=TRANSFER_CONTEXT if kind is Campaign.TRANSFER else b"",
                priority=raft.config.priority,
            )
        raft.send(message)


def in_lease(raft: Raft, request: Message) -> bool:
    """Say whether this node owes a leader not to vote for anybody else (paper, section 6, end)."""
    if request.context == TRANSFER_CONTEXT:
        return False
    if raft.lease_embargo:
        return True
    return (
        raft.config.check_quorum
        and raft.lead != NO_NODE
        and raft.election_elapsed < raft.config.election_tick
    )


def on_vote_request(raft: Raft, request: Message) -> None:
    """Vote once a term, for a candidate whose log is as good as this one."""
    pre_vote = request.type is MessageType.PRE_VOTE
    free = (
        raft.vote == request.sender  # the answer was lost
        or (raft.vote == NO_NODE and raft.lead == NO_NODE)
        or (pre_vote and request.term > raft.term)
    )
    # Learners vote too: one that has been promoted may not know it yet, and be needed.
    if not free or not raft.log.is_up_to_date(request.index, request.log_term):
        reject_vote(raft, request)
        return
    if raft.vote != request.sender and _outranks(raft, request):
        raft.campaign_soon()  # whoever refuses for this reason owes the group a leader
        reject_vote(raft, request)
        return
    # In the term that was asked about: a pre-vote is for one that has not begun.
    raft.send(
        Message(type=_RESPONSE[request.type], to=request.sender, sender=raft.id, term=request.term)
    )
    if not pre_vote:
        raft.election_elapsed = 0
        raft.vote = request.sender


def _outranks(raft: Raft, request: Message) -> bool:
    """Say whether this node should lead rather than a candidate that could.

    Only if it could win the same votes: it may campaign, and its log is the candidate's to the last
    entry. And only for a while: it may be unable to reach those who would vote for it, and a leader
    of low priority is better than none.
    """
    log = raft.log
    return (
        raft.config.priority > request.priority
        and raft.is_promotable
        and raft.leaderless < PRIORITY_PATIENCE * raft.config.election_tick
        and request.context != TRANSFER_CONTEXT
        and (request.log_term, request.index) == (log.last_term(), log.last_index())
    )


def reject_vote(raft: Raft, request: Message) -> None:
    """Refuse a vote, in this node's own term so that the candidate learns of it.

    With it goes what this node knows to be committed. The candidate may have it all and not know
    that it is committed - a change of members, perhaps, after which it need not ask this node.
    """
    commit = raft.log.committed
    commit_term = raft.log.term(commit)
    raft.send(
        Message(
            type=_RESPONSE[request.type],
            to=request.sender,
            sender=raft.id,
            term=raft.term,
            reject=True,
            context=pack_commit(commit, commit_term) if commit_term else b"",
        )
    )


def pack_commit(index: int, term: int) -> bytes:
    """Return the name of a committed entry as the context of a rejection."""
    return _commit.pack(index, term)


def is_commit(context: bytes) -> bool:
    """Say whether a context may name a committed entry."""
    return not context or len(context) == _commit.size


def learn_commit(raft: Raft, rejection: Message) -> None:
    """Take a rejection's word for what is committed, if it is in this log.

    Two logs that agree on one entry agree on all before it, so this is safe whoever says it.
    """
    if not rejection.context:
        return
    index, term = _commit.unpack(rejection.context)
    if index <= raft.log.committed or not raft.log.matches(index, term):
        return
    raft.log.commit_to(index)
    if raft.role is not Role.FOLLOWER and _has_unapplied_conf_change(raft):
        raft.become_follower(raft.term, NO_NODE)  # first apply it, then count votes by it
