"""Cases 48 to 56 of the checklist: changes of members, and snapshots."""

import pytest

from raft_core import (
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
    ConfState,
    Entry,
    HardState,
    MalformedMessageError,
    MemoryStorage,
    Message,
    MessageType,
    ProgressState,
    ProposalDroppedError,
    RemovedLeader,
    Role,
    SafetyViolationError,
    Snapshot,
    StorageError,
    UnknownPeerError,
)
from raft_core._conf_changes import conf_change_entry

from .network import (
    Network,
    Peer,
    add_voter,
    append,
    make_node,
    make_storage,
    of_type,
    remove,
    work,
)

ADD, REMOVE, LEARN = (
    ConfChangeType.ADD_NODE,
    ConfChangeType.REMOVE_NODE,
    ConfChangeType.ADD_LEARNER,
)
EXPLICIT = ConfChangeTransition.JOINT_EXPLICIT


def joint(
    *changes: tuple[ConfChangeType, int],
    transition: ConfChangeTransition = ConfChangeTransition.AUTO,
) -> ConfChangeV2:
    singles = tuple(ConfChangeSingle(kind, node_id) for kind, node_id in changes)
    return ConfChangeV2(singles, transition)


def add_empty(group: Network, *node_ids: int) -> None:
    """Start nodes that have yet to be told who belongs to the group: by the leader's snapshot."""
    group.compact(group.leader)
    for node_id in node_ids:
        group.add(node_id, MemoryStorage())


def snapshot_message(snapshot: Snapshot, *, to: int = 1, sender: int = 2, term: int) -> Message:
    return Message(type=MessageType.SNAP, to=to, sender=sender, term=term, snapshot=snapshot)


@pytest.mark.parametrize(
    "transition", [ConfChangeTransition.AUTO, ConfChangeTransition.JOINT_IMPLICIT]
)
def test_case_48_two_voters_join_at_once_and_the_joint_state_is_left(
    transition: ConfChangeTransition,
) -> None:
    group = Network(1)
    group.campaign(1)
    group.propose(1, b"a")
    add_empty(group, 2, 3)
    group.change(1, joint((ADD, 2), (ADD, 3), transition=transition))
    group.tick(3, 1)
    assert {group[one].conf for one in (1, 2, 3)} == {ConfState(voters=(1, 2, 3))}
    assert group[3].log()[-1] == group[1].log()[-1]


def test_case_48_an_explicit_joint_state_stays_until_it_is_left() -> None:
    group = Network(1)
    group.campaign(1)
    add_empty(group, 2, 3)
    group.change(1, joint((ADD, 2), (ADD, 3), transition=EXPLICIT))
    group.tick(5, 1)
    assert group[1].conf == ConfState(voters=(1, 2, 3), voters_outgoing=(1,))
    group.change(1, add_voter(4))  # ignored
    assert group[1].conf.is_joint
    group.change(1, ConfChangeV2())
    assert {group[one].conf for one in (1, 2, 3)} == {ConfState(voters=(1, 2, 3))}


def test_case_48_a_joint_decision_needs_both_majorities() -> None:
    group = Network()
    group.campaign(1)
    add_empty(group, 4, 5)
    group.change(
        1,
        joint((ADD, 4), (ADD, 5), (REMOVE, 2), (REMOVE, 3), transition=EXPLICIT),
    )
    group.tick(3, 1)
    assert group[1].conf == ConfState(voters=(1, 4, 5), voters_outgoing=(1, 2, 3))
    for away in ((4, 5), (2, 3)):
        group.isolate(*away)
        before = group[1].commit
        group.propose(1, b"a")
        assert group[1].commit == before
        group.heal()
        group.tick(2, 1)
        assert group[1].commit == before + 1


def test_case_48_the_leader_is_replaced_in_one_change() -> None:
    group = Network()
    group.campaign(1)
    add_empty(group, 4)
    group.change(1, joint((REMOVE, 1), (ADD, 4)))
    group.tick(30)
    leader = group.until_leader()
    assert leader in (2, 3, 4)
    assert {group[one].conf for one in (2, 3, 4)} == {ConfState(voters=(2, 3, 4))}


def test_case_48_auto_leave_waits_for_a_transfer_to_end() -> None:
    group = Network(each={one: {"election_tick": 20} for one in (2, 3)})
    group.campaign(1)
    group.drop = lambda message: message.type is MessageType.TIMEOUT_NOW
    node = group[1].node
    node.propose_conf_change(joint((LEARN, 3), transition=ConfChangeTransition.JOINT_IMPLICIT))
    node.transfer_leader(2)
    group.settle()
    assert group[1].conf.is_joint
    group.tick(10, 1)
    group.propose(1, b"next")
    assert group[1].conf == ConfState(voters=(1, 2), learners=(3,))


def test_case_49_a_removed_leader_commits_its_removal_without_counting_itself() -> None:
    group = Network(removed_leader=RemovedLeader.STAY)
    group.campaign(1)
    group.change(1, remove(1))
    assert group[1].role is Role.LEADER
    assert group[1].conf.voters == (2, 3)
    with pytest.raises(ProposalDroppedError):
        group[1].node.propose(b"a")
    group.isolate(3)
    raft = group[1].node._raft
    raft.append_entries((Entry(data=b"x"),))
    before = group[1].commit
    group.tick(1, 1)
    assert group[1].commit == before  # it and 2 are no majority of (2, 3)


def test_case_49_a_removed_leader_steps_down_when_asked_to() -> None:
    group = Network(removed_leader=RemovedLeader.STEP_DOWN)
    group.campaign(1)
    group.change(1, remove(1))
    assert group[1].role is Role.FOLLOWER
    group.tick(30)
    assert group.until_leader() in (2, 3)
    assert group[1].role is Role.FOLLOWER


def test_case_52_a_joint_configuration_survives_a_snapshot() -> None:
    conf = ConfState(voters=(2, 3, 4), learners=(5,), voters_outgoing=(1, 2, 3), learners_next=(1,))
    storage = make_storage(voters=(1, 2, 3))
    node = make_node(1, storage)
    node.step(snapshot_message(Snapshot(11, 11, conf), term=11))
    assert node.status().conf_state == conf
    work(node, storage)
    restarted = make_node(1, storage, applied=11)
    assert restarted.status().conf_state == conf
    assert restarted._raft.tracker.voters.outgoing.ids == (1, 2, 3)
    assert not restarted._raft.tracker.progress[1].is_learner
    assert restarted._raft.tracker.progress[5].is_learner


def test_case_52_every_member_of_a_snapshot_has_progress() -> None:
    storage = make_storage()
    node = make_node(1, storage)
    conf = ConfState(voters=(1, 2), learners=(3,))
    node.step(snapshot_message(Snapshot(11, 11, conf), term=11))
    assert list(node._raft.tracker.progress) == [1, 2, 3]


def in_snapshot_state() -> Network:
    """3 lacks what the leader has compacted; the snapshot is on its way and was lost."""
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    group.propose(1, b"b")
    group.compact(1)
    group.heal()
    group.drop = lambda message: message.type is MessageType.SNAP
    group.tick(1, 1)
    assert group[1].node.status().progress[3].state is ProgressState.SNAPSHOT
    group.heal()
    return group


def test_case_53_an_acknowledgement_ends_the_snapshot_state_without_a_report() -> None:
    group = in_snapshot_state()
    group.deliver(snapshot_message(group[1].storage.snapshot(), to=3, sender=1, term=1))
    group.settle()
    assert group[1].node.status().progress[3].state is ProgressState.REPLICATE
    group.propose(1, b"c")
    assert group[3].data == [b"c"]


def test_case_53_a_snapshot_behind_the_pending_one_is_good_enough() -> None:
    group = in_snapshot_state()
    earlier = group[1].storage.snapshot()
    group.isolate(3)
    group.propose(1, b"c")
    group.heal()
    group.deliver(snapshot_message(earlier, to=3, sender=1, term=1))
    group.settle()
    assert group[1].node.status().progress[3].state is ProgressState.REPLICATE
    assert group[3].log() == group[1].log()


def test_case_53_a_failed_snapshot_is_sent_again() -> None:
    group = in_snapshot_state()
    group[1].node.report_snapshot(3, success=False)
    progress = group[1].node.status().progress[3]
    assert (progress.state, progress.next, progress.is_paused) == (ProgressState.PROBE, 2, True)
    group.tick(2, 1)
    assert group[1].node.status().progress[3].state is ProgressState.REPLICATE


def test_case_53_a_snapshot_reported_as_arrived_is_probed_behind() -> None:
    group = in_snapshot_state()
    group[1].node.report_snapshot(3, success=True)
    progress = group[1].node.status().progress[3]
    assert (progress.state, progress.next, progress.is_paused) == (ProgressState.PROBE, 4, True)


def test_no_snapshot_goes_to_a_node_that_is_not_heard_of() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    group.compact(1)
    group[1].node._raft.tracker.progress[3].recent_active = False
    group[1].node.report_unreachable(3)
    group.sent.clear()
    group.propose(1, b"b")
    assert of_type(group.sent, MessageType.SNAP) == []


def test_case_54_a_snapshot_over_a_conflicting_entry_drops_the_tail() -> None:
    storage = make_storage([1, 2, 2, 2, 2], commit=1)
    node = make_node(1, storage)
    snapshot = Snapshot(3, 3, ConfState(voters=(1, 2, 3)))
    node.step(snapshot_message(snapshot, term=3))
    (answer,) = work(node, storage)
    assert (answer.reject, answer.index) == (False, 3)
    assert (storage.first_index(), storage.last_index(), storage.term(3)) == (4, 3, 3)


def test_case_55_an_older_snapshot_does_not_roll_back() -> None:
    storage = make_storage([1, 1, 1, 1], commit=3)
    node = make_node(1, storage)
    node.step(snapshot_message(Snapshot(2, 1, ConfState(voters=(1, 2, 3))), term=1))
    (answer,) = work(node, storage)
    assert answer.index == 3
    assert storage.last_index() == 4


def test_case_55_a_snapshot_that_the_log_holds_keeps_the_tail() -> None:
    storage = make_storage([1, 1, 1, 1], commit=1)
    node = make_node(1, storage)
    node.step(snapshot_message(Snapshot(3, 1, ConfState(voters=(1, 2, 3))), term=1))
    (answer,) = work(node, storage)
    assert answer.index == 3
    assert storage.last_index() == 4
    assert node.status().hard_state.commit == 3


def test_case_55_a_snapshot_from_before_this_node_was_added_is_taken() -> None:
    storage = MemoryStorage()
    node = make_node(4, storage)
    node.step(snapshot_message(Snapshot(9, 1, ConfState(voters=(2, 3))), to=4, term=1))
    node.step(append(4, 2, term=1, prev=(1, 9), terms=[1]))
    answers = work(node, storage)
    assert [(one.index, one.reject) for one in answers] == [(9, False), (10, False)]
    node.campaign()
    assert not node.has_ready()  # no member yet
    node.apply_conf_change(add_voter(4))
    assert node.status().conf_state.voters == (2, 3, 4)


def test_case_56_who_lost_its_state_cannot_lead() -> None:
    group = Network(pre_vote=True, check_quorum=True)
    group.campaign(1)
    group.propose(1, b"a")
    group.peers[1] = Peer(
        1, group[1].config, empty := make_storage(), make_node(1, empty, pre_vote=True)
    )
    group[1].conf = ConfState(voters=(1, 2, 3))
    group[1].node.campaign()
    group.settle()
    assert group[1].role is not Role.LEADER
    leader = group.until_leader()
    assert leader != 1
    group.tick(5)
    assert b"a" in group[1].data


def test_case_56_a_follower_that_lost_acknowledged_entries_is_noticed() -> None:
    group = Network()
    group.campaign(1)
    group.propose(1, b"a")
    empty = make_storage(term=1)
    node = make_node(2, empty)
    before = node.status()
    with pytest.raises(SafetyViolationError):
        node.step(Message(type=MessageType.HEARTBEAT, to=2, sender=1, term=1, commit=2))
    assert node.status() == before


def test_case_56_a_leader_that_is_no_voter_any_more_restarts_as_a_follower() -> None:
    group = Network(removed_leader=RemovedLeader.STAY)
    group.campaign(1)
    group.change(1, remove(1))
    group.compact(1)
    group.restart(1)
    assert group[1].role is Role.FOLLOWER
    group.tick(50)
    assert group[1].role is Role.FOLLOWER
    assert group.until_leader() in (2, 3)


def test_case_56_a_storage_that_lost_committed_entries_is_refused() -> None:
    storage = make_storage([1, 1])
    storage.set_hard_state(HardState(1, 0, 3))
    with pytest.raises(StorageError):
        make_node(1, storage)


def test_a_change_that_would_leave_no_voter_is_refused_when_proposed() -> None:
    group = Network(1)
    group.campaign(1)
    before = group[1].node.status()
    with pytest.raises(ConfChangeError):
        group[1].node.propose_conf_change(remove(1))
    assert group[1].node.status() == before
    group.propose(1, b"a")


def test_a_change_that_cannot_be_applied_changes_nothing() -> None:
    node = make_node(1)
    for change in (joint((REMOVE, 1), (REMOVE, 2), (REMOVE, 3)), ConfChangeV2()):
        with pytest.raises(ConfChangeError):
            node.apply_conf_change(change)
    assert node.status().conf_state == ConfState(voters=(1, 2, 3))


def test_data_that_is_no_change_of_members_is_refused() -> None:
    group = Network()
    group.campaign(1)
    broken = Entry(data=b"\xff", type=1)  # type: ignore[arg-type]
    with pytest.raises(MalformedMessageError):
        group[1].node.step(Message(type=MessageType.PROP, to=1, sender=2, entries=(broken,)))


def test_a_snapshot_for_no_valid_group_is_refused() -> None:
    node = make_node(1)
    before = node.status()
    for conf in (ConfState(learners=(1,)), ConfState(voters=(1,), learners=(1,))):
        with pytest.raises(MalformedMessageError):
            node.step(snapshot_message(Snapshot(5, 1, conf), term=1))
    assert node.status() == before


def test_answers_of_strangers_are_refused() -> None:
    group = Network()
    group.campaign(1)
    with pytest.raises(UnknownPeerError):
        group[1].node.step(Message(type=MessageType.APP_RESP, to=1, sender=9, term=1, index=1))


def test_a_change_that_a_snapshot_brought_is_not_made_twice() -> None:
    node = make_node(1)
    snapshot = Snapshot(9, 1, ConfState(voters=(1, 2, 3, 4)))
    node.step(snapshot_message(snapshot, term=1))
    node.apply_conf_change(remove(3), 8)
    assert node.status().conf_state == snapshot.conf_state
    assert node.apply_conf_change(remove(3), 10).voters == (1, 2, 4)
    assert node.apply_conf_change(remove(4), 10).voters == (1, 2, 4)


def test_a_snapshot_nobody_reports_on_is_sent_again_in_the_end() -> None:
    group = in_snapshot_state()
    group.tick(80, 1)
    assert group[1].node.status().progress[3].state is ProgressState.SNAPSHOT
    group.tick(40, 1)
    assert group[1].node.status().progress[3].state is ProgressState.REPLICATE
    assert group[3].commit == group[1].commit


def test_case_49_a_removed_leader_hands_over() -> None:
    group = Network(removed_leader=RemovedLeader.HAND_OVER, check_quorum=True)
    group.campaign(1)
    group.drop = lambda message: message.type is MessageType.TIMEOUT_NOW
    group.change(1, remove(1))
    assert group[1].role is Role.LEADER
    group.heal()
    group.tick(12, 1)  # it asks again after an election timeout
    assert group[1].role is Role.FOLLOWER
    assert group.leader in (2, 3)
    group.propose(group.leader, b"a")
    assert b"a" in group[2].data


def test_a_learner_receives_the_log_and_does_not_count() -> None:
    group = Network(2, learners=(3,))
    group.campaign(1)
    group.propose(1, b"a")
    assert group[3].data == [b"a"]
    group.isolate(2)
    group.propose(1, b"b")
    assert group[1].data == [b"a"]


def test_a_demoted_voter_becomes_a_learner_when_the_joint_state_is_left() -> None:
    group = Network()
    group.campaign(1)
    group.change(1, joint((LEARN, 3), transition=EXPLICIT))
    assert group[1].conf.learners_next == (3,)
    group.change(1, ConfChangeV2())
    assert group[1].conf == ConfState(voters=(1, 2), learners=(3,))


def test_a_new_member_is_sent_the_log_at_once() -> None:
    group = Network(1)
    group.campaign(1)
    add_empty(group, 2)
    group.change(1, add_voter(2))
    assert group[2].conf == ConfState(voters=(1, 2))
    assert group[2].storage.last_index() == group[1].storage.last_index()


def test_changes_applied_behind_a_snapshot_give_the_configuration_of_their_index() -> None:
    # Entries 1 and 2 are being applied when a snapshot arrives that brought more. The application
    # may make a snapshot of its own before it installs that one: with the right configuration.
    changes = [conf_change_entry(add_voter(member)) for member in (4, 5)]
    storage = make_storage()
    storage.append([Entry(1, index, one.data, one.type) for index, one in enumerate(changes, 1)])
    storage.set_hard_state(HardState(1, 0, 2))
    node = make_node(1, storage)
    ready = node.ready()
    assert len(ready.committed_entries) == 2
    latest = ConfState(voters=(2, 3, 4, 5))
    snapshot = Snapshot(9, 1, latest)
    node.step(Message(type=MessageType.SNAP, to=1, sender=2, term=1, snapshot=snapshot))
    assert node.apply_conf_change(add_voter(4), 1) == ConfState(voters=(1, 2, 3, 4))
    assert node.apply_conf_change(add_voter(5), 2) == ConfState(voters=(1, 2, 3, 4, 5))
    assert node.status().conf_state == latest
    node.advance()
    work(node, storage)
    assert node.apply_conf_change(remove(2), 10) == ConfState(voters=(3, 4, 5))
