"""One node of a Raft group, as an application holds it.

The application calls `tick` at even intervals and `step` for every message that arrives; after
either, and after proposals, it asks for a `Ready` and does what that says. Nothing else happens:
no thread, no clock, no socket. A node is not safe for use by several threads at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import _election, _guard, _leader, _membership, _persistence, _snapshots
from raft_core._conf_changes import AnyConfChange, conf_change_entry
from raft_core._entries import NO_NODE, Entry
from raft_core._errors import UsageError
from raft_core._messages import Message, MessageType
from raft_core._raft import Raft
from raft_core._reads import ReadOnlyOption
from raft_core._ready import Ready
from raft_core._states import ConfState, HardState, Role, Snapshot, SoftState
from raft_core._status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raft_core._config import Config
    from raft_core._storage import Storage


class Node:
    """One member of a Raft group.

    Raises:
        ConfChangeError: The storage holds a configuration that cannot be.
        ConfigError: The settings say more is applied than the log holds.
        StorageError: The storage lost entries that it knows to be committed.

    """

    def __init__(self, config: Config, storage: Storage) -> None:
        self._raft = Raft(config, storage)
        self._asynchronous = config.async_storage_writes
        self._last_soft = self._raft.soft_state
        self._last_hard = self._raft.hard_state
        stored, _ = storage.initial_state()
        if stored.term != self._last_hard.term:
            self._last_hard = stored  # the log knew of a later term, which is still to be written
        self._steps_on_advance: list[Message] = []
        self._handed_out = False

    # Input

    def step(self, message: Message) -> None:
        """Take a message from another node, or the answer of an own storage thread.

        Raises:
            MessageError: It was refused and nothing has changed; the subclasses say why.
            ProposalDroppedError: The proposal it carries was not appended.
            ConfChangeError: The change it proposes leads to no valid configuration.
            ReadDroppedError: The read it asks for gets no index.

        """
        _guard.check(self._raft, message)
        self._raft.step(message)

    def tick(self) -> None:
        """Let one tick pass. Elections and heartbeats are counted in ticks."""
        self._raft.tick()

    def propose(self, data: bytes) -> None:
        """Propose an entry; a follower passes it on to its leader.

        Raises:
            ProposalDroppedError: It was not appended, nor passed on.

        """
        self.propose_batch((data,))

    def propose_batch(self, batch: Iterable[bytes]) -> None:
        """Propose several entries, all of them or none.

        Raises:
            ProposalDroppedError: None was appended, nor passed on.
            MalformedMessageError: The batch is empty.

        """
        self._request(MessageType.PROP, tuple([Entry(data=data) for data in batch]))

    def propose_conf_change(self, change: AnyConfChange) -> None:
        """Propose to change who belongs to the group.

        One change at a time: while another is not applied, this one becomes an empty entry.

        Raises:
            ConfChangeError: It leads to no valid configuration.
            ProposalDroppedError: It was not appended, nor passed on.

        """
        self._request(MessageType.PROP, (conf_change_entry(change),))

    def apply_conf_change(self, change: AnyConfChange, index: int | None = None) -> ConfState:
        """Put a change into force whose entry is being applied; return the configuration.

        Every node must do this for the same entries. To reject a change, do not call it. With the
        entry's index given, a change that a snapshot has brought meanwhile is not made twice, and
        what is returned is the configuration at that index all the same: a snapshot can arrive
        while earlier entries are being applied.

        Raises:
            ConfChangeError: It leads to no valid configuration; the old one stays.

        """
        return _membership.apply_conf_change(self._raft, change, index)

    def read_index(self, context: bytes) -> None:
        """Ask up to where to apply before a read; a `ReadState` with this context will say.

        It may never come, if a message is lost or the leader changes: ask again, in a while.

        Raises:
            ReadDroppedError: It will not come.

        """
        self._request(MessageType.READ_INDEX, (Entry(data=context),))

    def _request(self, kind: MessageType, entries: tuple[Entry, ...]) -> None:
        raft = self._raft
        message = Message(type=kind, to=raft.id, sender=raft.id, entries=entries)
        _guard.check(raft, message)
        raft.step(message)

    def transfer_leader(self, successor: int) -> None:
        """Move leadership to a voter; a follower passes the request on.

        The leader drops proposals until the successor leads, or an election timeout has passed.
        Where there is no leader, or no such voter, nothing happens.
        """
        raft = self._raft
        raft.step(Message(type=MessageType.TRANSFER_LEADER, to=raft.id, sender=successor))

    def campaign(self) -> None:
        """Campaign now instead of after an election timeout, if this node may campaign at all.

        Under leases a follower has promised not to while it hears its leader, and nothing happens.
        """
        _election.hup(self._raft)

    def forget_leader(self) -> None:
        """Stop believing in the leader, so as to vote for another although it was heard of.

        For a follower that knows, by other ways, that its leader is gone. Under leases a follower
        has promised not to, and nothing happens.
        """
        raft = self._raft
        if raft.role is Role.FOLLOWER and raft.config.read_only is ReadOnlyOption.SAFE:
            raft.lead = NO_NODE
            raft.quiescent = False

    def set_commit_groups(self, groups: Mapping[int, int]) -> None:
        """Let this node, while it leads, commit only what voters of two groups hold.

        `groups` names the group of each voter, such as the number of its site; empty: a quorum is
        enough. The setting is this node's own, so make it on all, whenever one starts and whenever
        members change. Voters in fewer than two groups need but their quorum.
        """
        raft = self._raft
        raft.tracker.commit_groups = dict(groups)
        if raft.role is Role.LEADER:
            _membership.use_new_quorum(raft)

    def report_unreachable(self, member: int) -> None:
        """Tell that messages to a member were not delivered."""
        if self._raft.role is Role.LEADER:
            _leader.report_unreachable(self._raft, member)

    def report_snapshot(self, member: int, *, success: bool) -> None:
        """Tell whether a snapshot reached a member; until told, nothing else is sent to it."""
        if self._raft.role is Role.LEADER:
            _leader.report_snapshot(self._raft, member, success=success)

    def request_snapshot(self) -> None:
        """Ask for the leader's snapshot, as the application's state is lost or wrong.

        Until one is here, not older than what was handed out to be applied, nothing more is
        applied; entries are written and acknowledged as before. Every heartbeat repeats the
        request. The leader's application sees it in `Status.progress` as `wanted_snapshot`, and
        makes a snapshot if its latest is older than that. A node that leads hands over first. Where
        nobody can lead instead, or no leader is found for long, start again from the own disk.
        """
        _snapshots.request(self._raft)

    # Output

    def has_ready(self) -> bool:
        """Say whether `ready` has something to hand out."""
        raft = self._raft
        unstable = raft.log.unstable
        return bool(
            raft.messages
            or raft.messages_after_write
            or raft.read_states
            or raft.reads_unannounced
            or unstable.has_next_entries()
            or unstable.next_snapshot() is not None
            or raft.log.has_next_committed(allow_unstable=not self._asynchronous)
            or raft.soft_state != self._last_soft
            or raft.hard_state != self._last_hard
        )

    def ready(self) -> Ready:
        """Hand out what is to be done. What is handed out once is not handed out again.

        Raises:
            UsageError: The last one has not been advanced.

        """
        if self._handed_out:
            raise UsageError("call advance() when the last Ready is done")
        raft = self._raft
        raft.flush_reads()
        entries = raft.log.unstable.next_entries()
        snapshot = raft.log.unstable.next_snapshot()
        hard_state = self._changed_hard_state()
        committed = raft.log.next_committed(allow_unstable=not self._asynchronous)
        messages, persisted = tuple(raft.messages), tuple(raft.messages_after_write)
        must_sync = bool(entries) or (
            hard_state is not None
            and (hard_state.term, hard_state.vote) != (self._last_hard.term, self._last_hard.vote)
        )
        if self._asynchronous:
            messages += self._storage_requests(entries, hard_state, snapshot, committed)
            persisted = ()
        else:
            self._plan_advance(snapshot, committed)
            persisted = tuple([message for message in persisted if message.to != raft.id])
        ready = Ready(
            messages,
            entries,
            hard_state,
            snapshot,
            must_sync,
            persisted,
            committed,
            tuple(raft.read_states),
            self._changed_soft_state(),
        )
        self._accept(ready)
        return ready

    def _changed_hard_state(self) -> HardState | None:
        state = self._raft.hard_state
        return None if state == self._last_hard else state

    def _changed_soft_state(self) -> SoftState | None:
        state = self._raft.soft_state
        return None if state == self._last_soft else state

    def _storage_requests(
        self,
        entries: tuple[Entry, ...],
        hard_state: HardState | None,
        snapshot: Snapshot | None,
        committed: tuple[Entry, ...],
    ) -> tuple[Message, ...]:
        raft = self._raft
        requests: tuple[Message, ...] = ()
        if entries or hard_state or snapshot or raft.messages_after_write:
            requests = (_persistence.append_request(raft, entries, hard_state, snapshot),)
        if committed:
            requests += (_persistence.apply_request(raft, committed),)
        return requests

    def _plan_advance(self, snapshot: Snapshot | None, committed: tuple[Entry, ...]) -> None:
        raft = self._raft
        steps = [message for message in raft.messages_after_write if message.to == raft.id]
        append_done = _persistence.append_done(raft, snapshot)
        if append_done is not None:
            steps.append(append_done)
        if committed:
            steps.append(_persistence.apply_done(raft, committed))
        self._steps_on_advance = steps
        self._handed_out = True

    def _accept(self, ready: Ready) -> None:
        raft = self._raft
        if ready.soft_state is not None:
            self._last_soft = ready.soft_state
        if ready.hard_state is not None:
            self._last_hard = ready.hard_state
        raft.messages.clear()
        raft.messages_after_write.clear()
        raft.read_states.clear()
        raft.log.unstable.accept_in_progress()
        if ready.committed_entries:
            raft.log.accept_applying(ready.committed_entries, allow_unstable=not self._asynchronous)
        raft.trace("Ready")

    def advance(self) -> None:
        """Tell that everything in the last `Ready` is done.

        Raises:
            UsageError: Nothing was handed out, or storage writes are asynchronous.

        """
        if not self._handed_out:
            raise UsageError("there is no Ready to advance")
        self._handed_out = False
        steps, self._steps_on_advance = self._steps_on_advance, []
        for message in steps:
            self._raft.step(message)

    @property
    def term(self) -> int:
        """Return the current term; for a leader, that of the entries it appends."""
        return self._raft.term

    @property
    def last_index(self) -> int:
        """Return where the log ends; what a leader proposes next gets the index after it."""
        return self._raft.log.last_index()

    def status(self) -> Status:
        """Return what this node knows, as a copy."""
        raft = self._raft
        tracked = raft.tracker.progress if raft.role is Role.LEADER else {}
        return Status(
            id=raft.id,
            hard_state=raft.hard_state,
            soft_state=raft.soft_state,
            applied=raft.log.applied,
            last_index=raft.log.last_index(),
            lead_transferee=raft.lead_transferee,
            quiescent=raft.quiescent,
            conf_state=raft.tracker.conf,
            progress={member: progress.clone() for member, progress in tracked.items()},
        )
