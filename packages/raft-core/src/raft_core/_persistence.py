"""What a node and its own storage tell each other.

The messages exist in both forms of storage writes: with `advance` they are stepped at once, with
asynchronous writes the application carries them to its storage threads and back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from raft_core._changer import normalized
from raft_core._entries import Entry, entries_size, payload_size
from raft_core._messages import APPEND_THREAD, APPLY_THREAD, Message, MessageType

if TYPE_CHECKING:
    from raft_core._raft import Raft
    from raft_core._states import HardState, Snapshot


def append_done(raft: Raft, snapshot: Snapshot | None) -> Message | None:
    """Return what tells this node that everything handed out so far is on disk.

    It names the last entry even if this very write holds none. An acknowledgement is ignored once
    the term has changed, since the entry may have been replaced meanwhile and come back again: the
    names would match, yet the disk would still go through the replacement (the ABA problem). Every
    new term is written too, and that write's acknowledgement makes up for those ignored.
    """
    pending = bool(raft.log.unstable.entries)
    if not pending and snapshot is None:
        return None
    return Message(
        type=MessageType.STORAGE_APPEND_RESP,
        to=raft.id,
        sender=APPEND_THREAD,
        term=raft.term,
        index=raft.log.last_index() if pending else 0,
        log_term=raft.log.last_term() if pending else 0,
        snapshot=snapshot,
    )


def append_request(
    raft: Raft,
    entries: tuple[Entry, ...],
    hard_state: HardState | None,
    snapshot: Snapshot | None,
) -> Message:
    """Return what the append thread shall write, and the answers it releases.

    Acknowledgements to oneself come first: handling them is cheaper while the entries' terms are
    still in memory.
    """
    done = append_done(raft, snapshot)
    responses = tuple(raft.messages_after_write)
    message = Message(
        type=MessageType.STORAGE_APPEND,
        to=APPEND_THREAD,
        sender=raft.id,
        entries=entries,
        snapshot=snapshot,
        responses=responses if done is None else (*responses, done),
    )
    if hard_state is None:
        return message
    return msgspec.structs.replace(
        message, term=hard_state.term, vote=hard_state.vote, commit=hard_state.commit
    )


def apply_done(raft: Raft, entries: tuple[Entry, ...]) -> Message:
    """Return what tells this node that entries are applied."""
    return Message(
        type=MessageType.STORAGE_APPLY_RESP, to=raft.id, sender=APPLY_THREAD, entries=entries
    )


def apply_request(raft: Raft, entries: tuple[Entry, ...]) -> Message:
    """Return what the apply thread shall apply."""
    return Message(
        type=MessageType.STORAGE_APPLY,
        to=APPLY_THREAD,
        sender=raft.id,
        entries=entries,
        responses=(apply_done(raft, entries),),
    )


def on_append_done(raft: Raft, message: Message) -> None:
    """Drop from memory what is on disk."""
    _on_snapshot_done(raft, message)
    if message.index:
        raft.log.unstable.stable_to(message.index, message.log_term)


def on_append_done_in_earlier_term(raft: Raft, message: Message) -> None:
    """Ignore entries, see `append_done`; a snapshot holds committed state and stays true."""
    _on_snapshot_done(raft, message)


def _on_snapshot_done(raft: Raft, message: Message) -> None:
    if message.snapshot is not None:
        raft.log.unstable.stable_snapshot_to(message.snapshot.index)
        raft.applied_conf = normalized(message.snapshot.conf_state)
        raft.applied_conf_index = message.snapshot.index
        raft.applied_to(message.snapshot.index, 0)


def on_apply_done(raft: Raft, message: Message) -> None:
    """Note what is applied, and make room for as much."""
    entries = message.entries
    if entries:
        raft.applied_to(entries[-1].index, entries_size(entries))
        raft.uncommitted_size = max(0, raft.uncommitted_size - payload_size(entries))
