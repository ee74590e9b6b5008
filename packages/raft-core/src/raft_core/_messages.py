"""Messages between nodes, and between a node and its own storage."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from raft_core._entries import NO_NODE, Entry
from raft_core._states import Snapshot  # noqa: TC001 - msgspec resolves it at run time

#: Whom a node asks to write its log, when storage writes are asynchronous.
APPEND_THREAD: Final = 2**64 - 1
#: Whom a node asks to apply committed entries, when storage writes are asynchronous.
APPLY_THREAD: Final = 2**64 - 2


class MessageType(IntEnum):
    """What a message asks or answers. The numbers are the wire format: never reuse one."""

    PROP = 1
    """A follower passes a proposal on to the leader."""
    APP = 2
    """AppendEntries (Raft paper, figure 2)."""
    APP_RESP = 3
    VOTE = 4
    """RequestVote (Raft paper, figure 2)."""
    VOTE_RESP = 5
    SNAP = 6
    """InstallSnapshot (Raft paper, figure 13)."""
    HEARTBEAT = 7
    HEARTBEAT_RESP = 8
    TRANSFER_LEADER = 9
    """A follower passes a request to move leadership on to the leader; the sender is the target."""
    TIMEOUT_NOW = 10
    """The leader asks its successor to campaign at once (dissertation section 3.10)."""
    READ_INDEX = 11
    """A follower asks up to where it must apply before a read (dissertation section 6.4)."""
    READ_INDEX_RESP = 12
    PRE_VOTE = 13
    """Would you vote for me? (dissertation section 9.6)."""
    PRE_VOTE_RESP = 14
    STORAGE_APPEND = 15
    """To the append thread: write this durably, then deliver `responses`."""
    STORAGE_APPEND_RESP = 16
    STORAGE_APPLY = 17
    """To the apply thread: apply these entries, then deliver `responses`."""
    STORAGE_APPLY_RESP = 18
    QUIESCE = 19
    """The leader and its followers have nothing to do, so heartbeats end; see `_quiescence`."""
    SNAP_CHUNK = 20
    """A piece of a snapshot that is not the last one; that is a `SNAP` with an `offset`."""
    SNAP_CHUNK_RESP = 21
    """So much of the snapshot at `index` is here: send what follows."""


class Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """One message. Which fields matter depends on its type."""

    type: MessageType
    to: int
    sender: int
    term: int = 0
    """The sender's term; 0 in what is passed on for others (`PROP`, `READ_INDEX`)."""
    log_term: int = 0
    """Term of the entry at `index`."""
    index: int = 0
    """`APP`: where the entries follow. `APP_RESP`: last index known to match. Votes: last index.
    `HEARTBEAT_RESP`: see `Progress.wanted_snapshot`."""
    entries: tuple[Entry, ...] = ()
    commit: int = 0
    vote: int = NO_NODE
    """`STORAGE_APPEND` only: with `term` and `commit` the hard state to write, if `term` is set."""
    snapshot: Snapshot | None = None
    reject: bool = False
    reject_hint: int = 0
    """`APP_RESP` that rejects: the highest index at which the logs might match."""
    context: bytes = b""
    responses: tuple[Message, ...] = ()
    """Storage messages only: deliver these, in order, once this one is done."""
    priority: int = 0
    """Votes: the candidate's election priority."""
    offset: int = 0
    """Snapshots in pieces: where the data begins within the snapshot; in answers, where it ends."""


LOCAL_TYPES: Final = frozenset(
    {
        MessageType.STORAGE_APPEND,
        MessageType.STORAGE_APPEND_RESP,
        MessageType.STORAGE_APPLY,
        MessageType.STORAGE_APPLY_RESP,
    }
)

#: Answers that promise something is on disk: a vote cast or entries appended.
AFTER_WRITE_TYPES: Final = frozenset(
    {MessageType.APP_RESP, MessageType.VOTE_RESP, MessageType.PRE_VOTE_RESP}
)

RESPONSE_TYPES: Final = frozenset(
    {
        MessageType.APP_RESP,
        MessageType.VOTE_RESP,
        MessageType.PRE_VOTE_RESP,
        MessageType.HEARTBEAT_RESP,
        MessageType.READ_INDEX_RESP,
        MessageType.SNAP_CHUNK_RESP,
    }
)

SNAPSHOT_TYPES: Final = frozenset({MessageType.SNAP, MessageType.SNAP_CHUNK})

#: Requests passed on for others: they belong to no term.
TERMLESS_TYPES: Final = frozenset(
    {MessageType.PROP, MessageType.READ_INDEX, MessageType.TRANSFER_LEADER}
)
