"""Who decides: majorities, and two of them at once.

Everything here is a pure function of ids, acknowledged indexes and votes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: What a configuration without voters has committed: everything. It makes half a joint
#: configuration that is empty behave as if it were not there.
EVERYTHING: Final = 2**64 - 1


class VoteResult(IntEnum):
    """Where an election stands."""

    PENDING = 1
    LOST = 2
    WON = 3


def _sorted_ids(ids: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(ids)))


@attrs.frozen
class MajorityConfig:
    """A set of voters of which more than half decide."""

    ids: tuple[int, ...] = attrs.field(default=(), converter=_sorted_ids)

    def committed_index(self, acked: Callable[[int], int]) -> int:
        """Return the highest index that a majority has acknowledged.

        `acked` says up to where a voter has acknowledged, 0 if it has not been heard of.
        """
        ids = self.ids
        if not ids:
            return EVERYTHING
        indexes = sorted([acked(voter) for voter in ids])
        # Sorted upwards, those from this position on are just a majority, and it is their lowest.
        return indexes[(len(ids) - 1) // 2]

    def vote_result(self, votes: Mapping[int, bool]) -> VoteResult:
        """Return where an election stands, given the votes known so far."""
        if not self.ids:
            return VoteResult.WON
        quorum = len(self.ids) // 2 + 1
        granted = sum(votes.get(voter, False) for voter in self.ids)
        if granted >= quorum:
            return VoteResult.WON
        missing = sum(voter not in votes for voter in self.ids)
        return VoteResult.PENDING if granted + missing >= quorum else VoteResult.LOST


@attrs.frozen
class JointConfig:
    """Two sets of voters that both must agree (Raft paper section 6, dissertation section 4.3)."""

    incoming: MajorityConfig = MajorityConfig()
    outgoing: MajorityConfig = MajorityConfig()

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the voters of both, sorted."""
        if not self.outgoing.ids:
            return self.incoming.ids
        return _sorted_ids((*self.incoming.ids, *self.outgoing.ids))

    @property
    def is_singleton(self) -> bool:
        """Say whether one voter decides alone."""
        return len(self.incoming.ids) == 1 and not self.outgoing.ids

    def committed_index(self, acked: Callable[[int], int]) -> int:
        """Return the highest index that both majorities have acknowledged."""
        committed = self.incoming.committed_index(acked)
        if not self.outgoing.ids:
            return committed
        return min(committed, self.outgoing.committed_index(acked))

    def vote_result(self, votes: Mapping[int, bool]) -> VoteResult:
        """Return where an election stands: won in both, lost as soon as it is lost in one."""
        incoming = self.incoming.vote_result(votes)
        outgoing = self.outgoing.vote_result(votes)
        if incoming == outgoing:
            return incoming
        if VoteResult.LOST in (incoming, outgoing):
            return VoteResult.LOST
        return VoteResult.PENDING
