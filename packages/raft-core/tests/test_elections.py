"""Cases 1 to 7, 16, 17, 31 to 38, 50, 51 and 57 of the checklist: who leads."""

import pytest

from raft_core import (
    ConfState,
    Entry,
    HardState,
    Message,
    MessageType,
    Node,
    OutOfRangeError,
    ReadOnlyOption,
    Role,
    SafetyViolationError,
    Snapshot,
)
from raft_core._conf_changes import conf_change_entry

from .network import (
    Network,
    add_learner,
    add_voter,
    append,
    make_node,
    make_storage,
    of_type,
    remove,
    work,
)


def vote_request(node_id: int, term: int, last: tuple[int, int], *, pre: bool = False) -> Message:
    return Message(
        type=MessageType.PRE_VOTE if pre else MessageType.VOTE,
        to=1,
        sender=node_id,
        term=term,
        log_term=last[0],
        index=last[1],
    )


def role(node: Node) -> Role:
    return node.status().soft_state.role


def term(node: Node) -> int:
    return node.status().hard_state.term


@pytest.mark.parametrize(
    ("size", "votes", "expected"),
    [
        (1, "", Role.LEADER),
        (3, "yy", Role.LEADER),
        (3, "y-", Role.LEADER),
        (5, "yyyy", Role.LEADER),
        (5, "yyy-", Role.LEADER),
        (5, "yy--", Role.LEADER),
        (9, "yyyynnnn", Role.LEADER),
        (3, "nn", Role.FOLLOWER),
        (5, "nnnn", Role.FOLLOWER),
        (5, "ynnn", Role.FOLLOWER),
        (4, "ynn", Role.FOLLOWER),
        (3, "--", Role.CANDIDATE),
        (3, "n-", Role.CANDIDATE),
        (4, "y--", Role.CANDIDATE),
        (5, "y---", Role.CANDIDATE),
        (5, "nn--", Role.CANDIDATE),
        (7, "yynnn-", Role.CANDIDATE),
    ],
)
def test_case_01_an_election_is_decided_by_majority(size: int, votes: str, expected: Role) -> None:
    storage = make_storage(voters=tuple(range(1, size + 1)))
    node = make_node(1, storage)
    node.campaign()
    work(node, storage)
    for voter, vote in enumerate(votes, 2):
        if vote != "-":
            node.step(
                Message(type=MessageType.VOTE_RESP, to=1, sender=voter, term=1, reject=vote == "n")
            )
    assert role(node) is expected
    assert term(node) == 1


@pytest.mark.parametrize(
    ("voted_for", "candidate", "granted"),
    [(0, 2, True), (0, 3, True), (2, 2, True), (3, 3, True), (2, 3, False), (3, 2, False)],
)
def test_case_02_one_vote_a_term(voted_for: int, candidate: int, granted: bool) -> None:
    storage = make_storage(term=1, vote=voted_for)
    node = make_node(1, storage)
    node.step(vote_request(candidate, 1, (0, 0)))
    (answer,) = work(node, storage)
    assert (answer.type, answer.to, answer.reject) == (
        MessageType.VOTE_RESP,
        candidate,
        not granted,
    )


@pytest.mark.parametrize(
    ("own", "theirs", "granted"),
    [
        ([1], (1, 1), True),
        ([1], (1, 2), True),
        ([1, 1], (1, 1), False),
        ([1], (2, 1), True),
        ([1], (2, 2), True),
        ([1, 1], (2, 1), True),
        ([2], (1, 1), False),
        ([2], (1, 2), False),
        ([1, 2], (1, 1), False),
    ],
)
def test_case_03_no_vote_for_a_candidate_with_an_older_log(
    own: list[int],
    theirs: tuple[int, int],
    granted: bool,
) -> None:
    storage = make_storage(own)
    node = make_node(1, storage)
    node.step(vote_request(2, 3, theirs))
    (answer,) = work(node, storage)
    assert answer.reject is not granted
    assert answer.term == 3


def test_case_04_randomized_timeouts_rarely_collide() -> None:
    nodes = [make_node(one, make_storage(voters=(1, 2, 3, 4, 5))) for one in range(1, 6)]
    collisions = 0
    for round_ in range(1, 1001):
        for node in nodes:
            node._raft.become_follower(round_, 0)
        timeouts = sorted(node._raft.randomized_election_timeout for node in nodes)
        assert timeouts[0] >= 10
        assert timeouts[-1] < 20
        collisions += timeouts[0] == timeouts[1]
    assert collisions / 1000 < 0.35


def test_case_04_timeouts_are_uniform() -> None:
    node = make_node(1)
    drawn = [0] * 20
    for _ in range(10_000):
        node._raft.become_follower(1, 0)
        drawn[node._raft.randomized_election_timeout] += 1
    assert all(800 < count < 1200 for count in drawn[10:])


def test_case_05_a_split_vote_resolves() -> None:
    group = Network()
    group.cut |= {(1, 3), (3, 1)}
    group[1].node.campaign()
    group[3].node.campaign()
    group.settle()
    assert [group[one].role for one in (1, 2, 3)] == [Role.LEADER, Role.FOLLOWER, Role.CANDIDATE]
    group.heal()
    group.campaign(3)
    # The log of 3 lacks the entry that opened term 1, so it cannot win; the term moves on.
    assert [group[one].term for one in (1, 2, 3)] == [2, 2, 2]
    group.campaign(1)
    assert {tuple(group[one].log()) for one in (1, 2, 3)} == {((1, 1), (3, 2))}


def test_case_05_with_pre_vote_a_split_vote_does_not_raise_the_term() -> None:
    group = Network(pre_vote=True)
    group.cut |= {(1, 3), (3, 1)}
    group[1].node.campaign()
    group[3].node.campaign()
    group.settle()
    assert group[1].role is Role.LEADER
    group.heal()
    group.campaign(3)
    assert [group[one].term for one in (1, 2, 3)] == [1, 1, 1]
    assert group[1].role is Role.LEADER


def test_case_06_a_candidate_concedes_and_drops_its_tail() -> None:
    group = Network()
    group.isolate(1)
    group.campaign(1)
    group.campaign(3)
    group.heal()
    group.tick(1, 3)
    group.propose(3, b"force follower")
    assert group[1].role is Role.FOLLOWER
    assert group[1].term == 1
    assert {tuple(group[one].data) for one in (1, 2, 3)} == {(b"force follower",)}


def test_case_07_a_longer_log_of_an_older_term_is_overwritten() -> None:
    # 1 won term 1 with 2; 3 won term 2 with the votes of 4 and 5, and got its entry nowhere.
    voters = (1, 2, 3, 4, 5)
    group = Network(
        5,
        storages={
            1: make_storage([1], voters=voters),
            2: make_storage([1], voters=voters),
            3: make_storage([2], voters=voters),
            4: make_storage(voters=voters, term=2, vote=3),
            5: make_storage(voters=voters, term=2, vote=3),
        },
    )
    group.campaign(1)  # fails, as a quorum voted in term 2, and tells of that term
    assert group[1].role is Role.FOLLOWER
    assert group[1].term == 2
    group.campaign(1)
    assert group[1].role is Role.LEADER
    assert {tuple(group[one].log()) for one in voters} == {((1, 1), (3, 2))}


@pytest.mark.parametrize(
    "stale",
    [
        append(term=2, prev=(0, 0), terms=[2, 2]),
        Message(type=MessageType.HEARTBEAT, to=1, sender=2, term=2, commit=1),
        vote_request(2, 2, (2, 9)),
        Message(type=MessageType.VOTE_RESP, to=1, sender=2, term=2),
        Message(type=MessageType.APP_RESP, to=1, sender=2, term=2, index=1),
        Message(type=MessageType.TIMEOUT_NOW, to=1, sender=2, term=2),
    ],
    ids=lambda message: message.type.name,
)
def test_case_16_traffic_of_an_earlier_term_has_no_effect(stale: Message) -> None:
    storage = make_storage([1, 3])
    node = make_node(1, storage)
    before = node.status()
    node.step(stale)
    assert node.status() == before
    assert work(node, storage) == []


def test_case_16_a_deposed_leader_cannot_append() -> None:
    group = Network()
    group.campaign(1)
    group.campaign(2)
    group.campaign(1)
    group.deliver(append(3, 2, term=2, prev=(1, 1), terms=[2]))
    group.propose(1, b"new")
    assert {tuple(group[one].log()) for one in (1, 2, 3)} == {((1, 1), (2, 2), (3, 3), (3, 4))}


def test_case_17_an_earlier_term_never_reaches_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    node = make_node(1, make_storage([1, 2]))

    def reached(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(node._raft, "_handlers", dict.fromkeys(MessageType, reached))
    node.step(append(term=1, prev=(1, 1)))
    with pytest.raises(AssertionError):
        node.step(append(term=2, prev=(1, 1)))


def test_case_31_a_late_self_vote_is_ignored() -> None:
    storage = make_storage()
    node = make_node(1, storage, async_storage_writes=True)
    node.campaign()
    (request,) = of_type(node.ready().messages, MessageType.STORAGE_APPEND)
    (self_vote,) = request.responses
    node.step(vote_request(2, 2, (0, 0)))  # somebody else, a term later, before that is on disk
    node.campaign()
    assert term(node) == 3
    node.step(self_vote)
    assert node._raft.tracker.votes == {}
    assert role(node) is Role.CANDIDATE


def test_nobody_leads_before_the_own_vote_is_on_disk() -> None:
    # Found by seeds: a leader that forgets its term in a crash wins that term again, by the votes
    # of those who gave them before, and names two entries alike.
    node = make_node(1, make_storage(), async_storage_writes=True)
    node.campaign()
    (request,) = of_type(node.ready().messages, MessageType.STORAGE_APPEND)
    (self_vote,) = request.responses
    for voter in (2, 3):
        node.step(Message(type=MessageType.VOTE_RESP, to=1, sender=voter, term=term(node)))
    assert role(node) is Role.CANDIDATE
    node.step(self_vote)
    assert role(node) is Role.LEADER


def test_case_32_a_returning_node_does_not_disturb() -> None:
    group = Network(pre_vote=True, check_quorum=True)
    leader = group.until_leader()
    away = next(one for one in (1, 2, 3) if one != leader)
    before = group[leader].term
    group.isolate(away)
    group.tick(100)
    assert group[away].term == before
    group.heal()
    group.tick(20)
    assert group[leader].role is Role.LEADER
    assert {group[one].term for one in (1, 2, 3)} == {before}


def test_case_32_after_a_split_vote_the_next_election_completes() -> None:
    group = Network(pre_vote=True)
    group.campaign(1)
    group.isolate(1)
    # Both had their pre-vote and vote for themselves: nobody wins.
    for node_id in (2, 3):
        group[node_id].node.campaign()
    for node_id in (2, 3):
        for message in group.work(node_id):
            group.in_flight.append(message)
    group.settle(2, 3)
    assert Role.LEADER not in (group[2].role, group[3].role) or group[2].term == group[3].term
    group.campaign(2)
    assert group[2].role is Role.LEADER
    assert group[3].lead == 2


def test_case_33_nobody_votes_while_a_live_leader_is_heard() -> None:
    group = Network(check_quorum=True, pre_vote=True)
    group.campaign(1)
    group.tick()
    for pre in (False, True):
        request = vote_request(3, 9, (9, 9), pre=pre)
        group[1].node.step(request)
        assert group[1].node.status().hard_state.term == 1
        assert not group[1].node.has_ready()


def test_case_34_mixed_pre_vote_versions_elect() -> None:
    # 3 campaigned without pre-vote while it was cut off, then was upgraded.
    group = Network(each={1: {"pre_vote": True}, 2: {"pre_vote": True}})
    group.campaign(1)
    group.propose(1, b"a")
    group.isolate(3)
    group.campaign(3)
    group.campaign(3)
    group.propose(1, b"b")
    group[3].config = group[1].config.__class__(id=3, pre_vote=True, check_quorum=False)
    group.restart(3)
    group.heal()
    group.isolate(1)  # the leader is gone, and 3 has the higher term but the shorter log
    assert (group[2].term, group[3].term) == (1, 3)
    group.campaign(3)
    group.campaign(2)
    group.campaign(3)
    group.campaign(2)
    assert group[2].role is Role.LEADER
    assert group[3].lead == 2


def test_case_34_a_stuck_pre_candidate_is_freed_by_the_leader() -> None:
    group = Network(pre_vote=True)
    group.campaign(1)
    group[3].storage.set_hard_state(HardState(5, 3, group[3].commit))
    group.restart(3)
    group[3].node.campaign()
    group.tick(2, 1)  # the answer to a heartbeat deposes the leader of the lower term
    leader = group.until_leader()
    assert group[leader].term > 5


def test_case_35_an_isolated_node_of_a_high_term_is_freed() -> None:
    group = Network(check_quorum=True)
    group.campaign(1)
    group.isolate(3)
    group.campaign(3)
    group.campaign(3)
    assert group[3].term == 3
    group.heal()
    group.campaign(3)  # ignored: the others hear their leader
    assert group[1].term == group[2].term == 1
    group.tick(1, 1)  # the leader's heartbeat brings the higher term home
    assert group[1].role is Role.FOLLOWER
    assert group[1].term == group[3].term
    assert group.until_leader()


def test_case_36_a_leader_without_a_quorum_steps_down_in_one_timeout() -> None:
    group = Network(check_quorum=True)
    group.campaign(1)
    group.tick(10, 1)
    assert group[1].role is Role.LEADER
    group.isolate(1)
    group.tick(20, 1)
    assert group[1].role is Role.FOLLOWER
    assert group[1].lead == 0


def test_case_36_a_leader_with_a_quorum_stays() -> None:
    group = Network(check_quorum=True)
    group.campaign(1)
    group.isolate(3)
    group.tick(100, 1)
    assert group[1].role is Role.LEADER


def test_case_37_a_slow_link_deposes_without_pre_vote() -> None:
    group = Network(check_quorum=True)
    group.campaign(1)
    group.isolate(3)
    group.tick(25, 3)
    assert group[3].term > group[1].term
    group.heal()
    group.tick(1, 1)
    assert group[1].role is Role.FOLLOWER


def test_case_37_pre_vote_prevents_that() -> None:
    group = Network(check_quorum=True, pre_vote=True)
    group.campaign(1)
    group.isolate(3)
    group.tick(25, 3)
    assert group[3].role is Role.PRE_CANDIDATE
    assert group[3].term == group[1].term
    group.heal()
    group.tick(1, 1)
    assert group[1].role is Role.LEADER
    assert group[3].lead == 1


def test_case_38_who_forgets_a_dead_leader_votes_early() -> None:
    group = Network(check_quorum=True, pre_vote=True)
    group.campaign(1)
    group.isolate(1)
    group.campaign(2)
    assert group[2].role is Role.PRE_CANDIDATE  # 3 has heard of the leader
    group[3].node.forget_leader()
    group.campaign(2)
    assert group[2].role is Role.LEADER


def test_case_38_forgetting_changes_nothing_for_a_leader_or_under_leases() -> None:
    group = Network(check_quorum=True, read_only=ReadOnlyOption.LEASE_BASED)
    group.campaign(1)
    for node_id in (1, 2):
        group[node_id].node.forget_leader()
        assert group[node_id].lead == 1


def test_case_38_a_forgotten_leader_is_found_again() -> None:
    group = Network()
    group.campaign(1)
    group[2].node.forget_leader()
    assert group[2].lead == 0
    group.tick(1, 1)
    assert group[2].lead == 1


def test_case_50_no_campaign_with_a_change_of_members_unapplied() -> None:
    storage = make_storage([1], commit=1)
    change = conf_change_entry(add_learner(4))
    storage.append([Entry(1, 2, change.data, change.type)])
    storage.set_hard_state(HardState(1, 0, 2))
    node = make_node(1, storage)
    node.campaign()
    assert role(node) is Role.FOLLOWER
    work(node, storage)
    node.campaign()
    assert role(node) is Role.CANDIDATE


def test_case_50_one_change_of_members_at_a_time() -> None:
    group = Network()
    group.campaign(1)
    group[1].node.propose_conf_change(add_learner(4))
    group[1].node.propose_conf_change(add_learner(5))
    group.settle()
    assert group[1].conf == ConfState(voters=(1, 2, 3), learners=(4,))
    assert group[1].applied[-1].data == b""


def test_case_50_a_new_leader_waits_until_its_log_is_applied() -> None:
    group = Network()
    group.campaign(1)
    group.campaign(2)
    assert group[2].node._raft.pending_conf_index == 1
    raft = group[2].node._raft
    raft.pending_conf_index = raft.log.last_index() + 1  # as if a change might be pending
    group.change(2, add_voter(4))
    assert group[2].conf.voters == (1, 2, 3)


def test_case_51_a_learner_votes_for_who_takes_it_for_a_voter() -> None:
    storage = make_storage(voters=(1, 2), learners=(3,))
    node = make_node(3, storage)
    node.step(Message(type=MessageType.VOTE, to=3, sender=2, term=2, log_term=1, index=1))
    (answer,) = work(node, storage)
    assert not answer.reject


def test_case_51_a_learner_does_not_campaign() -> None:
    storage = make_storage(voters=(1, 2), learners=(3,))
    node = make_node(3, storage)
    for _ in range(50):
        node.tick()
    node.campaign()
    assert not node.has_ready()


def test_case_51_a_promoted_learner_that_does_not_know_saves_the_group() -> None:
    group = Network(2, learners=(3,))
    group.campaign(1)
    group.drop = lambda message: message.to == 3
    group.change(1, add_voter(3))
    assert group[1].conf.voters == group[2].conf.voters == (1, 2, 3)
    assert group[3].conf.voters == (1, 2)
    group.heal()
    group.isolate(1)
    group.campaign(2)
    assert group[2].role is Role.LEADER


@pytest.mark.parametrize("broken", [(1, 2), (2, 1), (1, 3), (3, 1)])
def test_case_57_one_broken_direction_neither_stops_nor_churns(broken: tuple[int, int]) -> None:
    group = Network(pre_vote=True, check_quorum=True)
    group.campaign(1)
    group.cut.add(broken)
    group.tick(60)
    leader, before = group.until_leader(), max(group[one].term for one in (1, 2, 3))
    group.propose(leader, b"service")
    assert b"service" in group[leader].data
    group.tick(100)
    assert max(group[one].term for one in (1, 2, 3)) == before


@pytest.mark.parametrize("direction", ["send-only", "receive-only"])
def test_case_57_a_leader_with_one_direction_left_is_replaced(direction: str) -> None:
    group = Network(pre_vote=True, check_quorum=True)
    group.campaign(1)
    for other in (2, 3):
        group.cut.add((other, 1) if direction == "send-only" else (1, other))
    group.tick(80)
    leader = group.leader
    assert leader in (2, 3)
    group.propose(leader, b"service")
    assert b"service" in group[leader].data


def test_a_learner_that_was_a_leader_cannot_be_elected() -> None:
    group = Network()
    group.campaign(1)
    group.change(1, remove(3))
    group.campaign(3)
    assert group[3].role is not Role.LEADER


def test_a_term_too_far_off_is_refused_and_changes_nothing() -> None:
    node = make_node(1)
    before = node.status()
    with pytest.raises(OutOfRangeError):
        node.step(vote_request(2, 2**40, (0, 0)))
    assert node.status() == before


def test_two_leaders_in_one_term_are_noticed() -> None:
    group = Network()
    group.campaign(1)
    before = group[2].node.status()
    with pytest.raises(SafetyViolationError):
        group[2].node.step(append(2, 3, term=1))
    with pytest.raises(SafetyViolationError):
        group[1].node.step(append(1, 3, term=1))
    assert group[2].node.status() == before


def test_a_snapshot_waiting_to_be_written_forbids_campaigning() -> None:
    storage = make_storage()
    node = make_node(1, storage)
    node.step(
        Message(
            type=MessageType.SNAP,
            to=1,
            sender=2,
            term=1,
            snapshot=Snapshot(5, 1, ConfState(voters=(1, 2, 3))),
        )
    )
    node.campaign()
    assert role(node) is Role.FOLLOWER
    work(node, storage)
    node.campaign()
    assert role(node) is Role.CANDIDATE


def test_a_term_in_the_log_has_begun_even_if_a_crash_lost_the_hard_state() -> None:
    storage = make_storage((1, 4), term=2, vote=3)
    node = make_node(1, storage)
    hard_state = node.status().hard_state
    assert (hard_state.term, hard_state.vote) == (4, 0)
    ready = node.ready()
    assert ready.must_sync  # or the next crash could bring the old term back
    assert ready.hard_state == hard_state
    node.advance()
    node.campaign()
    (request, _) = of_type(node.ready().messages, MessageType.VOTE)
    assert (request.term, request.log_term) == (5, 4)


def test_who_cannot_campaign_tells_a_leader_of_its_later_term() -> None:
    # Others hear of a term from campaigns. A learner has none, and once stayed behind for ever.
    net = Network(1, learners=(2,))
    net.campaign(1)
    net[2].node.step(Message(type=MessageType.VOTE, to=2, sender=3, term=9, log_term=0, index=0))
    net.settle()
    assert (net[1].term, net[2].term) == (1, 9)
    net.tick(30)
    net.propose(net.leader, b"a")
    net.tick(2)
    assert net[1].term == net[2].term > 9
    assert net[2].data == [b"a"]
