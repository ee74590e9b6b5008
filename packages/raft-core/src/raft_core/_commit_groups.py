"""Commits that outlast a site: two groups of voters must hold an entry, besides a quorum.

A quorum may stand in one room. With every voter in a group - a room, a region - an entry counts as
committed only when voters of two groups hold it. The condition withholds commits and makes none, so
nothing that Raft promises rests on it, and each leader may decide for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core._quorum import EVERYTHING, JointConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from raft_core._quorum import MajorityConfig


def committed_across_groups(
    voters: JointConfig | MajorityConfig, acked: Callable[[int], int], groups: Mapping[int, int]
) -> int:
    """Return the highest index that a quorum has acknowledged, and two groups of its voters.

    Who is in no group counts for the quorum only. Voters that make up fewer than two groups need
    but their quorum: a condition that nobody could meet would stop the group.
    """
    halves = (voters.incoming, voters.outgoing) if isinstance(voters, JointConfig) else (voters,)
    across = [_held_by_two_groups(half.ids, acked, groups) for half in halves]
    return min(voters.committed_index(acked), *across)


def _held_by_two_groups(
    ids: Iterable[int], acked: Callable[[int], int], groups: Mapping[int, int]
) -> int:
    furthest: dict[int, int] = {}
    for voter in ids:
        group = groups.get(voter)
        if group is not None:
            furthest[group] = max(furthest.get(group, 0), acked(voter))
    return sorted(furthest.values())[-2] if len(furthest) > 1 else EVERYTHING
