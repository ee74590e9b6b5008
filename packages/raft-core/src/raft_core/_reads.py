"""Reads that need no log entry: ReadIndex and leases (dissertation section 6.4).

A leader may answer a read from its commit index only if it is still the leader. ReadIndex asks a
quorum: heartbeats carry the number of the newest read, and a quorum of echoes confirms that read
and all before it. A lease spares the question: a follower that heard a heartbeat refuses to vote
for a while, so until then nobody else can have been elected - if clocks run at about the same rate.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from raft_core._messages import Message
    from raft_core._quorum import JointConfig


class ReadOnlyOption(Enum):
    """How a leader makes sure that it still leads before it answers a read."""

    SAFE = "safe"
    """It asks a quorum. Right whatever clocks do."""
    LEASE_BASED = "lease-based"
    """It trusts that no clock runs much faster than its own; needs check-quorum everywhere."""


@attrs.frozen
class PendingRead:
    """A read that waits for a quorum."""

    request: Message
    index: int


_stamp = Struct("<QQ")


def _no_reads() -> deque[PendingRead]:
    return deque()


def _no_acks() -> dict[int, int]:
    return {}


@attrs.define
class ReadOnly:
    """The reads and the lease of one leader in one term.

    Heartbeats are stamped with (number of the newest read, leader's tick), which is all a quorum
    of answers needs to say: what it confirms, and since when it has been keeping quiet.
    """

    option: ReadOnlyOption
    pending: deque[PendingRead] = attrs.field(factory=_no_reads)
    confirmed: int = 0
    """How many reads of this term a quorum has confirmed."""
    lease_revoked: bool = False
    """A successor was told to campaign, lease or not: this term has no lease any more."""
    _read_acks: dict[int, int] = attrs.field(factory=_no_acks)
    _tick_acks: dict[int, int] = attrs.field(factory=_no_acks)

    @property
    def newest(self) -> int:
        """Return the number of the newest read of this term."""
        return self.confirmed + len(self.pending)

    def heartbeat_context(self, tick: int) -> bytes:
        """Return what heartbeats are stamped with; nothing where no answer matters."""
        if not self.pending and self.option is ReadOnlyOption.SAFE:
            return b""
        return _stamp.pack(self.newest, tick)

    def is_plausible(self, context: bytes, tick: int) -> bool:
        """Say whether heartbeats of this term can have carried this stamp."""
        if not context:
            return True
        if len(context) != _stamp.size:
            return False
        number, sent = _stamp.unpack(context)
        return bool(number <= self.newest and sent <= tick)

    def add(self, request: Message, commit: int, own_id: int) -> None:
        """Let a read wait; the leader itself is the first to confirm it."""
        self.pending.append(PendingRead(request, commit))
        self._read_acks[own_id] = self.newest

    def acknowledge(self, voter: int, context: bytes) -> None:
        """Take a follower's echo of a stamp."""
        number, sent = _stamp.unpack(context)
        self._read_acks[voter] = max(number, self._read_acks.get(voter, 0))
        self._tick_acks[voter] = max(sent, self._tick_acks.get(voter, 0))

    def take_confirmed(self, voters: JointConfig) -> list[PendingRead]:
        """Return the reads that a quorum has confirmed since the last time."""
        number = min(voters.committed_index(self._read_ack), self.newest)
        confirmed = [self.pending.popleft() for _ in range(number - self.confirmed)]
        self.confirmed = max(self.confirmed, number)
        return confirmed

    def _read_ack(self, voter: int) -> int:
        return self._read_acks.get(voter, 0)

    def holds_lease(self, voters: JointConfig, own_id: int, tick: int, length: int) -> bool:
        """Say whether a quorum has promised, less than `length` ticks ago, to elect nobody else."""
        if self.option is not ReadOnlyOption.LEASE_BASED or self.lease_revoked:
            return False
        heard = voters.committed_index(
            lambda voter: tick if voter == own_id else self._tick_acks.get(voter, 0)
        )
        # 0: a quorum has never answered, as ticks of a term are counted from 1.
        return heard > 0 and tick - heard < length
