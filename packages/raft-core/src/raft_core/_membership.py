"""Who belongs to the group, as this node has applied it (paper, section 6; dissertation chapter 4).

A configuration comes into force when its entry is applied, not when it is appended. One change at a
time is under way, so any two configurations in force somewhere at the same time have overlapping
majorities; and since a change is applied only after it is committed, a new leader's first change
always has an entry of its own term committed before it (the single-server bug of 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import _changer, _read_index, _replication, _trace, _transfer
from raft_core._conf_changes import AnyConfChange, ConfChange, ConfChangeV2, decode_conf_change
from raft_core._config import RemovedLeader
from raft_core._entries import NO_NODE, Entry
from raft_core._states import ConfState, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_core._raft import Raft
    from raft_core._states import Snapshot


def general(change: AnyConfChange) -> ConfChangeV2:
    """Return a change in the general form."""
    return change.as_v2() if isinstance(change, ConfChange) else change


def check_proposal(raft: Raft, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Let changes of members pass one at a time.

    A change that comes too early, or does not fit the state of the configuration, is replaced by
    an empty entry: its proposer sees an index committed and nothing changed.

    Raises:
        ConfChangeError: The change leads to no valid configuration.
        MalformedMessageError: An entry says it is a change and is none.

    """
    checked = list(entries)
    pending = raft.pending_conf_index
    for position, entry in enumerate(entries):
        change = decode_conf_change(entry)
        if change is None:
            continue
        if raft.config.disable_conf_change_validation or _may_propose(raft, change, pending):
            pending = raft.log.last_index() + position + 1
            proposed = _trace.proposed(general(change))
            if proposed is not None:
                raft.trace("ChangeConf", prop=proposed)
        else:
            checked[position] = Entry()
    raft.pending_conf_index = pending
    return tuple(checked)


def _may_propose(raft: Raft, change: AnyConfChange, pending: int) -> bool:
    conf = raft.tracker.conf
    leaves = not general(change).changes
    if pending > raft.log.applied or conf.is_joint != leaves:
        return False
    # With none pending, this is the configuration it will be applied to.
    _changer.apply_change(conf, general(change))
    return True


def apply_conf_change(raft: Raft, change: AnyConfChange, index: int | None) -> ConfState:
    """Put a committed change into force, unless it is in force already.

    Raises:
        ConfChangeError: It leads to no valid configuration; the old one stays.

    """
    if index is not None and index <= raft.conf_index:
        # In force is what a snapshot has brought, which the application does not have yet.
        if index > raft.applied_conf_index:
            raft.applied_conf = _changer.apply_change(raft.applied_conf, general(change))
            raft.applied_conf_index = index
        return raft.applied_conf
    conf = raft.applied_conf = _changer.apply_change(raft.tracker.conf, general(change))
    raft.conf_index = raft.applied_conf_index = max(raft.conf_index, index or 0)
    switch_to(raft, conf)
    return conf


def restore(raft: Raft, snapshot: Snapshot) -> None:
    """Put the configuration of a snapshot into force; nothing is known of anybody's progress."""
    raft.tracker.progress = {}
    raft.conf_index = snapshot.index
    switch_to(raft, _changer.normalized(snapshot.conf_state))


def switch_to(raft: Raft, conf: ConfState) -> None:
    """Put a configuration into force, and act on what it means for this node and its quorums."""
    raft.trace("ApplyConfChange", prop=_trace.applied(conf.voters))
    raft.tracker.switch_to(conf, raft.log.last_index())
    if raft.role is not Role.LEADER:
        return
    own = raft.tracker.progress.get(raft.id)
    if own is None or own.is_learner:
        _leave(raft)
    else:
        use_new_quorum(raft)


def _leave(raft: Raft) -> None:
    """Do what a leader does that has just been removed or demoted; see `RemovedLeader`."""
    policy = raft.config.removed_leader
    if policy is RemovedLeader.STEP_DOWN:
        raft.become_follower(raft.term, NO_NODE)
    elif policy is RemovedLeader.HAND_OVER:
        use_new_quorum(raft)
        _transfer.hand_over(raft)


def use_new_quorum(raft: Raft) -> None:
    """Commit, and confirm, what is now enough for it."""
    if _replication.maybe_commit(raft):
        _read_index.on_commit(raft)
        _replication.broadcast_append(raft)
    else:
        # A newcomer need not wait for the next heartbeat.
        for member in raft.tracker.others(raft.id):
            _replication.maybe_send_append(raft, member, send_if_empty=False)
    # A smaller quorum may have confirmed what a larger one had not.
    _read_index.release_confirmed(raft)
    if raft.lead_transferee not in raft.tracker.conf.all_voters:
        raft.lead_transferee = NO_NODE
