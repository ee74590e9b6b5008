"""What a run can find wrong."""

from __future__ import annotations

from enum import Enum

from raft_core._errors import RaftError


class Invariant(Enum):
    """A promise that a run holds the group to. The first fourteen are checked after every step."""

    ELECTION_SAFETY = "election safety"
    """One leader a term."""
    LOG_MATCHING = "log matching"
    """Two logs that agree on the name of an entry agree on all before it."""
    LEADER_COMPLETENESS = "leader completeness"
    """A leader holds everything that was committed in earlier terms."""
    STATE_MACHINE_SAFETY = "state machine safety"
    """Nobody applies another entry at the same index, nor leaves one out."""
    LEADER_APPEND_ONLY = "leader append-only"
    """A leader changes nothing that is in its log."""
    COMMITTED_IMMUTABLE = "committed entries never change"
    """Neither in what nodes take for committed, nor in a log."""
    DURABLE_QUORUM = "committed means durable on a quorum"
    """Of both halves of the configuration, if it is joint."""
    MONOTONIC = "terms, votes and indexes never go back"
    """One vote a term; term, commit and applied only grow, and what is on disk survives a crash."""
    ORDERED = "compacted <= snapshot <= applied <= committed <= last"
    SNAPSHOT_IS_REPLAY = "a snapshot is what replaying the log gives"
    ONE_CHANGE = "one uncommitted change of members at a time"
    SYNCED_BEFORE_REPLY = "no promise leaves before it is on disk"
    ONE_LEASE = "nobody is elected while a lease holds"
    """By the true clock."""
    SESSIONS = "a command has one answer, however often it is tried"

    LINEARIZABLE = "clients see one copy of the data"
    """By the order of the log, and by a search for any order (Wing, Gong and Lowe)."""
    CONVERGENCE = "all members come to the same state once faults are over"
    SERVICE = "the group serves once faults are over"
    DURABILITY = "what was acknowledged is there once faults are over"
    NO_ERROR = "the core raises only what it documents"


class InvariantViolationError(RaftError):
    """A promise was broken in a simulated run.

    Attributes:
        invariant: Which one.

    """

    code = "raft.invariant"

    def __init__(self, invariant: Invariant, reason: str) -> None:
        super().__init__(f"{invariant.value}: {reason}")
        self.invariant = invariant
