"""A node refuses its vote to whom it outranks, if it could win with the same log itself."""

from __future__ import annotations

import pytest

from raft_core import Config, ConfigError, Message, MessageType, Role

from .network import Network, make_node, make_storage, of_type, work


def network(*priorities: int, careful: bool = False, seed: int = 0) -> Network:
    each = {node_id: {"priority": one} for node_id, one in enumerate(priorities, 1)}
    size = len(priorities)
    return Network(size, each=each, seed=seed, pre_vote=careful, check_quorum=careful)


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_whom_a_majority_outranks_is_not_elected(seed: int, *, careful: bool) -> None:
    net = network(10, 20, 30, 40, 50, careful=careful, seed=seed)
    leader = net.until_leader()
    assert leader in (3, 4, 5)
    net.isolate(leader)
    rest = [one for one in net.peers if one != leader]
    while net.leader == leader or any(net[one].lead in (0, leader) for one in rest):
        net.tick()
    assert net.leader in rest[2:]  # it takes three of the four, so only one may refuse


def test_a_candidate_with_a_longer_log_is_elected_whatever_its_priority() -> None:
    storages = {1: make_storage((1, 1)), 2: make_storage((1,)), 3: make_storage((1,))}
    each = {3: {"priority": 9}}
    net = Network(3, storages=storages, each=each)
    net.isolate(2)
    net.campaign(1)
    assert net.leader == 1


def test_a_candidate_of_a_later_last_term_is_elected_whatever_its_priority() -> None:
    """Where lengths alone were compared, 3 would refuse 1 and could never win itself."""
    storages = {1: make_storage((1, 2)), 2: make_storage((1,)), 3: make_storage((1, 1), term=2)}
    net = Network(3, storages=storages, each={3: {"priority": 9}})
    net.isolate(2)
    net.campaign(1)
    assert net.leader == 1


def test_who_cannot_campaign_does_not_refuse_for_its_priority() -> None:
    """It may be a voter by now and not know it: then its vote is needed, and it cannot win."""
    storage = make_storage((1,), voters=(1, 3), learners=(2,))
    node = make_node(2, storage, priority=9)
    node.step(Message(type=MessageType.VOTE, to=2, sender=1, term=2, log_term=1, index=1))
    (answer,) = of_type(work(node, storage), MessageType.VOTE_RESP)
    assert not answer.reject


def test_a_transfer_goes_to_whom_the_leader_chose() -> None:
    net = network(0, 0, 9)
    net.campaign(3)
    net[3].node.transfer_leader(1)
    net.settle()
    assert net.leader == 1


def test_a_group_whose_first_choice_is_heard_by_nobody_elects_another() -> None:
    """Node 5 hears the others, and they do not hear it; two of those left need its vote."""
    each = {5: {"priority": 9}}
    net = Network(5, each=each, pre_vote=True, check_quorum=True)
    net.isolate(3, 4)
    votes = (MessageType.VOTE_RESP, MessageType.PRE_VOTE_RESP, MessageType.APP_RESP)
    answers = (*votes, MessageType.HEARTBEAT_RESP)
    net.drop = lambda message: message.sender == 5 and message.type not in answers
    assert net.until_leader() in (1, 2)


def test_who_refuses_for_its_priority_campaigns_with_its_next_tick() -> None:
    net = network(0, 0, 9)
    net.isolate(2)
    net.campaign(1)
    assert net[1].role is not Role.LEADER
    net.heal()
    net.tick(1, 3)
    assert net[3].role is Role.LEADER


@pytest.mark.parametrize("priority", [-1, 2**32 + 1])
def test_a_priority_out_of_range_is_refused(priority: int) -> None:
    with pytest.raises(ConfigError, match="priority"):
        Config(id=1, priority=priority)
