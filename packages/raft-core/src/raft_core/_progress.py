"""How far a follower is, as the leader sees it.

A progress is in one of three states. In PROBE the leader does not know where the follower's log
ends and sends one append at a time, to find out. In REPLICATE it knows, and sends ahead without
waiting for answers. In SNAPSHOT the entries the follower needs are compacted away; nothing is sent
until it has the snapshot.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from raft_core._inflights import Inflights
    from raft_core._states import Snapshot


class ProgressState(IntEnum):
    """What the leader does with a follower."""

    PROBE = 0
    REPLICATE = 1
    SNAPSHOT = 2


@attrs.define
class Outgoing:
    """A snapshot on its way to a follower, in pieces."""

    snapshot: Snapshot
    offset: int = 0
    """So much of its data the follower has, as far as it has said."""
    sent_tick: int = 0
    """When the piece under way was sent, in ticks of the leader's term."""


@attrs.define
class Progress:
    """One follower's progress.

    Invariants: 0 <= match < next; what lies between them is under way; in SNAPSHOT,
    next == pending_snapshot + 1.
    """

    match: int
    """Up to here the follower's log is known to be the leader's, durably."""
    next: int
    """The first entry that the next append carries."""
    inflights: Inflights
    is_learner: bool = False
    state: ProgressState = ProgressState.PROBE
    snapshot_tick: int = 0
    """When the snapshot under way was sent, or a piece of it acknowledged, in ticks of the leader's
    term."""
    pending_snapshot: int = 0
    """Index of the snapshot under way; 0 outside SNAPSHOT."""
    recent_active: bool = False
    """Heard of since the last check-quorum round."""
    flow_paused: bool = False
    """No append until the follower is heard of: in PROBE one is under way, in REPLICATE the window
    is full. A heartbeat's answer lifts it, else a lost append would stall the follower for good."""
    sent_commit: int = 0
    """The highest commit index on its way to the follower."""
    outgoing: Outgoing | None = None
    """The snapshot under way, if it goes in pieces."""
    wanted_snapshot: int = 0
    """The follower's application waits for a snapshot at or above this index; 0: it does not."""

    @property
    def is_paused(self) -> bool:
        """Say whether nothing may be appended at the moment."""
        return self.flow_paused or self.state is ProgressState.SNAPSHOT

    def clone(self) -> Progress:
        """Return a copy that shares nothing."""
        outgoing = None if self.outgoing is None else attrs.evolve(self.outgoing)
        return attrs.evolve(self, inflights=self.inflights.clone(), outgoing=outgoing)

    def become_probe(self) -> None:
        """Find out where the follower's log ends, one append at a time.

        After a snapshot the search starts behind it: it was sent, presumably it is there.
        """
        start = self.match
        if self.state is ProgressState.SNAPSHOT:
            start = max(start, self.pending_snapshot)
        self._enter(ProgressState.PROBE)
        self.next = start + 1
        self.sent_commit = min(self.sent_commit, start)

    def become_replicate(self) -> None:
        """Send ahead from where the logs are known to match."""
        self._enter(ProgressState.REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: int) -> None:
        """Send nothing until the snapshot at `index` has arrived."""
        self._enter(ProgressState.SNAPSHOT)
        self.pending_snapshot = index
        self.next = index + 1
        self.sent_commit = index

    def _enter(self, state: ProgressState) -> None:
        self.state = state
        self.flow_paused = False
        self.pending_snapshot = 0
        self.outgoing = None
        self.inflights.clear()

    def sent_entries(self, count: int, size: int) -> None:
        """Note that an append with so many entries left. Only in PROBE and REPLICATE."""
        if self.state is ProgressState.REPLICATE:
            if count:
                self.next += count
                self.inflights.add(self.next - 1, size)
            self.flow_paused = self.inflights.is_full
        elif count:
            self.flow_paused = True

    def can_bump_commit(self, commit: int) -> bool:
        """Say whether telling the follower this commit index could move its own.

        It cannot go beyond next - 1, where the entries under way end.
        """
        return commit > self.sent_commit < self.next - 1

    def maybe_update(self, index: int) -> bool:
        """Take an acknowledgement; say whether it was news."""
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, index + 1)
        self.flow_paused = False
        return True

    def maybe_decrease(self, rejected: int, match_hint: int) -> bool:
        """Take a rejection of an append after `rejected`; say whether it was news.

        Messages overtake each other: a rejection of what has been acknowledged since, or of
        another append than the probe under way, means nothing. Taken for news, the first would
        be answered with the same append for ever.
        """
        if rejected <= self.match:
            return False
        if self.state is ProgressState.REPLICATE:
            self.next = self.match + 1
        else:
            if rejected != self.next - 1:
                return False
            self.next = max(min(rejected, match_hint + 1), self.match + 1)
            self.flow_paused = False
        self.sent_commit = min(self.sent_commit, self.next - 1)
        return True
