"""The configuration in force, everybody's progress, and the votes of an election."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core._commit_groups import committed_across_groups
from raft_core._inflights import Inflights
from raft_core._progress import Progress
from raft_core._quorum import JointConfig, MajorityConfig, VoteResult
from raft_core._states import ConfState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _no_progress() -> dict[int, Progress]:
    return {}


def _no_votes() -> dict[int, bool]:
    return {}


@attrs.define
class Tracker:
    """What the leader knows about the others, and a candidate about its votes.

    Invariant: `progress` holds exactly the members of `conf`, in ascending order of their ids.
    """

    max_inflight_messages: int
    max_inflight_bytes: int
    conf: ConfState = attrs.field(factory=ConfState)
    voters: JointConfig = attrs.field(factory=JointConfig)
    progress: dict[int, Progress] = attrs.field(factory=_no_progress)
    votes: dict[int, bool] = attrs.field(factory=_no_votes)
    commit_groups: Mapping[int, int] = attrs.field(factory=dict[int, int])
    """Voters by the group that they belong to; see `_commit_groups`."""

    def switch_to(self, conf: ConfState, last_index: int) -> None:
        """Put a configuration into force; who stays keeps their progress."""
        before = self.progress
        self.conf = conf
        self.voters = JointConfig(MajorityConfig(conf.voters), MajorityConfig(conf.voters_outgoing))
        self.progress = {}
        for member in conf.members:
            progress = before.get(member) or self._newcomer(last_index)
            progress.is_learner = member in conf.learners
            self.progress[member] = progress

    def _newcomer(self, last_index: int) -> Progress:
        # Active until the next check-quorum round, else adding a node could depose the leader
        # before the two have spoken.
        return Progress(
            match=0, next=max(last_index, 1), inflights=self._inflights(), recent_active=True
        )

    def _inflights(self) -> Inflights:
        return Inflights(self.max_inflight_messages, self.max_inflight_bytes)

    def reset(self, own_id: int, last_index: int) -> None:
        """Forget how far everybody is, as at the start of a term."""
        self.votes = {}
        for member, progress in self.progress.items():
            self.progress[member] = Progress(
                match=last_index if member == own_id else 0,
                next=last_index + 1,
                inflights=self._inflights(),
                is_learner=progress.is_learner,
            )

    def others(self, own_id: int) -> Iterator[int]:
        """Yield the ids of all members but one, ascending."""
        return (member for member in self.progress if member != own_id)

    def _match(self, voter: int) -> int:
        progress = self.progress.get(voter)
        return progress.match if progress is not None else 0

    def committed(self) -> int:
        """Return the highest index that the voters hold durably, by their quorum."""
        if self.commit_groups:
            return committed_across_groups(self.voters, self._match, self.commit_groups)
        return self.voters.committed_index(self._match)

    def held_with_data(self) -> int:
        """Return the highest index that a voter with data holds, one of those to stay."""
        conf = self.conf
        return max([self._match(one) for one in conf.voters if one not in conf.witnesses])

    def quorum_active(self) -> bool:
        """Say whether a quorum has been heard of since the last round."""
        active = {
            member: progress.recent_active
            for member, progress in self.progress.items()
            if not progress.is_learner
        }
        return self.voters.vote_result(active) is VoteResult.WON

    def record_vote(self, voter: int, *, granted: bool) -> VoteResult:
        """Count a vote, the first of each voter only; return where the election stands."""
        self.votes.setdefault(voter, granted)
        return self.voters.vote_result(self.votes)
