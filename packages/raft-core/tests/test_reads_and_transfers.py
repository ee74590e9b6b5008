"""Cases 39 to 47 of the checklist: reads without log entries, and moving leadership."""

import pytest

from raft_core import (
    Entry,
    MalformedMessageError,
    Message,
    MessageType,
    ProposalDroppedError,
    ReadDroppedError,
    ReadOnlyOption,
    ReadState,
    RemovedLeader,
    Role,
)

from .network import Network, add_learner, make_node, make_storage, of_type, remove, work


@pytest.mark.parametrize("reader", [1, 2, 3, 4])
def test_case_39_leader_follower_and_learner_can_read(reader: int) -> None:
    group = Network(learners=(4,))
    group.campaign(1)
    for number in range(3):
        group.propose(1, b"%d" % number)
        group[reader].node.read_index(b"read")
        group.settle()
        assert group[reader].reads.pop() == ReadState(group[1].commit, b"read")


def test_case_39_no_answer_without_a_quorum() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(1)
    group[1].node.read_index(b"read")
    group.tick(30, 1)
    assert group[1].reads == []
    group.heal()
    group.tick(1, 1)
    assert group[1].reads == [ReadState(1, b"read")]


def test_case_39_a_single_voter_answers_at_once() -> None:
    storage = make_storage(voters=(1,))
    node = make_node(1, storage)
    node.campaign()
    work(node, storage)
    node.read_index(b"read")
    assert node.ready().read_states == (ReadState(1, b"read"),)


def test_case_39_a_leader_that_is_not_the_single_voter_asks_it() -> None:
    group = Network(2, removed_leader=RemovedLeader.STAY)
    group.campaign(1)
    group.change(1, remove(1))
    assert group[1].conf.voters == (2,)
    assert group[1].role is Role.LEADER
    group.isolate(1)
    group[1].node.read_index(b"read")
    group.settle()
    assert group[1].reads == []


def test_case_40_no_read_before_an_entry_of_the_own_term_is_committed() -> None:
    group = Network()
    group.campaign(1)
    group.propose(1, b"a")
    group.drop = lambda message: message.type is MessageType.APP
    group.campaign(2)
    group[2].node.read_index(b"read")
    group.tick(2, 2)
    assert group[2].reads == []
    group.heal()
    group.tick(2, 2)
    assert group[2].reads == [ReadState(3, b"read")]


def test_case_41_the_same_context_twice_is_answered_twice() -> None:
    group = Network()
    group.campaign(1)
    group[2].node.read_index(b"same")
    group.settle()
    group.propose(1, b"a")
    group[2].node.read_index(b"same")
    group[2].node.read_index(b"same")
    group.settle()
    assert [read.index for read in group[2].reads] == [1, 2, 2]


def test_case_41_an_echo_of_an_earlier_read_confirms_no_later_one() -> None:
    group = Network()
    group.campaign(1)
    held: list[Message] = []

    def hold(message: Message) -> bool:
        if message.type is MessageType.HEARTBEAT_RESP:
            held.append(message)
            return True
        return False

    group.drop = hold
    group[1].node.read_index(b"first")
    group.settle()
    group.propose(1, b"a")
    group[1].node.read_index(b"second")
    group.settle()
    group[1].node.step(held[0])
    group.settle()
    assert group[1].reads == [ReadState(1, b"first")]
    group[1].node.step(held[-1])
    group.settle()
    assert group[1].reads[-1] == ReadState(2, b"second")


def test_any_number_of_reads_takes_one_round_of_heartbeats() -> None:
    group = Network()
    group.campaign(1)
    group.sent.clear()
    for number in range(100):
        group[1].node.read_index(b"%d" % number)
    group.settle()
    assert len(of_type(group.sent, MessageType.HEARTBEAT)) == 2
    assert len(group[1].reads) == 100


def test_an_echo_of_what_was_never_sent_is_refused() -> None:
    group = Network()
    group.campaign(1)
    group[1].node.read_index(b"read")
    group.work(1)
    for context in (b"x", b"\xff" * 16):
        forged = Message(type=MessageType.HEARTBEAT_RESP, to=1, sender=2, term=1, context=context)
        with pytest.raises(MalformedMessageError):
            group[1].node.step(forged)
    assert not group[1].node.has_ready()


def test_waiting_reads_are_bounded() -> None:
    group = Network(max_pending_reads=2)
    group.campaign(1)
    group.isolate(1)
    for _ in range(2):
        group[1].node.read_index(b"read")
    with pytest.raises(ReadDroppedError):
        group[1].node.read_index(b"read")


def test_case_42_a_smaller_quorum_completes_waiting_reads() -> None:
    group = Network(2)
    group.campaign(1)
    group.drop = lambda message: message.type is MessageType.HEARTBEAT_RESP
    group[1].node.read_index(b"read")
    group.settle()
    assert group[1].reads == []
    group.change(1, remove(2))
    assert group[1].reads == [ReadState(1, b"read")]


def test_case_43_a_read_passed_to_a_deposed_leader_goes_on_or_is_dropped() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group.campaign(2)
    group.propose(2, b"a")
    group.heal()
    # 3 still believes in 1, which knows 2 by now.
    group[3].node.read_index(b"read")
    group.settle()
    assert group[2].role is Role.LEADER
    for read in (*group[3].reads, *group[1].reads):
        assert read.index == group[2].commit
    assert group[3].reads or group[1].reads or group[1].errors


def test_without_a_leader_reads_are_dropped() -> None:
    node = make_node(1)
    with pytest.raises(ReadDroppedError):
        node.read_index(b"read")
    node.campaign()
    with pytest.raises(ReadDroppedError):
        node.read_index(b"read")


def leased(size: int = 3) -> Network:
    group = Network(size, read_only=ReadOnlyOption.LEASE_BASED, check_quorum=True, pre_vote=True)
    group.campaign(1)
    group.tick(1, 1)
    return group


def test_a_lease_answers_without_asking() -> None:
    group = leased()
    group.sent.clear()
    group[1].node.read_index(b"read")
    group.settle(1)
    assert group[1].reads == [ReadState(1, b"read")]
    assert of_type(group.sent, MessageType.HEARTBEAT) == []


def test_a_lease_runs_out_before_followers_may_vote() -> None:
    group = leased()
    group.isolate(1)
    group.tick(7, 1)
    group[1].node.read_index(b"within")
    group.settle()
    assert len(group[1].reads) == 1
    group.tick(1, 1)  # eight ticks since the heartbeat left; followers keep quiet for ten
    group[1].node.read_index(b"without")
    group.settle()
    assert len(group[1].reads) == 1


def test_a_lease_counts_from_when_the_heartbeat_left() -> None:
    group = leased()
    held: list[Message] = []
    group.drop = lambda message: (
        message.type is MessageType.HEARTBEAT_RESP and not held.append(message)
    )
    group.tick(9, 1)
    # Answers to the first of these heartbeats arrive only now; they promise nothing any more.
    group[1].node.step(held[0])
    group[1].node.step(held[1])
    group[1].node.read_index(b"read")
    group.work(1)
    assert group[1].reads == []


def test_who_just_restarted_votes_for_nobody_as_it_may_have_promised_a_lease() -> None:
    group = leased()
    group.isolate(1)
    group.restart(2)
    request = Message(type=MessageType.VOTE, to=2, sender=3, term=9, log_term=9, index=9)
    group[2].node.step(request)
    assert group[2].term == 1
    for _ in range(10):
        group[2].node.tick()
    group[2].node.step(request)
    assert group[2].term == 9


def test_case_44_transfer_to_an_up_to_date_voter() -> None:
    group = Network(pre_vote=True, check_quorum=True)
    group.campaign(1)
    group[1].node.transfer_leader(2)
    group.settle()
    assert (group[1].lead, group[2].role) == (2, Role.LEADER)
    group.propose(2, b"a")
    group[1].node.transfer_leader(3)  # a follower passes the request on
    group.settle()
    assert group[3].role is Role.LEADER


def test_case_44_transfer_to_a_slow_voter_waits_for_its_log() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    group.heal()
    group[1].node.transfer_leader(3)
    group.settle()
    group.tick(1, 1)
    assert group[3].role is Role.LEADER
    assert group[3].data == [b"a"]


def test_case_44_transfer_to_a_voter_that_needs_a_snapshot() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    group.compact(1)
    group.heal()
    group[1].node.transfer_leader(3)
    group.tick(3, 1)
    assert group[3].role is Role.LEADER


@pytest.mark.parametrize("successor", [1, 4, 9])
def test_case_44_transfer_to_oneself_a_learner_or_a_stranger_does_nothing(
    successor: int,
) -> None:
    group = Network(learners=(4,))
    group.campaign(1)
    group[1].node.transfer_leader(successor)
    group.settle()
    assert group[1].role is Role.LEADER
    assert group[1].node.status().lead_transferee == 0
    group.propose(1, b"a")


def test_case_45_proposals_are_refused_during_a_transfer_and_resume_after_a_timeout() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group[1].node.transfer_leader(3)
    with pytest.raises(ProposalDroppedError):
        group[1].node.propose(b"a")
    group.tick(10, 1)
    assert group[1].node.status().lead_transferee == 0
    group.propose(1, b"b")
    assert group[2].data == [b"b"]


def test_case_45_a_second_transfer_replaces_the_first() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group[1].node.transfer_leader(3)
    group[1].node.transfer_leader(3)
    assert group[1].node.status().lead_transferee == 3
    group[1].node.transfer_leader(2)
    group.settle()
    assert group[2].role is Role.LEADER


@pytest.mark.parametrize("change", [remove(3), add_learner(3)], ids=["removed", "demoted"])
def test_case_46_a_successor_removed_or_demoted_ends_the_transfer(change: object) -> None:
    group = Network()
    group.campaign(1)
    group.drop = lambda message: message.type is MessageType.TIMEOUT_NOW
    group[1].node.propose_conf_change(change)  # type: ignore[arg-type]
    group[1].node.transfer_leader(3)
    assert group[1].node.status().lead_transferee == 3
    group.settle()
    assert group[1].node.status().lead_transferee == 0
    group.propose(1, b"a")


def test_case_47_a_transfer_under_load_neither_loses_nor_doubles() -> None:
    group = Network(5, pre_vote=True, check_quorum=True)
    group.campaign(1)
    accepted: list[bytes] = []
    for number in range(200):
        leader = group.leader
        if number % 20 == 10:
            group[leader].node.transfer_leader(leader % 5 + 1)
        data = b"%d" % number
        try:
            group[leader].node.propose(data)
        except ProposalDroppedError:
            continue
        finally:
            group.settle()
        accepted.append(data)
    group.tick(2)
    assert len(accepted) > 150
    for one in group.peers.values():
        assert one.data == accepted


def test_a_transfer_does_not_ask_for_pre_votes() -> None:
    group = Network(pre_vote=True, check_quorum=True)
    group.campaign(1)
    group.sent.clear()
    group[1].node.transfer_leader(2)
    group.settle()
    assert of_type(group.sent, MessageType.PRE_VOTE) == []


def test_timeout_now_is_ignored_by_who_cannot_lead() -> None:
    node = make_node(4, make_storage(learners=(4,), term=1))
    node.step(Message(type=MessageType.TIMEOUT_NOW, to=4, sender=1, term=1))
    assert node.status().soft_state.role is Role.FOLLOWER


def test_a_read_request_carries_exactly_one_context() -> None:
    group = Network()
    group.campaign(1)
    for entries in ((), (Entry(), Entry())):
        with pytest.raises(MalformedMessageError):
            group[1].node.step(
                Message(type=MessageType.READ_INDEX, to=1, sender=2, entries=entries)
            )


def test_a_single_voter_that_restarts_knows_what_it_committed_before_it_answers() -> None:
    # Entry 1 was committed and answered for, then a crash lost the commit index, which need not
    # be synced. Until its own term has a commit the voter may not say where to read.
    storage = make_storage((1,), voters=(1,), commit=0)
    node = make_node(1, storage)
    node.campaign()
    while node.status().soft_state.role is not Role.LEADER:
        node.ready()
        storage.set_hard_state(node.status().hard_state)
        node.advance()
    assert node.status().hard_state.commit == 0
    node.read_index(b"read")
    ready = node.ready()
    assert ready.read_states == ()
    storage.append(ready.entries)
    node.advance()
    assert node.ready().read_states == (ReadState(2, b"read"),)


LEASES = {"check_quorum": True, "read_only": ReadOnlyOption.LEASE_BASED, "election_tick": 10}


def test_under_leases_a_follower_does_not_campaign_while_it_hears_its_leader() -> None:
    group = Network(**LEASES)
    group.campaign(1)
    group.campaign(2)
    assert group[2].role is Role.FOLLOWER
    group.isolate(1)
    group.tick(10, 2)  # what it promised is over
    group.campaign(2)
    assert group[2].role is not Role.FOLLOWER


def test_a_later_term_does_not_end_the_promise_a_lease_rests_on() -> None:
    group = Network(**LEASES)
    group.campaign(1)
    term = group[1].term
    late = Message(
        type=MessageType.VOTE_RESP, to=2, sender=3, term=term + 1, reject=True
    )  # the answer to an earlier campaign
    group[2].node.step(late)
    assert group[2].term == term + 1
    request = Message(
        type=MessageType.VOTE, to=2, sender=3, term=term + 2, index=9, log_term=term + 1
    )
    group[2].node.step(request)
    assert of_type(group.work(2), MessageType.VOTE_RESP) == []
    for _ in range(10):
        group[2].node.tick()
    group[2].node.step(request)
    assert not of_type(group.work(2), MessageType.VOTE_RESP)[0].reject
