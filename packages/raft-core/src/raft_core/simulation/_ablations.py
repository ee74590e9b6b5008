"""Safeguards taken out of the core one at a time, to see whether runs notice.

A harness that finds nothing proves nothing. Each entry replaces one function of the core, or of the
application around it, by one that lacks a safeguard, for as long as a run lasts; production code
holds no switch for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs

from raft_core import (
    _changer,
    _election,
    _follower,
    _leader,
    _log,
    _membership,
    _persistence,
    _progress,
    _quorum,
    _raft,
    _read_index,
    _reads,
    _replication,
    _tracker,
    _transfer,
    _unstable,
)
from raft_core._entries import NO_NODE
from raft_core._messages import Message, MessageType
from raft_core._quorum import JointConfig, MajorityConfig, VoteResult
from raft_core._reads import ReadOnlyOption
from raft_core._states import Role
from raft_core.simulation import _disk, _store
from raft_core.simulation._store import Answer, State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

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


@attrs.frozen
class Ablation:
    """A safeguard that can be taken out."""

    name: str
    safeguard: str
    """What is missing without it, in a sentence."""
    replaced: tuple[tuple[object, str, object], ...] = attrs.field(repr=False)
    """Module or class, name in it, and what takes the place of what is there."""

    @property
    def found_at(self) -> int:
        """Return a seed whose run notices."""
        return FOUND_AT[self.name]

    @contextmanager
    def removed(self) -> Generator[None]:
        """Take the safeguard out, for the whole process, until the block ends."""
        originals = [(owner, name, getattr(owner, name)) for owner, name, _ in self.replaced]
        try:
            for owner, name, replacement in self.replaced:
                setattr(owner, name, replacement)
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)


# Writes before promises

_send = _raft.Raft.send
_load = _raft.Raft._load  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - to wrap it
_append_entries = _raft.Raft.append_entries
_reset = _tracker.Tracker.reset
_become_snapshot = _progress.Progress.become_snapshot
_step = _raft.Raft.step
_raft_reset = _raft.Raft.reset
_switch_to = _tracker.Tracker.switch_to
_on_lower_term = _raft.Raft._on_lower_term  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - same


def _send_at_once(kind: MessageType) -> Callable[[Raft, Message], None]:
    def send(raft: Raft, message: Message) -> None:
        if message.type is kind and message.to != raft.id and not message.reject:
            raft.messages.append(message)
        else:
            _send(raft, message)

    return send


def _count_own_entries(raft: Raft, entries: Sequence[Entry]) -> None:
    _append_entries(raft, entries)
    raft.tracker.progress[raft.id].maybe_update(raft.log.last_index())


def _no_sync(disk: _disk.Disk) -> None:
    """Say that it is done."""


def _forget_vote(raft: Raft, storage: Storage) -> None:
    _load(raft, storage)
    raft.vote = NO_NODE


def _forget_term(raft: Raft, storage: Storage) -> None:
    _load(raft, storage)
    raft.term = max(1, raft.log.last_term())


def _stable_by_index(unstable: Unstable, index: int, _term: int) -> None:
    if unstable.offset <= index < unstable.offset + len(unstable.entries):
        del unstable.entries[: index + 1 - unstable.offset]
        unstable.offset = index + 1
        unstable.in_progress = max(unstable.in_progress, unstable.offset)


# Elections


def _vote_again(raft: Raft, message: Message) -> None:
    asked = message.type is MessageType.VOTE and message.term == raft.term
    if asked and raft.role is Role.FOLLOWER:
        raft.vote = raft.lead = NO_NODE
    _step(raft, message)


def _half_elects(config: MajorityConfig, votes: Mapping[int, bool]) -> VoteResult:
    granted = sum(votes.get(voter, False) for voter in config.ids)
    missing = sum(voter not in votes for voter in config.ids)
    quorum = max(1, len(config.ids) // 2)
    if granted >= quorum or not config.ids:
        return VoteResult.WON
    return VoteResult.PENDING if granted + missing >= quorum else VoteResult.LOST


def _silence(_raft: Raft, _message: Message) -> None:
    """Answer nothing."""


# Commits


def _commit_any_term(log: RaftLog, index: int, _term: int) -> bool:
    if index > log.committed:
        log.committed = index
        return True
    return False


def _half_commits(config: MajorityConfig, acked: Callable[[int], int]) -> int:
    if not config.ids:
        return _quorum.EVERYTHING
    return sorted([acked(voter) for voter in config.ids])[len(config.ids) // 2]


def _outgoing_lacks_one(config: JointConfig, acked: Callable[[int], int]) -> int:
    committed = config.incoming.committed_index(acked)
    outgoing = config.outgoing.ids
    if not outgoing:
        return committed
    indexes = sorted([acked(voter) for voter in outgoing])
    return min(committed, indexes[min((len(outgoing) + 1) // 2, len(outgoing) - 1)])


def _incoming_commits(config: JointConfig, acked: Callable[[int], int]) -> int:
    return config.incoming.committed_index(acked)


def _incoming_elects(config: JointConfig, votes: Mapping[int, bool]) -> VoteResult:
    return config.incoming.vote_result(votes)


def _learners_count(tracker: Tracker, conf: ConfState, last_index: int) -> None:
    _switch_to(tracker, conf, last_index)
    tracker.voters = JointConfig(
        MajorityConfig((*conf.voters, *conf.learners)), MajorityConfig(conf.voters_outgoing)
    )


def _keep_progress(tracker: Tracker, own_id: int, last_index: int) -> None:
    matches = {member: progress.match for member, progress in tracker.progress.items()}
    _reset(tracker, own_id, last_index)
    for member, progress in tracker.progress.items():
        progress.match = min(max(progress.match, matches[member]), progress.next - 1)


def _snapshot_arrives(progress: Progress, index: int) -> None:
    _become_snapshot(progress, index)
    progress.match = index


def _count_late_answers(raft: Raft, message: Message) -> None:
    if message.type is MessageType.APP_RESP and raft.role is Role.LEADER:
        _leader.on_append_response(raft, message)
    else:
        _on_lower_term(raft, message)


def _count_late_writes(raft: Raft, message: Message) -> None:
    _persistence.on_append_done(raft, message)


# Logs


def _append_unchecked(
    log: RaftLog, prev_index: int, _term: int, entries: tuple[Entry, ...], commit: int
) -> int | None:
    if prev_index > log.last_index():
        return None
    new = _from_first_difference(log, entries)
    if new:
        log.append(new)
    log.commit_to(min(commit, prev_index + len(entries)))
    return prev_index + len(entries)


def _from_first_difference(log: RaftLog, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    for position, entry in enumerate(entries):
        if not log.matches(entry.index, entry.term):
            return entries[position:]
    return ()


def _commit_beyond_append(
    log: RaftLog, prev_index: int, prev_term: int, entries: tuple[Entry, ...], commit: int
) -> int | None:
    if not log.matches(prev_index, prev_term):
        return None
    new = _from_first_difference(log, entries)
    if new:
        log.append(new)
    log.commit_to(min(commit, log.last_index()))
    return prev_index + len(entries)


def _all_new(_log: RaftLog, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return entries


def _appliable_uncommitted(log: RaftLog, *, allow_unstable: bool) -> int:
    return log.last_index() if allow_unstable else log.unstable.offset - 1


def _bold_heartbeats(raft: Raft) -> None:
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


def _not_beyond_the_log(raft: Raft, snapshot: Snapshot) -> bool:
    log = raft.log
    if log.committed < snapshot.index <= log.last_index():
        log.commit_to(snapshot.index)
    return snapshot.index > log.last_index()


def _wait_for_ever(_raft: Raft) -> None:
    """Give no snapshot up."""


# Members


def _any_change(raft: Raft, change: AnyConfChange, _pending: int) -> bool:
    general = _membership.general(change)
    if raft.tracker.conf.is_joint != (not general.changes):
        return False
    _changer.apply_change(raft.tracker.conf, general)
    return True


def _no_joint(conf: ConfState, change: ConfChangeV2) -> ConfState:
    joint = _changer.enter_joint(conf, _changes(change), auto_leave=True)
    return _changer.leave_joint(joint)


def _changes(change: ConfChangeV2) -> Sequence[ConfChangeSingle]:
    return change.changes


def _stay_joint(raft: Raft, index: int, size: int) -> None:
    raft.log.applied_to(index, size)


def _keep_conf(raft: Raft, snapshot: Snapshot) -> None:
    raft.conf_index = snapshot.index


# Reads


def _always_lease(reads: ReadOnly, _voters: object, _id: int, _tick: int, _length: int) -> bool:
    return reads.option is ReadOnlyOption.LEASE_BASED


_holds_lease = _reads.ReadOnly.holds_lease


def _long_lease(reads: ReadOnly, voters: JointConfig, own_id: int, tick: int, length: int) -> bool:
    return _holds_lease(reads, voters, own_id, tick, 4 * length)


def _keep_lease(raft: Raft, successor: int) -> None:
    raft.send(Message(type=MessageType.TIMEOUT_NOW, to=successor, sender=raft.id, term=raft.term))


def _break_promise(raft: Raft, storage: Storage) -> None:
    _load(raft, storage)
    raft.lease_embargo = 0


def _promise_with_term(raft: Raft, term: int) -> None:
    if term != raft.term:
        raft.lease_embargo = 0
    _raft_reset(raft, term)


# The application


def _do_twice(store: Store, entry: Entry) -> tuple[Command, Answer] | None:
    store.applied = entry.index
    if entry.type or not entry.data:
        return None
    command = _store.decode_command(entry.data)
    store.table[command.key] = command.value
    answer = Answer(command.serial, entry.index, done=True)
    store.sessions[command.client] = answer
    return command, answer


def _without_sessions(store: Store) -> State:
    return State(store.applied, tuple(sorted(store.table.items())), ())


def _yes(*_: object) -> bool:
    return True


def _no(*_: object) -> bool:
    return False


_RAFT: Final = _raft.Raft
_LOG: Final = _log.RaftLog
_JOINT: Final = _quorum.JointConfig
_MAJORITY: Final = _quorum.MajorityConfig

ABLATIONS: Final[tuple[Ablation, ...]] = (
    Ablation(
        "vote-before-sync",
        "A vote leaves before it is on disk.",
        ((_RAFT, "send", _send_at_once(MessageType.VOTE_RESP)),),
    ),
    Ablation(
        "acknowledge-before-sync",
        "An acknowledgement leaves before the entries are on disk.",
        ((_RAFT, "send", _send_at_once(MessageType.APP_RESP)),),
    ),
    Ablation(
        "count-own-entries-before-sync",
        "A leader counts itself before its entries are on disk.",
        ((_RAFT, "append_entries", _count_own_entries),),
    ),
    Ablation(
        "no-sync",
        "The disk says that it is done, and is not.",
        ((_disk.Disk, "sync", _no_sync),),
    ),
    Ablation(
        "forget-vote",
        "A node that restarts does not know whom it voted for.",
        ((_RAFT, "_load", _forget_vote),),
    ),
    Ablation(
        "forget-term",
        "A node that restarts knows its term only by its log.",
        ((_RAFT, "_load", _forget_term),),
    ),
    Ablation(
        "replaced-write-counts",
        "The end of a write counts for what has replaced it meanwhile (ABA).",
        (
            (_unstable.Unstable, "stable_to", _stable_by_index),
            (_persistence, "on_append_done_in_earlier_term", _count_late_writes),
        ),
    ),
    Ablation(
        "vote-twice",
        "A node votes for everybody who asks in a term.",
        ((_RAFT, "step", _vote_again),),
    ),
    Ablation(
        "ignore-the-log",
        "A candidate gets votes whatever its log holds.",
        ((_LOG, "is_up_to_date", _yes),),
    ),
    Ablation(
        "half-elects",
        "Half of the voters, rounded down, elect a leader.",
        ((_MAJORITY, "vote_result", _half_elects),),
    ),
    Ablation(
        "silence-for-lower-terms",
        "A leader behind in terms is not told, with check-quorum or pre-vote.",
        ((_RAFT, "_on_lower_term", _silence),),
    ),
    Ablation(
        "commit-old-terms",
        "A leader commits entries of earlier terms by counting (Raft paper, figure 8).",
        ((_LOG, "maybe_commit", _commit_any_term),),
    ),
    Ablation(
        "half-commits",
        "Half of an even number of voters commits.",
        ((_MAJORITY, "committed_index", _half_commits),),
    ),
    Ablation(
        "outgoing-lacks-one",
        "In a joint configuration the outgoing half may lack one.",
        ((_JOINT, "committed_index", _outgoing_lacks_one),),
    ),
    Ablation(
        "incoming-commits",
        "In a joint configuration the incoming half alone commits.",
        ((_JOINT, "committed_index", _incoming_commits),),
    ),
    Ablation(
        "learners-count",
        "Learners count like voters.",
        ((_tracker.Tracker, "switch_to", _learners_count),),
    ),
    Ablation(
        "progress-by-snapshot-sent",
        "A snapshot counts as held by whom it was sent to.",
        ((_progress.Progress, "become_snapshot", _snapshot_arrives),),
    ),
    Ablation(
        "append-unchecked",
        "A follower appends without holding the entry before.",
        ((_LOG, "maybe_append", _append_unchecked),),
    ),
    Ablation(
        "cut-on-overtaken-append",
        "An append that was overtaken cuts off what followed it.",
        ((_LOG, "_without_known", _all_new),),
    ),
    Ablation(
        "apply-uncommitted",
        "Entries are applied before they are committed.",
        ((_LOG, "_appliable", _appliable_uncommitted),),
    ),
    Ablation(
        "bold-heartbeats",
        "Heartbeats carry a commit index beyond what the follower is known to hold.",
        ((_replication, "broadcast_heartbeat", _bold_heartbeats),),
    ),
    Ablation(
        "snapshot-over-a-conflict",
        "A snapshot leaves entries in the log that conflict with it.",
        ((_follower, "_needs", _not_beyond_the_log),),
    ),
    Ablation(
        "restore-older-snapshot",
        "A snapshot older than the log's commits replaces it.",
        ((_follower, "_needs", _yes),),
    ),
    Ablation(
        "snapshot-awaited-for-ever",
        "A snapshot that was lost is not sent again.",
        ((_leader, "give_up_snapshots", _wait_for_ever),),
    ),
    Ablation(
        "configuration-not-restored",
        "A snapshot does not bring its configuration.",
        ((_membership, "restore", _keep_conf),),
    ),
    Ablation(
        "two-changes-at-once",
        "Members are changed again before the last change is applied.",
        ((_membership, "_may_propose", _any_change),),
    ),
    Ablation(
        "no-joint-configuration",
        "Several voters are changed in one step.",
        ((_changer, "apply_change", _no_joint),),
    ),
    Ablation(
        "joint-for-ever",
        "Nobody leaves a joint configuration that is to be left by itself.",
        ((_RAFT, "applied_to", _stay_joint),),
    ),
    Ablation(
        "read-without-quorum",
        "A leader answers reads without asking whether it still leads.",
        ((_read_index, "_decides_alone", _yes),),
    ),
    Ablation(
        "read-before-own-commit",
        "A leader answers reads before its term has a commit.",
        ((_RAFT, "has_committed_in_term", _yes),),
    ),
    Ablation(
        "lease-without-quorum",
        "A leader believes in its lease without hearing of anybody.",
        ((_reads.ReadOnly, "holds_lease", _always_lease),),
    ),
    Ablation(
        "lease-too-long",
        "A lease lasts longer than what followers promised.",
        ((_reads.ReadOnly, "holds_lease", _long_lease),),
    ),
    Ablation(
        "vote-within-lease",
        "A follower votes although it has just heard of a leader.",
        ((_election, "in_lease", _no),),
    ),
    Ablation(
        "lease-survives-transfer",
        "A leader keeps its lease although it told a successor to campaign.",
        ((_transfer, "send_timeout_now", _keep_lease),),
    ),
    Ablation(
        "done-twice",
        "A command that arrives twice is done twice.",
        ((_store.Store, "apply", _do_twice),),
    ),
    Ablation(
        "snapshot-without-sessions",
        "A snapshot holds the table and not the sessions.",
        ((_store.Store, "state", _without_sessions),),
    ),
)
#: Safeguards whose loss runs do not notice within the bound: what they have yet to learn.
UNNOTICED: Final[tuple[Ablation, ...]] = (
    Ablation(
        "incoming-elects",
        "In a joint configuration the incoming half alone elects.",
        ((_JOINT, "vote_result", _incoming_elects),),
    ),
    Ablation(
        "campaign-by-an-old-configuration",
        "A node campaigns with a committed change of members not applied.",
        ((_election, "_has_unapplied_conf_change", _no),),
    ),
    Ablation(
        "progress-of-another-term",
        "A new leader reuses what it knew about the others' logs in an earlier term.",
        ((_tracker.Tracker, "reset", _keep_progress),),
    ),
    Ablation(
        "count-late-acknowledgements",
        "An acknowledgement of an earlier term counts in this one.",
        ((_RAFT, "_on_lower_term", _count_late_answers),),
    ),
    Ablation(
        "commit-beyond-append",
        "A follower commits entries that the append did not vouch for.",
        ((_LOG, "maybe_append", _commit_beyond_append),),
    ),
    Ablation(
        "promise-lost-in-restart",
        "A node that restarts votes at once, whatever lease it has promised.",
        ((_RAFT, "_load", _break_promise),),
    ),
    Ablation(
        "promise-lost-with-term",
        "A node that learns of a later term votes at once, whatever lease it has promised.",
        ((_RAFT, "reset", _promise_with_term),),
    ),
)

#: Seeds whose runs notice, for those in a hurry; the command `ablations` looks for the first ones.
FOUND_AT: Final[Mapping[str, int]] = {
    "vote-before-sync": 0,
    "acknowledge-before-sync": 0,
    "count-own-entries-before-sync": 0,
    "no-sync": 0,
    "forget-vote": 0,
    "forget-term": 3,
    "replaced-write-counts": 273,
    "vote-twice": 3,
    "ignore-the-log": 5,
    "half-elects": 6,
    "silence-for-lower-terms": 38,
    "commit-old-terms": 229,
    "half-commits": 0,
    "outgoing-lacks-one": 5,
    "incoming-commits": 5,
    "learners-count": 12,
    "progress-by-snapshot-sent": 15,
    "append-unchecked": 3,
    "cut-on-overtaken-append": 0,
    "apply-uncommitted": 0,
    "bold-heartbeats": 1,
    "snapshot-over-a-conflict": 7,
    "restore-older-snapshot": 0,
    "snapshot-awaited-for-ever": 4,
    "configuration-not-restored": 4,
    "two-changes-at-once": 3,
    "no-joint-configuration": 144,
    "joint-for-ever": 10,
    "read-without-quorum": 141,
    "read-before-own-commit": 10,
    "lease-without-quorum": 41,
    "lease-too-long": 140,
    "vote-within-lease": 181,
    "lease-survives-transfer": 41,
    "done-twice": 0,
    "snapshot-without-sessions": 4,
}
