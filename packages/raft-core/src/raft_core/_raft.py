"""The Raft state machine: state, time, terms and transitions between roles.

Rules of this package. Nothing here does I/O, reads a clock or draws a random number that the seed
does not determine. Sets are never iterated. What each role does with a message is in `_follower`,
`_candidate` and `_leader`; this module decides which of them gets to see it.

References: "paper" is Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm
(extended version, 2014); "dissertation" is Ongaro, Consensus: Bridging Theory and Practice (2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core import (
    _candidate,
    _election,
    _follower,
    _leader,
    _membership,
    _persistence,
    _quiescence,
    _replication,
    _snapshots,
    _trace,
    _transfer,
)
from raft_core._changer import check_conf_state, normalized
from raft_core._conf_changes import ConfChangeV2, conf_change_entry
from raft_core._config import RemovedLeader
from raft_core._entries import NO_NODE, Entry, EntryType, payload_size
from raft_core._errors import ConfigError, ProposalDroppedError, StorageError
from raft_core._log import RaftLog
from raft_core._messages import AFTER_WRITE_TYPES, Message, MessageType
from raft_core._random import SplitMix
from raft_core._reads import ReadOnly, ReadOnlyOption
from raft_core._states import ConfState, HardState, ReadState, Role, SoftState
from raft_core._tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raft_core._config import Config
    from raft_core._storage import Storage

    Handler = Callable[["Raft", Message], None]

_ANY_ROLE: Final[dict[MessageType, Handler]] = {
    MessageType.VOTE: _election.on_vote_request,
    MessageType.PRE_VOTE: _election.on_vote_request,
    MessageType.STORAGE_APPEND_RESP: _persistence.on_append_done,
    MessageType.STORAGE_APPLY_RESP: _persistence.on_apply_done,
}

_HANDLERS: Final[Mapping[Role, Mapping[MessageType, Handler]]] = {
    Role.FOLLOWER: {**_ANY_ROLE, **_follower.HANDLERS},
    Role.PRE_CANDIDATE: {
        **_ANY_ROLE,
        **_candidate.HANDLERS,
        **_candidate.PRE_VOTE_HANDLERS,
    },
    Role.CANDIDATE: {**_ANY_ROLE, **_candidate.HANDLERS, **_candidate.VOTE_HANDLERS},
    Role.LEADER: {**_ANY_ROLE, **_leader.HANDLERS},
}

_FROM_LEADER: Final = frozenset(
    {
        MessageType.APP,
        MessageType.HEARTBEAT,
        MessageType.QUIESCE,
        MessageType.SNAP,
        MessageType.SNAP_CHUNK,
    }
)


class Raft:
    """One member of a Raft group. `Node` is the contract around it."""

    def __init__(self, config: Config, storage: Storage) -> None:
        self.config = config
        self.id = config.id
        self.log = RaftLog.open(storage, config.applying_limit)
        self.tracker = Tracker(config.max_inflight_messages, config.inflight_bytes_limit)
        self.term = 0
        self.vote = NO_NODE
        self.role = Role.FOLLOWER
        self.lead = NO_NODE
        self.messages: list[Message] = []
        #: Promises about what is on disk: they leave when everything handed out so far is.
        self.messages_after_write: list[Message] = []
        self.read_states: list[ReadState] = []
        self.read_only = ReadOnly(config.read_only)
        #: Reads that came before the leader committed an entry of its term.
        self.early_reads: list[Message] = []
        #: Reads wait that no heartbeat has carried yet.
        self.reads_unannounced = False
        self.lead_transferee = NO_NODE
        #: At or above the last configuration change in the log that may not be applied yet.
        self.pending_conf_index = 0
        #: The configuration in force is the one at this index, or at a later one.
        self.conf_index = 0
        #: The configuration as the application has applied it; behind a snapshot under way.
        self.applied_conf = ConfState()
        self.applied_conf_index = 0
        #: Data appended by this leader and not applied; never more than there is.
        self.uncommitted_size = 0
        self.ticks = 0
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.randomized_election_timeout = 0
        #: For so many ticks a leader's lease may rest on this node's not voting.
        self.lease_embargo = 0
        #: Ticks since a leader was believed in.
        self.leaderless = 0
        #: Neither heartbeats nor election timeouts until something happens; see `_quiescence`.
        self.quiescent = False
        self.idleness = _quiescence.Idleness()
        #: The pieces of a snapshot that have arrived so far.
        self.incoming: _snapshots.Incoming | None = None
        self._random = SplitMix(config.seed ^ (config.id * 0x9E3779B97F4A7C15))
        self._handlers = _HANDLERS[Role.FOLLOWER]
        self.trace("InitState")
        self._load(storage)

    def _load(self, storage: Storage) -> None:
        hard_state, conf_state = storage.initial_state()
        conf = normalized(conf_state)
        check_conf_state(conf)
        log = self.log
        if hard_state.commit > log.last_index():
            raise StorageError(
                f"the log ends at {log.last_index()} but {hard_state.commit} was committed"
            )
        if self.config.applied > log.last_index():
            raise ConfigError(
                f"{self.config.applied} is applied but the log ends at {log.last_index()}"
            )
        self._check_data(log)
        # The commit index may be written late; what was applied was committed.
        log.commit_to(max(hard_state.commit, self.config.applied))
        log.applied_to(self.config.applied, 0)
        self.term = hard_state.term
        self.vote = hard_state.vote
        if log.last_term() > max(self.term, 1):
            # A crash between the two writes kept entries and lost their term, which has begun all
            # the same. A founder's snapshot is of term 1 before there is any term.
            self.term, self.vote = log.last_term(), NO_NODE
        if self.config.read_only is ReadOnlyOption.LEASE_BASED and self.term:
            # It may have promised a lease before it crashed, and cannot know.
            self.lease_embargo = self.config.election_tick
        _membership.switch_to(self, conf)
        self.applied_conf = conf
        self.become_follower(self.term, NO_NODE)

    def _check_data(self, log: RaftLog) -> None:
        if self.config.witness or log.last_index() < log.first_index():
            return
        (last,) = log.entries_from(log.last_index())
        if last.type is EntryType.WITNESSED:
            raise ConfigError("the log is that of a witness, without the data of its entries")

    # What others may know

    @property
    def soft_state(self) -> SoftState:
        """Return what is believed at the moment."""
        return SoftState(self.lead, self.role)

    @property
    def hard_state(self) -> HardState:
        """Return what must survive a crash."""
        return HardState(self.term, self.vote, self.log.committed)

    @property
    def is_promotable(self) -> bool:
        """Say whether this node may campaign: a voter with data that no snapshot is to replace."""
        conf = self.tracker.conf
        return (
            self.id in conf.all_voters
            and self.id not in conf.witnesses
            and not self.config.witness
            and self.log.unstable.snapshot is None
        )

    def has_committed_in_term(self) -> bool:
        """Say whether this term has a commit; before, a leader may not know what is committed."""
        return self.log.term(self.log.committed) == self.term

    # Output

    def trace(
        self,
        name: str,
        message: Message | None = None,
        prop: _trace.TraceProperties | None = None,
    ) -> None:
        """Tell whoever listens what happens."""
        if self.config.trace is not None:
            self.config.trace(_trace.event(self, name, message, prop))

    def _trace_message(self, direction: str, message: Message) -> None:
        if self.config.trace is not None:
            event = _trace.message_event(self, direction, message)
            if event is not None:
                self.config.trace(event)

    def send(self, message: Message) -> None:
        """Queue a message: for now, or until what it promises is on disk.

        Votes and acknowledgements count towards quorums of durable state, so they wait for the
        write (dissertation section 3.8). Rejections wait as well: they follow from the same state.
        """
        if message.type in AFTER_WRITE_TYPES:
            self.messages_after_write.append(message)
        else:
            self.messages.append(message)
        self._trace_message("Send", message)

    def flush_reads(self) -> None:
        """Announce the waiting reads: one round of heartbeats for all that came since the last."""
        if self.reads_unannounced:
            self.reads_unannounced = False
            _replication.broadcast_heartbeat(self)

    # Transitions (paper, figure 4)

    def reset(self, term: int) -> None:
        """Forget what belongs to a term. The vote goes only with the term it was cast in."""
        if self.term != term:
            self.term = term
            self.vote = NO_NODE
        self.lead = NO_NODE
        self.lead_transferee = NO_NODE
        self.ticks = 0
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self._draw_election_timeout()
        self.tracker.reset(self.id, self.log.last_index())
        self.pending_conf_index = 0
        self.uncommitted_size = 0
        self.read_only = ReadOnly(self.config.read_only)
        self.early_reads.clear()
        self.reads_unannounced = False
        self.quiescent = False
        self.incoming = None

    def _draw_election_timeout(self) -> None:
        # Spread over one more timeout, so that split votes are rare (paper, section 5.2).
        base = self.config.election_tick
        self.randomized_election_timeout = base + self._random.below(base)

    def _enter(self, role: Role) -> None:
        self.role = role
        self._handlers = _HANDLERS[role]

    def become_follower(self, term: int, lead: int) -> None:
        """Follow a leader, or nobody yet."""
        self.reset(term)
        self.lead = lead
        self._enter(Role.FOLLOWER)
        self.trace("BecomeFollower")

    def become_candidate(self) -> None:
        """Open a new term and vote for oneself in it."""
        self.reset(self.term + 1)
        self.vote = self.id
        self._enter(Role.CANDIDATE)
        self.trace("BecomeCandidate")

    def become_pre_candidate(self) -> None:
        """Ask around first. Neither term nor vote change (dissertation section 9.6)."""
        self.tracker.votes = {}
        self.lead = NO_NODE
        self.quiescent = False
        self._enter(Role.PRE_CANDIDATE)

    def become_leader(self) -> None:
        """Lead, and append an empty entry, through which earlier terms commit (section 5.4.2)."""
        self.reset(self.term)
        self.lead = self.id
        self.leaderless = 0
        self._enter(Role.LEADER)
        own = self.tracker.progress[self.id]
        own.become_replicate()
        own.recent_active = True
        # Somewhere below there may be a configuration change not applied yet: rather than look for
        # it, wait until everything below is applied.
        self.pending_conf_index = self.log.last_index()
        self.trace("BecomeLeader")
        self.append_entries((Entry(),))

    # Time

    def tick(self) -> None:
        """Let one tick pass."""
        if self.quiescent:
            return
        self.lease_embargo = max(0, self.lease_embargo - 1)
        if self.role is Role.LEADER:
            self._tick_leader()
        else:
            self._tick_election()

    def campaign_soon(self) -> None:
        """Let the election timeout end with the next tick."""
        self.election_elapsed = self.randomized_election_timeout

    def _tick_election(self) -> None:
        self.election_elapsed += 1
        self.leaderless = 0 if self.lead != NO_NODE else self.leaderless + 1
        if self.is_promotable and self.election_elapsed >= self.randomized_election_timeout:
            self.election_elapsed = 0
            _election.hup(self)
            if self.role is Role.FOLLOWER:
                # It may not campaign now, but it must not keep its vote for who is silent, either.
                self.lead = NO_NODE

    def _tick_leader(self) -> None:
        self.ticks += 1
        self.heartbeat_elapsed += 1
        self.election_elapsed += 1
        if self.election_elapsed >= self.config.election_tick:
            self.election_elapsed = 0
            if self.config.check_quorum:
                _leader.check_quorum(self)
            # A successor that has not taken over by now is given up; proposals are welcome again.
            self.lead_transferee = NO_NODE
            if self.role is Role.LEADER:
                self._look_after_members()
        if self.config.quiesce_tick and self.role is Role.LEADER:
            _quiescence.tick(self)
            if self.quiescent:
                return
        if self.role is Role.LEADER and self.heartbeat_elapsed >= self.config.heartbeat_tick:
            self.heartbeat_elapsed = 0
            _replication.broadcast_heartbeat(self)

    def _look_after_members(self) -> None:
        _leader.give_up_snapshots(self)
        removed = self.id not in self.tracker.conf.all_voters
        leaving = removed and self.config.removed_leader is RemovedLeader.HAND_OVER
        if leaving or self.log.wanted_snapshot:
            _transfer.hand_over(self)

    # Messages

    def step(self, message: Message) -> None:
        """Take a message: first its term, then what it says.

        Raises:
            ProposalDroppedError: It carries a proposal that cannot be appended here.
            ReadDroppedError: It asks for a read index that cannot be given here.
            ConfChangeError: It proposes a change that leads to no valid configuration.

        """
        self._trace_message("Receive", message)
        if self.quiescent:
            _quiescence.disturb(self, message)
        else:
            self.take(message)

    def take(self, message: Message) -> None:
        """Do what a message asks for, as the role and the term have it."""
        term = message.term
        if term and term != self.term:
            if term < self.term:
                self._on_lower_term(message)
                return
            if not self._on_higher_term(message):
                return
        handler = self._handlers.get(message.type)
        if handler is not None:
            handler(self, message)

    def _on_higher_term(self, message: Message) -> bool:
        """Move to a message's term where it asks for that; say whether the message counts."""
        kind = message.type
        if kind in (MessageType.VOTE, MessageType.PRE_VOTE) and _election.in_lease(self, message):
            return False
        # Asking for a vote is not campaigning yet, and a vote promised is in the future as well.
        if kind is MessageType.PRE_VOTE or (
            kind is MessageType.PRE_VOTE_RESP and not message.reject
        ):
            return True
        self.become_follower(message.term, message.sender if kind in _FROM_LEADER else NO_NODE)
        return True

    def _on_lower_term(self, message: Message) -> None:
        """Answer a message of an earlier term where silence would leave its sender stuck."""
        kind = message.type
        # Where others hear of it from this node's campaigns, it need not: but it must be able to.
        quiet = self.config.check_quorum or self.config.pre_vote or not self.is_promotable
        if quiet and kind in (MessageType.HEARTBEAT, MessageType.APP, MessageType.QUIESCE):
            # This node's term is ahead, perhaps from a campaign while it was cut off. As nobody
            # listens to its votes now, only this tells the leader, who steps down and is elected
            # anew in a term that this node accepts.
            self.send(
                Message(
                    type=MessageType.APP_RESP, to=message.sender, sender=self.id, term=self.term
                )
            )
        elif kind is MessageType.PRE_VOTE or (kind is MessageType.VOTE and not self.is_promotable):
            # Otherwise a group that is switching pre-vote on, or whose candidate needs the vote of
            # a witness that one who was removed keeps in later terms, could stay without a leader:
            # the sender would never learn of the higher term.
            _election.reject_vote(self, message)
        elif kind is MessageType.STORAGE_APPEND_RESP:
            _persistence.on_append_done_in_earlier_term(self, message)

    # Appending

    def append_entries(self, entries: Sequence[Entry]) -> None:
        """Append as leader, and acknowledge to oneself once it is on disk.

        Raises:
            ProposalDroppedError: Too much is uncommitted already.

        """
        size = payload_size(entries)
        outstanding = self.uncommitted_size
        # An empty entry always fits: it opens a term or leaves a joint configuration. So does any
        # first one, else an entry above the limit could never be proposed.
        if size and outstanding and outstanding + size > self.config.uncommitted_limit:
            raise ProposalDroppedError(f"{outstanding} bytes are not committed yet")
        self.uncommitted_size = outstanding + size
        for entry in entries if self.config.trace is not None else ():
            if entry.type is EntryType.NORMAL:
                self.trace("Replicate")
        term, index = self.term, self.log.last_index()
        self.log.append(
            [
                Entry(term, position, entry.data, entry.type)
                for position, entry in enumerate(entries, index + 1)
            ]
        )
        self.send(
            Message(
                type=MessageType.APP_RESP,
                to=self.id,
                sender=self.id,
                term=term,
                index=index + len(entries),
            )
        )

    def applied_to(self, index: int, size: int) -> None:
        """Note what is applied, and leave a joint configuration that is ripe for it."""
        self.log.applied_to(index, size)
        if (
            self.tracker.conf.auto_leave
            and self.log.applied >= self.pending_conf_index
            and self.role is Role.LEADER
        ):
            try:
                _leader.propose(self, (conf_change_entry(ConfChangeV2()),))
            except ProposalDroppedError:
                # A transfer is under way. Either the successor leaves the configuration, or the
                # next entry applied here does.
                return
