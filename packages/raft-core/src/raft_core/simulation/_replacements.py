"""What takes the place of functions of the core while a safeguard is out; see `_ablations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import (
    _changer,
    _leader,
    _membership,
    _persistence,
    _progress,
    _quiescence,
    _quorum,
    _raft,
    _reads,
    _snapshots,
    _tracker,
)
from raft_core._entries import NO_NODE
from raft_core._messages import Message, MessageType
from raft_core._quorum import JointConfig, MajorityConfig, VoteResult
from raft_core._reads import ReadOnlyOption
from raft_core._states import Role
from raft_core._witnesses import without_data
from raft_core.simulation import _disk, _store
from raft_core.simulation._store import Answer, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raft_core._conf_changes import AnyConfChange, ConfChangeSingle, ConfChangeV2
    from raft_core._entries import Entry
    from raft_core._log import RaftLog
    from raft_core._progress import Progress
    from raft_core._raft import Raft
    from raft_core._reads import ReadOnly
    from raft_core._states import ConfState, Snapshot
    from raft_core._storage import Storage
    from raft_core._tracker import Tracker
    from raft_core._unstable import Unstable
    from raft_core.simulation._store import Command, Store


# Writes before promises

_send = _raft.Raft.send
_load = _raft.Raft._load  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - to wrap it
_append_entries = _raft.Raft.append_entries
_reset = _tracker.Tracker.reset
_become_snapshot = _progress.Progress.become_snapshot
_step = _raft.Raft.step
_serve_request = _snapshots._serve_request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - same
_raft_reset = _raft.Raft.reset
_switch_to = _tracker.Tracker.switch_to
_on_lower_term = _raft.Raft._on_lower_term  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - same


def send_at_once(kind: MessageType) -> Callable[[Raft, Message], None]:
    def send(raft: Raft, message: Message) -> None:
        if message.type is kind and message.to != raft.id and not message.reject:
            raft.messages.append(message)
        else:
            _send(raft, message)

    return send


def count_own_entries(raft: Raft, entries: Sequence[Entry]) -> None:
    _append_entries(raft, entries)
    raft.tracker.progress[raft.id].maybe_update(raft.log.last_index())


def no_sync(disk: _disk.Disk) -> None:
    """Say that it is done."""


def forget_vote(raft: Raft, storage: Storage) -> None:
    _load(raft, storage)
    raft.vote = NO_NODE


def forget_term(raft: Raft, storage: Storage) -> None:
    _load(raft, storage)
    raft.term = max(1, raft.log.last_term())


def stable_by_index(unstable: Unstable, index: int, _term: int) -> None:
    if unstable.offset <= index < unstable.offset + len(unstable.entries):
        del unstable.entries[: index + 1 - unstable.offset]
        unstable.offset = index + 1
        unstable.in_progress = max(unstable.in_progress, unstable.offset)


# Elections


def vote_again(raft: Raft, message: Message) -> None:
    asked = message.type is MessageType.VOTE and message.term == raft.term
    if asked and raft.role is Role.FOLLOWER:
        raft.vote = raft.lead = NO_NODE
    _step(raft, message)


def half_elects(config: MajorityConfig, votes: Mapping[int, bool]) -> VoteResult:
    granted = sum(votes.get(voter, False) for voter in config.ids)
    missing = sum(voter not in votes for voter in config.ids)
    quorum = max(1, len(config.ids) // 2)
    if granted >= quorum or not config.ids:
        return VoteResult.WON
    return VoteResult.PENDING if granted + missing >= quorum else VoteResult.LOST


def silence(_raft: Raft, _message: Message) -> None:
    """Answer nothing."""


# Commits


def commit_any_term(log: RaftLog, index: int, _term: int) -> bool:
    if index > log.committed:
        log.committed = index
        return True
    return False


def half_commits(config: MajorityConfig, acked: Callable[[int], int]) -> int:
    if not config.ids:
        return _quorum.EVERYTHING
    return sorted([acked(voter) for voter in config.ids])[len(config.ids) // 2]


def outgoing_lacks_one(config: JointConfig, acked: Callable[[int], int]) -> int:
    committed = config.incoming.committed_index(acked)
    outgoing = config.outgoing.ids
    if not outgoing:
        return committed
    indexes = sorted([acked(voter) for voter in outgoing])
    return min(committed, indexes[min((len(outgoing) + 1) // 2, len(outgoing) - 1)])


def incoming_commits(config: JointConfig, acked: Callable[[int], int]) -> int:
    return config.incoming.committed_index(acked)


def incoming_elects(config: JointConfig, votes: Mapping[int, bool]) -> VoteResult:
    return config.incoming.vote_result(votes)


def learners_count(tracker: Tracker, conf: ConfState, last_index: int) -> None:
    _switch_to(tracker, conf, last_index)
    tracker.voters = JointConfig(
        MajorityConfig((*conf.voters, *conf.learners)), MajorityConfig(conf.voters_outgoing)
    )


def keep_progress(tracker: Tracker, own_id: int, last_index: int) -> None:
    matches = {member: progress.match for member, progress in tracker.progress.items()}
    _reset(tracker, own_id, last_index)
    for member, progress in tracker.progress.items():
        progress.match = min(max(progress.match, matches[member]), progress.next - 1)


def snapshot_arrives(progress: Progress, index: int) -> None:
    _become_snapshot(progress, index)
    progress.match = index


def count_late_answers(raft: Raft, message: Message) -> None:
    if message.type is MessageType.APP_RESP and raft.role is Role.LEADER:
        _leader.on_append_response(raft, message)
    else:
        _on_lower_term(raft, message)


def count_late_writes(raft: Raft, message: Message) -> None:
    _persistence.on_append_done(raft, message)


# Logs


def append_unchecked(
    log: RaftLog, prev_index: int, _term: int, entries: tuple[Entry, ...], commit: int
) -> int | None:
    if prev_index > log.last_index():
        return None
    new = from_first_difference(log, entries)
    if new:
        log.append(new)
    log.commit_to(min(commit, prev_index + len(entries)))
    return prev_index + len(entries)


def from_first_difference(log: RaftLog, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    for position, entry in enumerate(entries):
        if not log.matches(entry.index, entry.term):
            return entries[position:]
    return ()


def commit_beyond_append(
    log: RaftLog, prev_index: int, prev_term: int, entries: tuple[Entry, ...], commit: int
) -> int | None:
    if not log.matches(prev_index, prev_term):
        return None
    new = from_first_difference(log, entries)
    if new:
        log.append(new)
    log.commit_to(min(commit, log.last_index()))
    return prev_index + len(entries)


def all_new(_log: RaftLog, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return entries


def appliable_uncommitted(log: RaftLog, *, allow_unstable: bool) -> int:
    return log.last_index() if allow_unstable else log.unstable.offset - 1


def bold_heartbeats(raft: Raft) -> None:
    context = raft.read_only.heartbeat_context(raft.ticks)
    for member in raft.tracker.others(raft.id):
        raft.send(
            Message(
                type=MessageType.HEARTBEAT,
                to=member,
                sender=raft.id,
                term=raft.term,
                commit=raft.log.committed,
                context=context,
            )
        )


# Snapshots


def not_beyond_the_log(raft: Raft, snapshot: Snapshot) -> bool:
    log = raft.log
    if log.committed < snapshot.index <= log.last_index():
        log.commit_to(snapshot.index)
    return snapshot.index > log.last_index()


def wait_for_ever(_raft: Raft) -> None:
    """Give no snapshot up."""


# Members


def any_change(raft: Raft, change: AnyConfChange, _pending: int) -> bool:
    general = _membership.general(change)
    if raft.tracker.conf.is_joint != (not general.changes):
        return False
    _changer.apply_change(raft.tracker.conf, general)
    return True


def no_joint(conf: ConfState, change: ConfChangeV2) -> ConfState:
    joint = _changer.enter_joint(conf, changes(change), auto_leave=True)
    return _changer.leave_joint(joint)


def changes(change: ConfChangeV2) -> Sequence[ConfChangeSingle]:
    return change.changes


def stay_joint(raft: Raft, index: int, size: int) -> None:
    raft.log.applied_to(index, size)


def keep_conf(raft: Raft, snapshot: Snapshot) -> None:
    raft.conf_index = snapshot.index


# Reads


def always_lease(reads: ReadOnly, _voters: object, _id: int, _tick: int, _length: int) -> bool:
    return reads.option is ReadOnlyOption.LEASE_BASED


_holds_lease = _reads.ReadOnly.holds_lease


def long_lease(reads: ReadOnly, voters: JointConfig, own_id: int, tick: int, length: int) -> bool:
    return _holds_lease(reads, voters, own_id, tick, 4 * length)


def keep_lease(raft: Raft, successor: int) -> None:
    raft.send(Message(type=MessageType.TIMEOUT_NOW, to=successor, sender=raft.id, term=raft.term))


def break_promise(raft: Raft, storage: Storage) -> None:
    _load(raft, storage)
    raft.lease_embargo = 0


def promise_with_term(raft: Raft, term: int) -> None:
    if term != raft.term:
        raft.lease_embargo = 0
    _raft_reset(raft, term)


# Sleep


def sleep_on(raft: Raft, message: Message) -> None:
    raft.take(message)


def wake_alone(raft: Raft) -> None:
    raft.quiescent = False
    raft.idleness = _quiescence.Idleness()


# Witnesses, groups that commit, and snapshots that were asked for


def send_unwritten(raft: Raft, _to: int, progress: Progress) -> tuple[Entry, ...]:
    return raft.log.entries_from(progress.next, raft.config.max_size_per_message)


def send_unwritten_names(raft: Raft, to: int, progress: Progress) -> tuple[Entry, ...]:
    entries = send_unwritten(raft, to, progress)
    return without_data(entries) if to in raft.tracker.conf.witnesses else entries


def any_site(voters: JointConfig, acked: Callable[[int], int], _groups: object) -> int:
    return voters.committed_index(acked)


def restore_without_tail(log: RaftLog, snapshot: Snapshot) -> None:
    log.commit_to(snapshot.index)
    log.wanted_snapshot = 0
    log.unstable.restore(snapshot)


def stable_below_snapshot(unstable: Unstable, index: int, term: int) -> None:
    if index >= unstable.offset and unstable.term(index) == term:
        del unstable.entries[: index + 1 - unstable.offset]
        unstable.offset = index + 1
        unstable.in_progress = max(unstable.in_progress, unstable.offset)


def serve_with_any(raft: Raft, to: int, progress: Progress) -> None:
    wanted, progress.wanted_snapshot = progress.wanted_snapshot, min(1, progress.wanted_snapshot)
    _serve_request(raft, to, progress)
    progress.wanted_snapshot = wanted


def need_any(raft: Raft, snapshot: Snapshot) -> bool:
    return bool(raft.log.wanted_snapshot) or snapshot.index > raft.log.committed


# The application


def do_twice(store: Store, entry: Entry) -> tuple[Command, Answer] | None:
    store.applied = entry.index
    if entry.type or not entry.data:
        return None
    command = _store.decode_command(entry.data)
    store.table[command.key] = command.value
    answer = Answer(command.serial, entry.index, done=True)
    store.sessions[command.client] = answer
    return command, answer


def without_sessions(store: Store) -> State:
    return State(store.applied, tuple(sorted(store.table.items())), ())


def yes(*_: object) -> bool:
    return True


def no(*_: object) -> bool:
    return False
