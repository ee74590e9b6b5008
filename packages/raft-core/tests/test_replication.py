"""Cases 8 to 15, 18 to 30 and 60 of the checklist: what is replicated, committed and applied."""

import pytest

from raft_core import (
    APPEND_THREAD,
    NO_LIMIT,
    Entry,
    HardState,
    Message,
    MessageType,
    Node,
    ProgressState,
    ProposalDroppedError,
    Role,
    SafetyViolationError,
)
from raft_core._replication import maybe_commit

from .network import Network, append, make_node, make_storage, of_type, work


def elect(node: Node, storage: object, term: int, size: int = 3) -> None:
    """Make node 1 the leader by the votes of a majority."""
    node.campaign()
    work(node, storage)  # type: ignore[arg-type]
    for voter in range(2, size // 2 + 2):
        node.step(Message(type=MessageType.VOTE_RESP, to=1, sender=voter, term=term))


def acknowledge(sender: int, term: int, index: int) -> Message:
    return Message(type=MessageType.APP_RESP, to=1, sender=sender, term=term, index=index)


@pytest.mark.parametrize(("index", "commit"), [(1, 0), (2, 0), (3, 3)])
def test_case_08_an_older_term_is_never_committed_by_count(index: int, commit: int) -> None:
    storage = make_storage([1, 2])
    node = make_node(1, storage)
    elect(node, storage, 3)
    work(node, storage)
    node.step(acknowledge(2, 3, index))
    assert node.status().hard_state.commit == commit


def test_case_08_figure_8_of_the_paper() -> None:
    # (c): the leader of term 4 has the entry of term 2 on a majority. It must not be committed,
    # because (d): the leader of term 5, whose log ends in term 3, may overwrite it.
    voters = (1, 2, 3, 4, 5)
    logs = {1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1, 3]}
    group = Network(
        5, storages={one: make_storage(log, voters=voters) for one, log in logs.items()}
    )
    for one in (1, 2, 3, 4):
        group[one].storage.set_hard_state(HardState(3, 0, 1))
        group.restart(one)
    group[5].storage.set_hard_state(HardState(3, 5, 1))
    group.restart(5)
    group.isolate(4, 5)
    # Only the old entry reaches anybody: the entry of term 4 is lost on the way.
    group.drop = lambda message: any(entry.term == 4 for entry in message.entries)
    group.campaign(1)
    assert group[1].role is Role.LEADER
    group.deliver(append(3, 1, term=4, prev=(1, 1), terms=[2]))
    group.settle()
    assert [group[one].log()[1] for one in (1, 2, 3)] == [(2, 2)] * 3
    assert group[1].commit == 1
    group.heal()
    group.isolate(1)
    group.campaign(5)
    group.campaign(5)
    assert group[5].role is Role.LEADER
    assert group[3].log()[1] == (3, 2)


def test_case_09_an_older_tail_waits_for_an_entry_of_the_own_term() -> None:
    group = Network(5)
    group.campaign(1)
    group.cut |= {(1, other) for other in (3, 4, 5)}
    group.propose(1, b"a")
    group.propose(1, b"b")
    assert group[1].commit == 1
    group.heal()
    group.drop = lambda message: message.type is MessageType.APP
    group.campaign(2)
    assert group[2].role is Role.LEADER
    assert group[2].commit == 1
    group.heal()
    group.tick(1, 2)
    group.propose(2, b"c")
    assert group[2].data == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("matches", "log", "term", "commit"),
    [
        ([1], [1], 1, 1),
        ([1], [1], 2, 0),
        ([2], [1, 2], 2, 2),
        ([1], [2], 2, 1),
        ([2, 1, 1], [1, 2], 1, 1),
        ([2, 1, 1], [1, 1], 2, 0),
        ([2, 1, 2], [1, 2], 2, 2),
        ([2, 1, 2], [1, 1], 2, 0),
        ([2, 1, 1, 1], [1, 2], 1, 1),
        ([2, 1, 1, 1], [1, 1], 2, 0),
        ([2, 1, 1, 2], [1, 2], 1, 1),
        ([2, 1, 1, 2], [1, 1], 2, 0),
        ([2, 1, 2, 2], [1, 2], 2, 2),
        ([2, 1, 2, 2], [1, 1], 2, 0),
    ],
)
def test_case_10_the_commit_index_is_what_a_quorum_holds(
    matches: list[int], log: list[int], term: int, commit: int
) -> None:
    voters = tuple(range(1, len(matches) + 1))
    raft = make_node(1, make_storage(log, voters=voters, term=2))._raft
    raft.term = term
    for voter, match in zip(voters, matches, strict=True):
        raft.tracker.progress[voter].match = match
    maybe_commit(raft)
    assert raft.log.committed == commit


@pytest.mark.parametrize(
    ("prev", "terms", "commit", "log", "committed", "rejected"),
    [
        # The entry before is not here, or of another term.
        ((3, 2), [], 3, [1, 2], 0, True),
        ((3, 3), [], 3, [1, 2], 0, True),
        # Appended behind, in the middle, or nothing new; commit up to what was sent.
        ((1, 1), [], 1, [1, 2], 1, False),
        ((0, 0), [2], 1, [2], 1, False),
        ((2, 2), [2, 2], 3, [1, 2, 2, 2], 3, False),
        ((2, 2), [2], 4, [1, 2, 2], 3, False),
        ((1, 1), [2], 4, [1, 2], 2, False),
        # Commit is the smaller of the leader's and the last entry sent.
        ((1, 1), [], 3, [1, 2], 1, False),
        ((1, 1), [2], 3, [1, 2], 2, False),
        ((2, 2), [], 3, [1, 2], 2, False),
        ((2, 2), [], 4, [1, 2], 2, False),
    ],
)
def test_case_11_an_append_is_checked_against_the_log(
    prev: tuple[int, int],
    terms: list[int],
    commit: int,
    log: list[int],
    committed: int,
    rejected: bool,
) -> None:
    storage = make_storage([1, 2])
    node = make_node(1, storage)
    node.step(append(term=3, prev=prev, terms=terms, commit=commit))
    (answer,) = work(node, storage)
    assert answer.reject is rejected
    assert [entry.term for entry in storage.entries(1, storage.last_index() + 1)] == log
    assert node.status().hard_state.commit == committed


def test_case_11_a_shorter_append_that_was_overtaken_cuts_nothing() -> None:
    storage = make_storage([1])
    node = make_node(1, storage)
    node.step(append(term=1, prev=(1, 1), terms=[1, 1, 1]))
    node.step(append(term=1, prev=(1, 1), terms=[1]))
    work(node, storage)
    assert storage.last_index() == 4


@pytest.mark.parametrize(
    ("prev", "rejected", "hint"),
    [
        ((0, 0), False, None),
        ((1, 1), False, None),
        ((2, 2), False, None),
        ((1, 2), True, (1, 1)),
        ((3, 3), True, (2, 2)),
        ((2, 5), True, (2, 2)),
        ((1, 5), True, (1, 1)),
    ],
)
def test_case_12_a_rejection_hints_at_where_the_logs_may_match(
    prev: tuple[int, int], rejected: bool, hint: tuple[int, int] | None
) -> None:
    storage = make_storage([1, 2])
    node = make_node(1, storage)
    node.step(append(term=3, prev=prev))
    (answer,) = work(node, storage)
    assert answer.reject is rejected
    if hint is not None:
        assert (answer.log_term, answer.reject_hint) == hint
        assert answer.index == prev[1]


@pytest.mark.parametrize(
    ("leader_log", "follower_log", "probes"),
    [
        # The hint is as long as the follower's log: one probe and it fits.
        ([1, 3, 3, 3, 5, 5, 5, 5, 5], [1, 1, 1, 1, 2, 2], 2),
        ([1, 3, 3, 3, 3, 3, 3, 3, 7], [1, 3, 3, 4, 4, 5, 5, 5, 6], 3),
        ([1, 3, 3, 3, 5, 5, 5], [1, 2, 2, 2, 2, 2, 2, 2], 2),
        ([1, 1, 1, 1, 5, 5], [1, 1, 1, 1], 1),
        ([1, 1, 1, 1], [1, 1, 1, 4, 4, 4], 2),
        ([1, 1, 1, 4, 5], [1, 1, 1, 4, 4, 4, 4], 2),
    ],
)
def test_case_13_probing_skips_a_term_at_a_time(
    leader_log: list[int], follower_log: list[int], probes: int
) -> None:
    term = max(*leader_log, *follower_log)
    group = Network(
        storages={
            1: make_storage(leader_log, term=term),
            2: make_storage(follower_log, term=term),
            3: make_storage(term=term),
        }
    )
    group.isolate(2)
    group.campaign(1)
    group.heal()
    group.sent.clear()
    group.tick(1, 1)
    rejections = [one for one in of_type(group.sent, MessageType.APP_RESP) if one.reject]
    assert len(rejections) <= probes
    assert group[2].log() == group[1].log()


# Figure 7 of the paper: what the log of a follower may look like when term 8 begins.
FIGURE_7_LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
FIGURE_7 = {
    "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "b": [1, 1, 1, 4],
    "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "e": [1, 1, 1, 4, 4, 4, 4],
    "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}


@pytest.mark.parametrize("follower", FIGURE_7)
def test_case_14_each_follower_of_figure_7_converges(follower: str) -> None:
    # The third node stands for the majority whose votes the leader has.
    group = Network(
        storages={
            1: make_storage(FIGURE_7_LEADER, term=7, commit=3),
            2: make_storage(FIGURE_7[follower], term=7, commit=3),
            3: make_storage(FIGURE_7_LEADER[:3], term=7, commit=3),
        }
    )
    group.campaign(1)
    assert group[1].role is Role.LEADER
    group.propose(1, b"x")
    assert group[2].log() == group[1].log()
    assert group[2].commit == group[1].commit == 12


def test_case_15_a_rejection_overtaken_by_success_changes_nothing() -> None:
    group = Network()
    group.campaign(1)
    group.propose(1, b"a")
    progress = group[1].node.status().progress[2]
    stale = Message(
        type=MessageType.APP_RESP,
        to=1,
        sender=2,
        term=1,
        index=1,
        reject=True,
        reject_hint=0,
    )
    group[1].node.step(stale)
    assert group[1].node.status().progress[2] == progress
    assert not group[1].node.has_ready()


def test_case_18_a_heartbeat_commits_no_more_than_is_known_to_match() -> None:
    group = Network()
    group.campaign(1)
    group.isolate(3)
    group.propose(1, b"a")
    group.sent.clear()
    group.tick(1, 1)
    commits = {one.to: one.commit for one in of_type(group.sent, MessageType.HEARTBEAT)}
    assert commits == {2: 2, 3: 1}


def test_case_18_a_heartbeat_never_lowers_the_commit_index() -> None:
    storage = make_storage([1, 1, 1], commit=2)
    node = make_node(1, storage)
    for commit, expected in ((3, 3), (1, 3)):
        node.step(Message(type=MessageType.HEARTBEAT, to=1, sender=2, term=1, commit=commit))
        assert node.status().hard_state.commit == expected


def test_case_19_a_lost_append_is_made_up_for_after_a_heartbeat() -> None:
    group = Network()
    group.campaign(1)
    group.drop = lambda message: message.type is MessageType.APP and message.to == 2
    group.propose(1, b"a")
    assert group[2].commit == 1
    group.heal()
    group.tick(1, 1)
    assert group[2].log() == group[1].log()
    assert group[2].commit == group[1].commit


def test_case_19_a_probing_follower_without_new_entries_recovers() -> None:
    group = Network()
    group.campaign(1)
    group[1].node.report_unreachable(2)
    assert group[1].node.status().progress[2].state is ProgressState.PROBE
    group.tick(1, 1)
    assert group[1].node.status().progress[2].state is ProgressState.REPLICATE


def test_case_20_a_full_window_pauses_and_an_answer_frees_it() -> None:
    group = Network(max_inflight_messages=3)
    group.campaign(1)
    group.drop = lambda message: message.to == 2
    for number in range(5):
        group.propose(1, b"%d" % number)
    progress = group[1].node.status().progress[2]
    assert progress.is_paused
    assert progress.inflights.count == 3
    assert group[1].commit == 6  # the other follower goes on
    group.heal()
    group[1].node.step(acknowledge(2, 1, 2))
    assert of_type(group.work(1), MessageType.APP)
    assert group[1].node.status().progress[2].inflights.count == 3


def test_case_20_the_window_is_bounded_by_bytes_too() -> None:
    group = Network(max_size_per_message=100, max_inflight_bytes=250)
    group.campaign(1)
    group.drop = lambda message: message.to == 2
    for _ in range(5):
        group.propose(1, b"x" * 100)
    inflights = group[1].node.status().progress[2].inflights
    assert (inflights.count, inflights.total_bytes, inflights.is_full) == (3, 300, True)


def test_case_21_a_full_window_lets_one_append_through_a_heartbeat() -> None:
    group = Network(max_inflight_messages=2)
    group.campaign(1)
    group.drop = lambda message: message.to == 2 and message.type is MessageType.APP
    for number in range(4):
        group.propose(1, b"%d" % number)
    for _ in range(3):
        group.sent.clear()
        group.tick(1, 1)
        appends = [one for one in of_type(group.sent, MessageType.APP) if one.to == 2]
        assert len(appends) == 1
        assert appends[0].entries == ()
    group.heal()
    group.tick(1, 1)
    assert group[2].log() == group[1].log()


def test_case_22_proposals_beyond_the_limit_are_dropped() -> None:
    group = Network(max_uncommitted_size=1024)
    group.campaign(1)
    group.isolate(1)
    node = group[1].node
    for _ in range(8):
        node.propose(b"x" * 128)
    with pytest.raises(ProposalDroppedError):
        node.propose(b"x")
    node.propose(b"")  # costs nothing
    group.heal()
    group.tick(1, 1)
    assert len(group[3].data) == 8
    node.propose(b"x" * 4096)  # the first one always fits
    with pytest.raises(ProposalDroppedError):
        node.propose(b"x")


def test_case_22_a_batch_is_dropped_as_a_whole() -> None:
    group = Network(max_uncommitted_size=100)
    group.campaign(1)
    group.isolate(1)
    group[1].node.propose(b"x" * 60)
    last = group[1].node.status().last_index
    with pytest.raises(ProposalDroppedError):
        group[1].node.propose_batch([b"x" * 10, b"x" * 40])
    assert group[1].node.status().last_index == last


def test_case_23_a_leader_cut_off_does_not_grow_its_log_for_ever() -> None:
    group = Network(max_uncommitted_size=16 * 100)
    group.campaign(1)
    group.isolate(1)
    dropped = 0
    for _ in range(1000):
        try:
            group.propose(1, b"x" * 16)
        except ProposalDroppedError:
            dropped += 1
    assert dropped == 900
    assert group[1].node.status().last_index == 101
    group.heal()
    group.tick(1, 1)
    assert group[1].node._raft.uncommitted_size == 0


@pytest.mark.parametrize("limit", [1, 60, 100, 1000])
def test_case_24_paged_applying_skips_nothing_after_a_restart(limit: int) -> None:
    storage = make_storage([1] * 10, voters=(1,), commit=10)
    node = make_node(1, storage, max_committed_size_per_ready=limit, applied=3)
    applied: list[int] = []
    while node.has_ready():
        ready = node.ready()
        applied += [entry.index for entry in ready.committed_entries]
        node.advance()
    assert applied == list(range(4, 11))


def test_case_24_pages_are_no_larger_than_the_limit() -> None:
    storage = make_storage(voters=(1,), term=1, commit=0)
    storage.append([Entry(1, index, b"x" * 100) for index in range(1, 11)])
    storage.set_hard_state(HardState(1, 0, 10))
    node = make_node(1, storage, max_committed_size_per_ready=250)
    sizes: list[int] = []
    while node.has_ready():
        sizes.append(len(node.ready().committed_entries))
        node.advance()
    assert sizes == [2] * 5


def test_case_24_what_is_outstanding_is_bounded_over_several_pages() -> None:
    storage = make_storage(voters=(1,), term=1)
    storage.append([Entry(1, index, b"x" * 76) for index in range(1, 6)])  # 100 in limits
    storage.set_hard_state(HardState(1, 0, 5))
    node = make_node(1, storage, max_committed_size_per_ready=250, async_storage_writes=True)
    (first,) = of_type(node.ready().messages, MessageType.STORAGE_APPLY)
    assert len(first.entries) == 2
    assert not node.has_ready()  # a third one does not fit beside them
    node.step(first.responses[0])
    (second,) = of_type(node.ready().messages, MessageType.STORAGE_APPLY)
    assert [entry.index for entry in second.entries] == [3, 4]


def test_case_25_a_commit_index_lost_on_the_way_does_not_wait_for_new_data() -> None:
    group = Network()
    group.campaign(1)
    # The appends that tell 3 of the commit are lost; those with entries arrive.
    group.drop = lambda message: (
        message.to == 3 and message.type is MessageType.APP and not message.entries
    )
    group.propose(1, b"a")
    assert group[3].commit == 1
    group.heal()
    group.tick(1, 1)
    assert group[3].commit == group[1].commit == 2


def test_case_26_figure_7_end_to_end() -> None:
    voters = (1, 2, 3, 4, 5, 6, 7)
    logs = [FIGURE_7_LEADER, *FIGURE_7.values()]
    group = Network(
        7,
        storages={
            one: make_storage(log, voters=voters, term=7, commit=3)
            for one, log in zip(voters, logs, strict=True)
        },
    )
    group.campaign(1)
    assert group[1].role is Role.LEADER
    group.propose(1, b"x")
    group.tick(2, 1)
    assert {tuple(group[one].log()) for one in voters} == {tuple(group[1].log())}
    assert {group[one].commit for one in voters} == {12}
    progress = group[1].node.status().progress
    assert {one.state for one in progress.values()} == {ProgressState.REPLICATE}


def test_case_27_acknowledgements_leave_with_their_write_only() -> None:
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(term=1, prev=(1, 1), terms=[1]))
    first = node.ready()
    node.step(append(term=1, prev=(1, 2), terms=[1]))  # while the first write is under way
    second = node.ready()
    for ready, index in ((first, 2), (second, 3)):
        assert of_type(ready.messages, MessageType.APP_RESP) == []
        assert ready.persisted_messages == ()
        (request,) = of_type(ready.messages, MessageType.STORAGE_APPEND)
        assert [entry.index for entry in request.entries] == [index]
        assert [one.index for one in of_type(request.responses, MessageType.APP_RESP)] == [index]


def test_case_27_with_advance_acknowledgements_are_apart_from_other_messages() -> None:
    storage = make_storage([1])
    node = make_node(1, storage)
    node.step(append(term=1, prev=(1, 1), terms=[1]))
    ready = node.ready()
    assert ready.messages == ()
    assert [one.type for one in ready.persisted_messages] == [MessageType.APP_RESP]
    assert ready.must_sync


def test_case_27_an_entry_is_applied_only_after_this_node_wrote_it() -> None:
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(term=1, prev=(1, 1), terms=[1], commit=2))
    first = node.ready()
    (apply,) = of_type(first.messages, MessageType.STORAGE_APPLY)
    assert [entry.index for entry in apply.entries] == [1]
    (write,) = of_type(first.messages, MessageType.STORAGE_APPEND)
    storage.append(write.entries)
    for response in write.responses:
        if response.to == 1:
            node.step(response)
    (apply,) = of_type(node.ready().messages, MessageType.STORAGE_APPLY)
    assert [entry.index for entry in apply.entries] == [2]


def test_case_28_a_write_that_was_overwritten_acknowledges_nothing() -> None:
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(1, 2, term=2, prev=(1, 1), terms=[2]))
    first = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0]
    node.step(append(1, 3, term=3, prev=(1, 1), terms=[3]))  # replaces the entry
    second = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0]
    node.step(append(1, 2, term=4, prev=(1, 1), terms=[2]))  # and it is back, under its old name
    third = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0]
    log = node._raft.log
    for write, left in ((first, 1), (second, 1), (third, 0)):
        storage.append(write.entries)
        for response in write.responses:
            if response.sender == APPEND_THREAD:
                node.step(response)
        assert len(log.unstable.entries) == left
    assert node._raft.log.term(2) == 2


def test_case_28_a_later_term_does_not_make_a_replaced_entry_stable() -> None:
    storage = make_storage([1])
    node = make_node(1, storage, async_storage_writes=True)
    node.step(append(1, 2, term=2, prev=(1, 1), terms=[2]))
    node.ready()
    node.step(append(1, 3, term=3, prev=(1, 1)))  # a new term: its write names the old entry
    named = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0].responses[-1]
    assert (named.sender, named.term, named.log_term, named.index) == (APPEND_THREAD, 3, 2, 2)
    node.step(append(1, 3, term=3, prev=(1, 1), terms=[3]))  # and it is replaced in that term
    node.step(named)
    assert [entry.term for entry in node._raft.log.unstable.entries] == [3]


def test_case_29_a_single_node_commits_nothing_before_it_is_on_disk() -> None:
    storage = make_storage(voters=(1,))
    node = make_node(1, storage)
    node.campaign()
    work(node, storage)
    node.propose(b"a")
    ready = node.ready()
    assert [entry.data for entry in ready.entries] == [b"a"]
    assert ready.committed_entries == ()
    storage.append(ready.entries)
    node.advance()
    assert [entry.data for entry in node.ready().committed_entries] == [b"a"]


def test_case_30_a_late_self_acknowledgement_is_ignored() -> None:
    group = Network(async_storage_writes=True)
    node, storage = group[1].node, group[1].storage
    node.campaign()
    vote = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0]
    storage.set_hard_state(HardState(vote.term, vote.vote, vote.commit))
    for response in vote.responses:
        node.step(response)
    node.step(Message(type=MessageType.VOTE_RESP, to=1, sender=2, term=1))
    assert node.status().soft_state.role is Role.LEADER
    late = of_type(node.ready().messages, MessageType.STORAGE_APPEND)[0]
    node.step(append(1, 2, term=2, prev=(0, 0), terms=[2]))  # another leader, another entry 1
    before = node.status()
    for response in late.responses:
        node.step(response)
    assert node.status() == before
    assert len(node._raft.log.unstable.entries) == 1


def test_case_60_a_vote_that_was_not_synced_never_left() -> None:
    storage = make_storage()
    node = make_node(1, storage)
    node.step(Message(type=MessageType.VOTE, to=1, sender=2, term=1))
    ready = node.ready()
    assert ready.messages == ()  # what may leave before the write
    assert ready.must_sync
    # The power is cut before the write: the other candidate of the term may have the vote.
    node = make_node(1, storage)
    node.step(Message(type=MessageType.VOTE, to=1, sender=3, term=1))
    (answer,) = work(node, storage)
    assert (answer.to, answer.reject) == (3, False)


def test_case_60_a_vote_that_left_is_remembered() -> None:
    storage = make_storage()
    node = make_node(1, storage)
    node.step(Message(type=MessageType.VOTE, to=1, sender=2, term=1))
    assert work(node, storage)
    node = make_node(1, storage)
    node.step(Message(type=MessageType.VOTE, to=1, sender=3, term=1))
    (answer,) = work(node, storage)
    assert answer.reject


def test_an_acknowledgement_of_more_than_the_leader_has_is_noticed() -> None:
    group = Network()
    group.campaign(1)
    before = group[1].node.status()
    with pytest.raises(SafetyViolationError):
        group[1].node.step(acknowledge(2, 1, 99))
    assert group[1].node.status() == before


def test_a_follower_that_rejects_what_it_acknowledged_is_not_asked_for_ever() -> None:
    group = Network()
    group.campaign(1)
    group.propose(1, b"a")
    group[1].node.report_unreachable(2)
    progress = group[1].node.status().progress[2]
    group[1].node.step(
        Message(
            type=MessageType.APP_RESP,
            to=1,
            sender=2,
            term=1,
            index=progress.match,
            reject=True,
            reject_hint=0,
        )
    )
    assert not group[1].node.has_ready()
    assert group[1].node.status().progress[2] == progress


def test_a_large_entry_goes_out_although_messages_are_smaller() -> None:
    group = Network(max_size_per_message=10)
    group.campaign(1)
    group.propose(1, b"x" * 1000, b"y" * 1000)
    assert group[3].data == [b"x" * 1000, b"y" * 1000]
    assert {len(one.entries) for one in of_type(group.sent, MessageType.APP)} == {0, 1}


def test_a_follower_far_behind_gets_many_entries_in_one_append() -> None:
    group = Network(max_size_per_message=NO_LIMIT)
    group.campaign(1)
    group.isolate(3)
    for number in range(100):
        group.propose(1, b"%d" % number)
    group.heal()
    group.sent.clear()
    group.tick(2, 1)
    assert group[3].data == group[1].data
    assert max(len(one.entries) for one in of_type(group.sent, MessageType.APP)) >= 100


def test_proposals_of_a_follower_go_to_the_leader() -> None:
    group = Network()
    group.campaign(1)
    group.propose(2, b"a")
    assert group[3].data == [b"a"]
    group[2].config = group[2].config.__class__(id=2, disable_proposal_forwarding=True)
    group.restart(2)
    group.tick(1, 1)
    with pytest.raises(ProposalDroppedError):
        group[2].node.propose(b"b")


def test_without_a_leader_proposals_are_dropped() -> None:
    node = make_node(1)
    with pytest.raises(ProposalDroppedError):
        node.propose(b"a")
    node.campaign()
    with pytest.raises(ProposalDroppedError):
        node.propose(b"a")
