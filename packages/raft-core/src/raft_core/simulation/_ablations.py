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
    _candidate,
    _changer,
    _election,
    _follower,
    _leader,
    _log,
    _membership,
    _persistence,
    _progress,
    _quiescence,
    _quorum,
    _raft,
    _read_index,
    _reads,
    _replication,
    _snapshots,
    _tracker,
    _transfer,
    _unstable,
)
from raft_core._messages import MessageType
from raft_core.simulation import _disk, _store
from raft_core.simulation import _replacements as without

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


@attrs.frozen
class Ablation:
    """A safeguard that can be taken out."""

    name: str
    safeguard: str
    """What is missing without it, in a sentence."""
    replaced: tuple[tuple[object, str, object], ...] = attrs.field(repr=False)
    """Module or class, name in it, and what takes the place of what is there."""
    given: Mapping[str, int] = attrs.field(factory=dict[str, int], repr=False)
    """What the runs must be given to be of use, such as optional settings."""

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


_OPTIONS: Final[Mapping[str, int]] = {"options": 1}
_SLOW_DISKS: Final[Mapping[str, int]] = {
    "asynchronous": 1,
    "nodes": 5,
    "learners": 0,
    "spares": 0,
    "delay": 5,
    "loss": 0,
    "disk_delay": 40,
    "unrest": 100,
    "crashes": 6,
    "campaigns": 6,
    "slow_disks": 6,
    "partitions": 3,
}
_RAFT: Final = _raft.Raft
_LOG: Final = _log.RaftLog
_JOINT: Final = _quorum.JointConfig
_MAJORITY: Final = _quorum.MajorityConfig

ABLATIONS: Final[tuple[Ablation, ...]] = (
    Ablation(
        "vote-before-sync",
        "A vote leaves before it is on disk.",
        ((_RAFT, "send", without.send_at_once(MessageType.VOTE_RESP)),),
    ),
    Ablation(
        "acknowledge-before-sync",
        "An acknowledgement leaves before the entries are on disk.",
        ((_RAFT, "send", without.send_at_once(MessageType.APP_RESP)),),
    ),
    Ablation(
        "count-own-entries-before-sync",
        "A leader counts itself before its entries are on disk.",
        ((_RAFT, "append_entries", without.count_own_entries),),
    ),
    Ablation(
        "no-sync",
        "The disk says that it is done, and is not.",
        ((_disk.Disk, "sync", without.no_sync),),
    ),
    Ablation(
        "forget-vote",
        "A node that restarts does not know whom it voted for.",
        ((_RAFT, "_load", without.forget_vote),),
    ),
    Ablation(
        "forget-term",
        "A node that restarts knows its term only by its log.",
        ((_RAFT, "_load", without.forget_term),),
    ),
    Ablation(
        "replaced-write-counts",
        "The end of a write counts for what has replaced it meanwhile (ABA).",
        (
            (_unstable.Unstable, "stable_to", without.stable_by_index),
            (_persistence, "on_append_done_in_earlier_term", without.count_late_writes),
        ),
        _SLOW_DISKS,
    ),
    Ablation(
        "vote-twice",
        "A node votes for everybody who asks in a term.",
        ((_RAFT, "step", without.vote_again),),
    ),
    Ablation(
        "ignore-the-log",
        "A candidate gets votes whatever its log holds.",
        ((_LOG, "is_up_to_date", without.yes),),
    ),
    Ablation(
        "half-elects",
        "Half of the voters, rounded down, elect a leader.",
        ((_MAJORITY, "vote_result", without.half_elects),),
    ),
    Ablation(
        "silence-for-lower-terms",
        "A leader behind in terms is not told, with check-quorum or pre-vote.",
        ((_RAFT, "_on_lower_term", without.silence),),
    ),
    Ablation(
        "commit-old-terms",
        "A leader commits entries of earlier terms by counting (Raft paper, figure 8).",
        ((_LOG, "maybe_commit", without.commit_any_term),),
    ),
    Ablation(
        "half-commits",
        "Half of an even number of voters commits.",
        ((_MAJORITY, "committed_index", without.half_commits),),
    ),
    Ablation(
        "outgoing-lacks-one",
        "In a joint configuration the outgoing half may lack one.",
        ((_JOINT, "committed_index", without.outgoing_lacks_one),),
    ),
    Ablation(
        "incoming-commits",
        "In a joint configuration the incoming half alone commits.",
        ((_JOINT, "committed_index", without.incoming_commits),),
    ),
    Ablation(
        "learners-count",
        "Learners count like voters.",
        ((_tracker.Tracker, "switch_to", without.learners_count),),
    ),
    Ablation(
        "progress-by-snapshot-sent",
        "A snapshot counts as held by whom it was sent to.",
        ((_progress.Progress, "become_snapshot", without.snapshot_arrives),),
    ),
    Ablation(
        "append-unchecked",
        "A follower appends without holding the entry before.",
        ((_LOG, "maybe_append", without.append_unchecked),),
    ),
    Ablation(
        "cut-on-overtaken-append",
        "An append that was overtaken cuts off what followed it.",
        ((_LOG, "_without_known", without.all_new),),
    ),
    Ablation(
        "apply-uncommitted",
        "Entries are applied before they are committed.",
        ((_LOG, "_appliable", without.appliable_uncommitted),),
    ),
    Ablation(
        "bold-heartbeats",
        "Heartbeats carry a commit index beyond what the follower is known to hold.",
        ((_replication, "broadcast_heartbeat", without.bold_heartbeats),),
    ),
    Ablation(
        "snapshot-over-a-conflict",
        "A snapshot leaves entries in the log that conflict with it.",
        ((_follower, "_needs", without.not_beyond_the_log),),
    ),
    Ablation(
        "restore-older-snapshot",
        "A snapshot older than the log's commits replaces it.",
        ((_follower, "_needs", without.yes),),
    ),
    Ablation(
        "snapshot-awaited-for-ever",
        "A snapshot that was lost is not sent again.",
        ((_leader, "give_up_snapshots", without.wait_for_ever),),
    ),
    Ablation(
        "configuration-not-restored",
        "A snapshot does not bring its configuration.",
        ((_membership, "restore", without.keep_conf),),
    ),
    Ablation(
        "two-changes-at-once",
        "Members are changed again before the last change is applied.",
        ((_membership, "_may_propose", without.any_change),),
    ),
    Ablation(
        "no-joint-configuration",
        "Several voters are changed in one step.",
        ((_changer, "apply_change", without.no_joint),),
    ),
    Ablation(
        "joint-for-ever",
        "Nobody leaves a joint configuration that is to be left by itself.",
        ((_RAFT, "applied_to", without.stay_joint),),
    ),
    Ablation(
        "read-without-quorum",
        "A leader answers reads without asking whether it still leads.",
        ((_read_index, "_decides_alone", without.yes),),
    ),
    Ablation(
        "read-before-own-commit",
        "A leader answers reads before its term has a commit.",
        ((_RAFT, "has_committed_in_term", without.yes),),
    ),
    Ablation(
        "lease-without-quorum",
        "A leader believes in its lease without hearing of anybody.",
        ((_reads.ReadOnly, "holds_lease", without.always_lease),),
    ),
    Ablation(
        "lease-too-long",
        "A lease lasts longer than what followers promised.",
        ((_reads.ReadOnly, "holds_lease", without.long_lease),),
    ),
    Ablation(
        "vote-within-lease",
        "A follower votes although it has just heard of a leader.",
        ((_election, "in_lease", without.no),),
    ),
    Ablation(
        "lease-survives-transfer",
        "A leader keeps its lease although it told a successor to campaign.",
        ((_transfer, "send_timeout_now", without.keep_lease),),
    ),
    Ablation(
        "done-twice",
        "A command that arrives twice is done twice.",
        ((_store.Store, "apply", without.do_twice),),
    ),
    Ablation(
        "snapshot-without-sessions",
        "A snapshot holds the table and not the sessions.",
        ((_store.Store, "state", without.without_sessions),),
    ),
    Ablation(
        "rest-without-looking",
        "A group goes to sleep while a member lacks something.",
        ((_quiescence, "_is_at_rest", without.yes),),
        _OPTIONS,
    ),
    Ablation(
        "sleep-for-ever",
        "Nothing wakes a node that sleeps.",
        ((_quiescence, "disturb", without.sleep_on),),
        {**_OPTIONS, "quiesce_tick": 2},
    ),
    Ablation(
        "witness-ahead-of-the-data",
        "A witness gets names of entries that no disk holds the data of.",
        ((_replication, "_entries_for", without.send_unwritten_names),),
        _OPTIONS,
    ),
    Ablation(
        "witness-leads",
        "A witness campaigns and leads, without data.",
        ((_RAFT, "is_promotable", property(without.yes)),),
        _OPTIONS,
    ),
    Ablation(
        "quorum-of-witnesses",
        "A change of members may leave a quorum without data.",
        ((_changer, "check_witnesses", without.yes),),
        _OPTIONS,
    ),
    Ablation(
        "commit-at-one-site",
        "A quorum at one site commits.",
        ((_tracker, "committed_across_groups", without.any_site),),
        _OPTIONS,
    ),
    Ablation(
        "requested-snapshot-cuts-the-log",
        "A snapshot that was asked for takes acknowledged entries away.",
        ((_LOG, "restore", without.restore_without_tail),),
        _OPTIONS,
    ),
    Ablation(
        "requested-snapshot-too-old",
        "A snapshot that was asked for takes the application back.",
        (
            (_follower, "_needs", without.need_any),
            (_snapshots, "_serve_request", without.serve_with_any),
        ),
        _OPTIONS,
    ),
    Ablation(
        "written-before-the-snapshot",
        "What was written before a snapshot replaces the log counts as written after it.",
        ((_unstable.Unstable, "stable_to", without.stable_below_snapshot),),
        _OPTIONS,
    ),
)
#: Safeguards whose loss runs do not notice within the bound: what they have yet to learn.
UNNOTICED: Final[tuple[Ablation, ...]] = (
    Ablation(
        "lead-before-own-vote",
        "A candidate leads by the votes of others while its own term is not on disk.",
        ((_candidate, "_may_lead", without.yes),),
    ),
    Ablation(
        "incoming-elects",
        "In a joint configuration the incoming half alone elects.",
        ((_JOINT, "vote_result", without.incoming_elects),),
    ),
    Ablation(
        "campaign-by-an-old-configuration",
        "A node campaigns with a committed change of members not applied.",
        ((_election, "_has_unapplied_conf_change", without.no),),
    ),
    Ablation(
        "progress-of-another-term",
        "A new leader reuses what it knew about the others' logs in an earlier term.",
        ((_tracker.Tracker, "reset", without.keep_progress),),
    ),
    Ablation(
        "count-late-acknowledgements",
        "An acknowledgement of an earlier term counts in this one.",
        ((_RAFT, "_on_lower_term", without.count_late_answers),),
    ),
    Ablation(
        "commit-beyond-append",
        "A follower commits entries that the append did not vouch for.",
        ((_LOG, "maybe_append", without.commit_beyond_append),),
    ),
    Ablation(
        "promise-lost-in-restart",
        "A node that restarts votes at once, whatever lease it has promised.",
        ((_RAFT, "_load", without.break_promise),),
    ),
    Ablation(
        "promise-lost-with-term",
        "A node that learns of a later term votes at once, whatever lease it has promised.",
        ((_RAFT, "reset", without.promise_with_term),),
    ),
    Ablation(
        "pieces-of-two-snapshots",
        "A follower puts pieces of two snapshots together.",
        ((_snapshots.Incoming, "is_of", without.yes),),
        _OPTIONS,
    ),
    Ablation(
        "wake-alone",
        "A leader that wakes does not wake the others.",
        ((_quiescence, "_wake", without.wake_alone),),
        _OPTIONS,
    ),
    Ablation(
        "priority-for-ever",
        "A node insists on its priority however long nobody leads.",
        ((_election, "PRIORITY_PATIENCE", 2**32),),
        _OPTIONS,
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
    "replaced-write-counts": 13,
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
    "restore-older-snapshot": 98,
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
    "rest-without-looking": 0,
    "sleep-for-ever": 70,
    "witness-ahead-of-the-data": 27,
    "witness-leads": 13,
    "quorum-of-witnesses": 41,
    "commit-at-one-site": 5,
    "requested-snapshot-cuts-the-log": 25,
    "requested-snapshot-too-old": 9,
    "written-before-the-snapshot": 119,
}
