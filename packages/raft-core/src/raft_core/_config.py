"""Settings of one node."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import attrs

from raft_core._entries import NO_LIMIT, NO_NODE
from raft_core._errors import ConfigError
from raft_core._messages import APPLY_THREAD
from raft_core._reads import ReadOnlyOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from raft_core._trace import TraceEvent

_MIB: Final = 2**20
MAX_PRIORITY: Final = 2**32


class RemovedLeader(Enum):
    """What a leader does when it has applied its own removal, or its demotion to a learner.

    It has to lead until its removal is committed (dissertation section 4.2.2). What it appended
    after that may be in its log only, and then it would refuse its vote to all others. Some of them
    may still need that vote, not knowing of the commit yet.
    """

    HAND_OVER = "hand over"
    """It brings a voter's log up to date and lets that voter campaign, as often as it takes."""
    STEP_DOWN = "step down"
    """It steps down at once. With two voters the one left may never be elected."""
    STAY = "stay"
    """It leads on without taking proposals; the application must see to the rest."""


@attrs.frozen(kw_only=True)
class Config:
    """Settings of one node. Those that are not about the node itself should be the same on all.

    Raises:
        ConfigError: A setting cannot work.

    """

    id: int
    """Who this node is: never 0, never used again for another disk."""
    election_tick: int = 10
    """So many ticks without a leader, and up to twice as many, before a node campaigns."""
    heartbeat_tick: int = 1
    """So many ticks between heartbeats. Well below `election_tick`."""
    seed: int = 0
    """Drives the election timeouts, together with the id. Nothing else is random."""
    applied: int = 0
    """What the application has applied when the node starts; nothing below is handed out again."""
    pre_vote: bool = True
    """Ask before campaigning, so that a node cut off does not depose a leader when it is back."""
    check_quorum: bool = True
    """A leader that hears no quorum steps down; nobody votes against a leader it hears."""
    priority: int = 0
    """It votes against candidates of lower priority whose log is no better than its own, so whom
    a majority outranks is not elected; only for a while, see `PRIORITY_PATIENCE`."""
    quiesce_tick: int = 0
    """After so many ticks with nothing to do a group ends its heartbeats. 0: never."""
    witness: bool = False
    """Its disk holds no data of entries, so it never leads; see `ConfChangeType.ADD_WITNESS`."""
    removed_leader: RemovedLeader = RemovedLeader.HAND_OVER
    """What a leader does when it has applied its own removal or demotion."""
    read_only: ReadOnlyOption = ReadOnlyOption.SAFE
    lease_margin_tick: int = 2
    """A lease ends so many ticks before followers may vote again; clocks may differ by that."""
    async_storage_writes: bool = False
    """Storage writes are messages that carry the answers they release; `advance` is not used."""
    max_entry_size: int = 64 * _MIB
    """A proposal with more data in one entry is refused."""
    max_size_per_message: int = _MIB
    """Entries in one append; a single larger one still goes."""
    max_committed_size_per_ready: int = 0
    """Entries handed out and not yet applied; 0: as `max_size_per_message`."""
    max_uncommitted_size: int = 64 * _MIB
    """Data a leader appends beyond what is applied; proposals above it are dropped. 0: no limit."""
    max_inflight_messages: int = 256
    """Appends under way to one follower."""
    max_inflight_bytes: int = 0
    """Bytes under way to one follower. 0: no limit."""
    snapshot_timeout_tick: int = 100
    """A snapshot neither acknowledged nor reported for so many ticks was lost. 0: wait for ever."""
    max_snapshot_chunk: int = 0
    """Data of a snapshot in one message; larger ones are sent in pieces. 0: all in one message."""
    max_pending_reads: int = 65_536
    """Reads that wait for a quorum; more are dropped."""
    disable_proposal_forwarding: bool = False
    """A follower drops proposals instead of passing them on to the leader."""
    disable_conf_change_validation: bool = False
    """Append any change of members; only for those who serialize and check them elsewhere."""
    trace: Callable[[TraceEvent], None] | None = None
    """Called with every event of the protocol; must not call the node."""

    def __attrs_post_init__(self) -> None:
        """Refuse settings that cannot work."""
        for broken, reason in self._rules():
            if broken:
                raise ConfigError(reason)

    def _rules(self) -> tuple[tuple[bool, str], ...]:
        sizes = (self.max_entry_size, self.max_size_per_message, self.applying_limit)
        lease = self.read_only is ReadOnlyOption.LEASE_BASED
        return (
            (not NO_NODE < self.id < APPLY_THREAD, "id must be from 1 to 2**64 - 3"),
            (self.heartbeat_tick < 1, "heartbeat_tick must be at least 1"),
            (
                self.election_tick <= self.heartbeat_tick,
                "election_tick must be greater than heartbeat_tick",
            ),
            (
                min(self.applied, self.seed, self.snapshot_timeout_tick) < 0,
                "applied, seed and snapshot_timeout_tick must not be negative",
            ),
            (not 0 <= self.priority <= MAX_PRIORITY, "priority must be from 0 to 2**32"),
            (
                min(self.quiesce_tick, self.max_snapshot_chunk) < 0,
                "quiesce_tick and max_snapshot_chunk must not be negative",
            ),
            (
                self.quiesce_tick > 0 and (lease or not (self.pre_vote and self.check_quorum)),
                "quiescence needs pre_vote and check_quorum, and cannot have leases",
            ),
            (min(sizes) < 1 or self.max_uncommitted_size < 0, "no size may be negative or 0"),
            (self.max_inflight_messages < 1, "max_inflight_messages must be at least 1"),
            (
                0 < self.max_inflight_bytes < self.max_size_per_message,
                "max_inflight_bytes must be at least max_size_per_message",
            ),
            (self.max_pending_reads < 1, "max_pending_reads must be at least 1"),
            (lease and not self.check_quorum, "leases need check_quorum"),
            (
                lease and not 0 < self.lease_margin_tick < self.election_tick,
                "lease_margin_tick must be from 1 to election_tick - 1",
            ),
        )

    @property
    def applying_limit(self) -> int:
        """Return how much may be handed out and not yet applied."""
        return self.max_committed_size_per_ready or self.max_size_per_message

    @property
    def uncommitted_limit(self) -> int:
        """Return how much data a leader appends beyond what is applied."""
        return self.max_uncommitted_size or NO_LIMIT

    @property
    def inflight_bytes_limit(self) -> int:
        """Return how many bytes may be under way to one follower."""
        return self.max_inflight_bytes or NO_LIMIT
