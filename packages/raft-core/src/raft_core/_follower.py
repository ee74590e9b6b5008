"""What a follower does with messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from raft_core import _election, _membership, _quiescence, _snapshots
from raft_core._entries import NO_NODE
from raft_core._errors import ProposalDroppedError, ReadDroppedError
from raft_core._messages import Message, MessageType
from raft_core._reads import ReadOnlyOption
from raft_core._states import ReadState, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raft_core._raft import Raft

    Handler = Callable[[Raft, Message], None]


def _hear_leader(raft: Raft, message: Message) -> None:
    raft.election_elapsed = 0
    raft.lead = message.sender
    if raft.config.read_only is ReadOnlyOption.LEASE_BASED:
        # Counted apart from who leads: a later term makes this node forget that, and must not
        # make it forget what the leader's lease rests on.
        raft.lease_embargo = raft.config.election_tick


def _acknowledge(raft: Raft, to: int, index: int) -> None:
    raft.send(
        Message(type=MessageType.APP_RESP, to=to, sender=raft.id, term=raft.term, index=index)
    )


def on_append(raft: Raft, message: Message) -> None:
    """Append what the leader sent, or tell it where the logs part (paper, section 5.3)."""
    _hear_leader(raft, message)
    log = raft.log
    if message.index < log.committed:
        # Whatever it is, it is here: committed entries never change.
        _acknowledge(raft, message.sender, log.committed)
        return
    last_new = log.maybe_append(message.index, message.log_term, message.entries, message.commit)
    if last_new is not None:
        _acknowledge(raft, message.sender, last_new)
        return
    hint_index, hint_term = log.find_conflict_by_term(
        min(message.index, log.last_index()), message.log_term
    )
    raft.send(
        Message(
            type=MessageType.APP_RESP,
            to=message.sender,
            sender=raft.id,
            term=raft.term,
            index=message.index,
            reject=True,
            reject_hint=hint_index,
            log_term=hint_term,
        )
    )


def on_heartbeat(raft: Raft, message: Message) -> None:
    """Stay quiet, and commit what the leader knows this log to hold."""
    _hear_leader(raft, message)
    raft.log.commit_to(message.commit)
    raft.send(
        Message(
            type=MessageType.HEARTBEAT_RESP,
            to=message.sender,
            sender=raft.id,
            term=raft.term,
            index=raft.log.wanted_snapshot,
            context=message.context,
        )
    )


def on_snapshot(raft: Raft, message: Message) -> None:
    """Replace the log with the leader's snapshot, unless the log holds all of it.

    Where the application has asked for one, the snapshot is taken although the log holds it.

    A snapshot comes whole or in pieces; an entry the log holds already ends it in either form.
    """
    _hear_leader(raft, message)
    snapshot = message.snapshot
    if snapshot is None or not _needs(raft, snapshot):
        _acknowledge(raft, message.sender, raft.log.committed)
        return
    whole = _snapshots.put_together(raft, message, snapshot)
    if whole is None:
        return
    # Unless it was asked for, the log conflicts with what is committed or is too short: all of it
    # goes. The snapshot may know nothing of this node yet, whose addition then follows it.
    raft.log.restore(whole)
    _membership.restore(raft, whole)
    _acknowledge(raft, message.sender, raft.log.committed)


def _needs(raft: Raft, snapshot: Snapshot) -> bool:
    log = raft.log
    if log.wanted_snapshot:
        return snapshot.index >= log.wanted_snapshot
    if snapshot.index <= log.committed:
        return False
    if log.matches(snapshot.index, snapshot.term):
        # The log is the same up to there, and what follows may be needed (section 7, rule 6).
        log.commit_to(snapshot.index)
        return False
    return True


def _pass_on(raft: Raft, message: Message) -> None:
    raft.send(msgspec.structs.replace(message, to=raft.lead))


def drop_proposal(_raft: Raft, _message: Message) -> None:
    """Refuse: nobody leads."""
    raise ProposalDroppedError("there is no leader to propose to")


def on_proposal(raft: Raft, message: Message) -> None:
    """Pass a proposal on to the leader."""
    if raft.lead == NO_NODE:
        drop_proposal(raft, message)
    if raft.config.disable_proposal_forwarding:
        raise ProposalDroppedError(f"proposals go to the leader only, which is {raft.lead}")
    _pass_on(raft, message)


def on_read_index(raft: Raft, message: Message) -> None:
    """Pass a request for a read index on to the leader."""
    if raft.lead == NO_NODE:
        raise ReadDroppedError("there is no leader to ask for a read index")
    _pass_on(raft, message)


def on_read_index_response(raft: Raft, message: Message) -> None:
    """Hand the read index out."""
    raft.read_states.append(ReadState(message.index, message.entries[0].data))


def on_transfer(raft: Raft, message: Message) -> None:
    """Pass a request to move leadership on to the leader; without one there is nothing to move."""
    if raft.lead != NO_NODE:
        _pass_on(raft, message)


def on_timeout_now(raft: Raft, _message: Message) -> None:
    """Campaign at once, as the leader wishes; it has seen to it that the vote can be won."""
    _election.hup(raft, _election.Campaign.TRANSFER)


HANDLERS: Final[Mapping[MessageType, Handler]] = {
    MessageType.APP: on_append,
    MessageType.HEARTBEAT: on_heartbeat,
    MessageType.SNAP: on_snapshot,
    MessageType.SNAP_CHUNK: on_snapshot,
    MessageType.QUIESCE: _quiescence.on_quiesce,
    MessageType.PROP: on_proposal,
    MessageType.READ_INDEX: on_read_index,
    MessageType.READ_INDEX_RESP: on_read_index_response,
    MessageType.TRANSFER_LEADER: on_transfer,
    MessageType.TIMEOUT_NOW: on_timeout_now,
}
