"""What a message must satisfy before it may change anything.

A message is data from outside. Whatever it says, this node either takes it and keeps its promises,
or refuses it with an error that names the reason and is as it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core._changer import check_conf_state, normalized
from raft_core._conf_changes import decode_conf_change
from raft_core._config import MAX_PRIORITY
from raft_core._election import is_commit
from raft_core._entries import NO_NODE, EntryType
from raft_core._errors import (
    ConfChangeError,
    EntryTooLargeError,
    LocalMessageError,
    MalformedMessageError,
    MisaddressedError,
    OutOfRangeError,
    SafetyViolationError,
    UnknownPeerError,
)
from raft_core._messages import (
    AFTER_WRITE_TYPES,
    APPLY_THREAD,
    LOCAL_TYPES,
    RESPONSE_TYPES,
    SNAPSHOT_TYPES,
    TERMLESS_TYPES,
    Message,
    MessageType,
)
from raft_core._states import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raft_core._raft import Raft

#: No term is further ahead than elections could have brought it: at one every millisecond, 50 days.
MAX_TERM_JUMP: Final = 2**32
#: No log is longer.
MAX_INDEX: Final = 2**62


def check(raft: Raft, message: Message) -> None:
    """Refuse a message that this node cannot take.

    Raises:
        MessageError: Why not; the subclasses say what kind of fault it is.
        EntryTooLargeError: It proposes an entry above the limit.

    """
    kind = message.type
    if kind in LOCAL_TYPES:
        _check_local(raft, message)
        return
    if message.to != raft.id:
        raise MisaddressedError(f"message for {message.to} came to {raft.id}")
    if not NO_NODE < message.sender < APPLY_THREAD:
        raise MalformedMessageError(f"{message.sender} is no node that can send")
    if message.responses or (message.snapshot is not None and kind not in SNAPSHOT_TYPES):
        raise MalformedMessageError(f"{kind.name} carries what belongs to other messages")
    _check_range(raft, message)
    if message.sender == raft.id:
        _check_own(raft, message)
    elif kind in RESPONSE_TYPES and message.sender not in raft.tracker.progress:
        raise UnknownPeerError(f"{kind.name} from {message.sender}, which is no member")
    special = _CHECKS.get(kind)
    if special is not None:
        special(raft, message)


def _check_local(raft: Raft, message: Message) -> None:
    if not raft.config.async_storage_writes or message.sender < APPLY_THREAD:
        raise LocalMessageError(f"{message.type.name} is not for the network")
    if message.type not in (MessageType.STORAGE_APPEND_RESP, MessageType.STORAGE_APPLY_RESP):
        raise LocalMessageError(f"{message.type.name} is for a storage thread")
    log = raft.log
    applied = message.entries[-1].index if message.entries else 0
    if message.snapshot is not None:
        applied = message.snapshot.index
    if applied > max(log.applying, log.committed if message.snapshot else 0):
        raise LocalMessageError(f"entry {applied} was not handed out to be applied")


def _check_own(raft: Raft, message: Message) -> None:
    # With asynchronous writes a node's promises to itself come back once they are on disk.
    if message.type in AFTER_WRITE_TYPES and raft.config.async_storage_writes:
        return
    # A follower passes on what it was asked, in its own name, and may lead by the time it is back.
    if message.type in TERMLESS_TYPES or message.type is MessageType.READ_INDEX_RESP:
        return
    raise LocalMessageError(f"{message.type.name} from this node itself")


def _check_range(raft: Raft, message: Message) -> None:
    term = message.term
    if message.type in TERMLESS_TYPES:
        if term:
            raise MalformedMessageError(f"{message.type.name} belongs to no term")
    elif not 0 < term <= raft.term + MAX_TERM_JUMP:
        raise OutOfRangeError(f"term {term} is too far from {raft.term}")
    if not (
        0 <= message.index <= MAX_INDEX
        and 0 <= message.commit <= MAX_INDEX
        and 0 <= message.reject_hint <= MAX_INDEX
        and 0 <= message.offset <= MAX_INDEX
        and 0 <= message.priority <= MAX_PRIORITY
        and 0 <= message.log_term <= raft.term + MAX_TERM_JUMP
    ):
        raise OutOfRangeError(f"{message.type.name} names an index or term out of range")


def _check_leader(raft: Raft, message: Message) -> None:
    """Two leaders in one term cannot be (Election Safety; paper, figure 3)."""
    if message.term != raft.term:
        return
    if raft.role is Role.LEADER or raft.lead not in (NO_NODE, message.sender):
        raise SafetyViolationError(
            f"{raft.lead} and {message.sender} both lead in term {raft.term}"
        )


def _check_append(raft: Raft, message: Message) -> None:
    _check_leader(raft, message)
    if message.index == 0 and message.log_term:
        raise MalformedMessageError("there is no entry at index 0")
    index, term = message.index, message.log_term
    for entry in message.entries:
        index += 1
        if entry.index != index:
            raise MalformedMessageError(f"entry {entry.index} stands where {index} should")
        if entry.term < term:
            raise MalformedMessageError(f"the term falls at entry {index}")
        term = entry.term
        if entry.type is EntryType.WITNESSED and not raft.config.witness:
            raise MalformedMessageError(f"entry {index} is for a witness, which this node is not")
    if term > message.term or (message.entries and not message.entries[0].term):
        raise MalformedMessageError(f"entries of term {term} in a message of {message.term}")


def _check_heartbeat(raft: Raft, message: Message) -> None:
    _check_leader(raft, message)
    if message.term >= raft.term and message.commit > raft.log.last_index():
        raise SafetyViolationError(
            f"the leader counts on entry {message.commit}, the log ends at "
            f"{raft.log.last_index()}: this node lost entries it had acknowledged"
        )


def _check_snapshot(raft: Raft, message: Message) -> None:
    _check_leader(raft, message)
    snapshot = message.snapshot
    if snapshot is None:
        raise MalformedMessageError("SNAP without a snapshot")
    if not 0 < snapshot.index <= MAX_INDEX or not 0 < snapshot.term <= message.term:
        raise OutOfRangeError(f"snapshot at ({snapshot.term}, {snapshot.index})")
    committed_term = raft.log.term(raft.log.committed) or 0
    if snapshot.index > raft.log.committed and snapshot.term < committed_term:
        raise SafetyViolationError(
            f"snapshot of term {snapshot.term} above a committed entry of {committed_term}"
        )
    if not snapshot.conf_state.voters:
        raise MalformedMessageError("snapshot for a group without voters")
    try:
        check_conf_state(normalized(snapshot.conf_state))
    except ConfChangeError as error:
        raise MalformedMessageError(f"snapshot for no valid group: {error}") from error


def _check_chunk(raft: Raft, message: Message) -> None:
    _check_snapshot(raft, message)
    if message.snapshot is not None and not message.snapshot.data:
        raise MalformedMessageError("a piece of nothing")


def _check_quiesce(raft: Raft, message: Message) -> None:
    if message.commit != message.index:
        raise MalformedMessageError("a leader that rests has committed all of its log")
    _check_heartbeat(raft, message)


def _check_chunk_response(raft: Raft, message: Message) -> None:
    progress = raft.tracker.progress.get(message.sender)
    outgoing = None if progress is None or raft.role is not Role.LEADER else progress.outgoing
    if (
        outgoing is not None
        and outgoing.snapshot.index == message.index
        and message.offset > len(outgoing.snapshot.data)
    ):
        raise MalformedMessageError("more of a snapshot than there is")


def _check_vote(_raft: Raft, message: Message) -> None:
    if message.log_term > message.term:
        raise MalformedMessageError("a candidate's term is not below the terms of its log")
    if not message.index and message.log_term:
        raise MalformedMessageError("there is no entry at index 0")


def _check_vote_response(_raft: Raft, message: Message) -> None:
    if not is_commit(message.context):
        raise MalformedMessageError("a vote's context names no committed entry")


def _check_append_response(raft: Raft, message: Message) -> None:
    if message.reject:
        if message.reject_hint > message.index or message.log_term > message.term:
            raise MalformedMessageError("a rejection hints at an entry above the rejected one")
        return
    if (
        raft.role is Role.LEADER
        and message.term == raft.term
        and message.index > raft.log.last_index()
    ):
        raise SafetyViolationError(
            f"{message.sender} acknowledges entry {message.index}, the log ends at "
            f"{raft.log.last_index()}: this leader lost entries, or was never one"
        )


def _check_heartbeat_response(raft: Raft, message: Message) -> None:
    current = raft.role is Role.LEADER and message.term == raft.term
    if current and not raft.read_only.is_plausible(message.context, raft.ticks):
        raise MalformedMessageError("a heartbeat's echo of what was never sent")


def _check_read(_raft: Raft, message: Message) -> None:
    if len(message.entries) != 1:
        raise MalformedMessageError(f"{message.type.name} carries exactly one context")


def _check_proposal(raft: Raft, message: Message) -> None:
    if not message.entries:
        raise MalformedMessageError("a proposal of nothing")
    for entry in message.entries:
        if len(entry.data) > raft.config.max_entry_size:
            raise EntryTooLargeError(
                f"{len(entry.data)} bytes in one entry, {raft.config.max_entry_size} at most"
            )
        if entry.type is EntryType.WITNESSED:
            raise MalformedMessageError("a proposal without its data")
        decode_conf_change(entry)


_CHECKS: Final[Mapping[MessageType, Callable[[Raft, Message], None]]] = {
    MessageType.PROP: _check_proposal,
    MessageType.APP: _check_append,
    MessageType.APP_RESP: _check_append_response,
    MessageType.VOTE: _check_vote,
    MessageType.PRE_VOTE: _check_vote,
    MessageType.VOTE_RESP: _check_vote_response,
    MessageType.PRE_VOTE_RESP: _check_vote_response,
    MessageType.SNAP: _check_snapshot,
    MessageType.SNAP_CHUNK: _check_chunk,
    MessageType.SNAP_CHUNK_RESP: _check_chunk_response,
    MessageType.QUIESCE: _check_quiesce,
    MessageType.HEARTBEAT: _check_heartbeat,
    MessageType.HEARTBEAT_RESP: _check_heartbeat_response,
    MessageType.READ_INDEX: _check_read,
    MessageType.READ_INDEX_RESP: _check_read,
}
