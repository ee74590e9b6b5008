"""Commits that need two groups of voters besides a quorum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_core._commit_groups import committed_across_groups
from raft_core._quorum import EVERYTHING, JointConfig, MajorityConfig

from .network import Network

ids = st.lists(st.integers(1, 7), unique=True, max_size=7)


@pytest.mark.parametrize(
    ("acked", "groups", "expected"),
    [
        ((9, 9, 3), (1, 1, 2), 3),
        ((9, 8, 3), (1, 2, 2), 8),
        ((9, 8, 3), (1, 2, 3), 8),
        ((9, 8, 3), (1, 1, 1), 8),
        ((9, 8, 3), (0, 0, 0), 8),
        ((9, 3, 8), (1, 0, 2), 8),
        ((2, 9, 8), (1, 2, 0), 2),
    ],
)
def test_two_groups_hold_what_is_committed(
    acked: tuple[int, ...], groups: tuple[int, ...], expected: int
) -> None:
    named = {one: group for one, group in enumerate(groups, 1) if group}
    match = dict(enumerate(acked, 1))
    voters = MajorityConfig(range(1, len(acked) + 1))
    assert committed_across_groups(voters, match.__getitem__, named) == expected


@given(
    ids,
    ids,
    st.dictionaries(st.integers(1, 7), st.integers(0, 20)),
    st.dictionaries(st.integers(1, 7), st.integers(1, 3)),
)
def test_it_is_the_highest_index_by_definition(
    incoming: list[int], outgoing: list[int], acked: dict[int, int], groups: dict[int, int]
) -> None:
    voters = JointConfig(MajorityConfig(incoming), MajorityConfig(outgoing))

    def enough(half: list[int], index: int) -> bool:
        holders = [one for one in half if acked.get(one, 0) >= index]
        spread = {groups[one] for one in holders if one in groups}
        named = {groups[one] for one in half if one in groups}
        return 2 * len(holders) > len(half) and len(spread) >= min(2, len(named) - (len(named) < 2))

    found = committed_across_groups(voters, lambda one: acked.get(one, 0), groups)
    halves = [half for half in (incoming, outgoing) if half]
    if not halves:
        assert found == EVERYTHING
    else:
        assert found == max(
            index for index in range(21) if all(enough(half, index) for half in halves)
        )


def test_a_leader_waits_for_the_other_site_and_can_be_told_not_to() -> None:
    net = Network(3)
    net.campaign(1)
    net[1].node.set_commit_groups({1: 1, 2: 1, 3: 2})
    net.isolate(3)
    net.propose(1, b"a")
    assert net[1].data == []
    net[1].node.set_commit_groups({})
    net.settle()
    assert net[1].data == [b"a"]


def test_the_setting_outlasts_terms() -> None:
    net = Network(3)
    for peer in net.peers.values():
        peer.node.set_commit_groups({1: 1, 2: 1, 3: 2})
    net.campaign(1)
    net.campaign(2)
    net.isolate(3)
    net.propose(2, b"a")
    assert net[2].data == []
    net.heal()
    net.tick(2)
    assert net[2].data == [b"a"]
