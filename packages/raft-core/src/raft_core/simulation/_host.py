"""One simulated host: a node, its disk, its clock, and the application on top.

It does what `Ready` demands of an application, in either form of storage writes, and can lose its
power at any moment. Whatever it waits for - a sync, a tick - is an event of the run; those that a
crash has overtaken carry an old incarnation number and are ignored.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from raft_core._conf_changes import AnyConfChange, decode_conf_change
from raft_core._config import Config
from raft_core._errors import (
    ConfChangeError,
    ProposalDroppedError,
    ReadDroppedError,
    UnknownPeerError,
)
from raft_core._messages import APPEND_THREAD, APPLY_THREAD, Message, MessageType
from raft_core._reads import ReadOnlyOption
from raft_core._states import ConfState, HardState, Role, Snapshot
from raft_core.simulation._dice import Dice
from raft_core.simulation._disk import Compaction, Disk, Replacement
from raft_core.simulation._profile import TICK
from raft_core.simulation._store import Store
from raft_core.simulation._watched import WatchedNode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raft_core._entries import Entry
    from raft_core._ready import Ready
    from raft_core.simulation._clients import Client
    from raft_core.simulation._disk import Operation
    from raft_core.simulation._simulation import Simulation

#: What a node may refuse without anything being wrong.
_REFUSALS = (ProposalDroppedError, ReadDroppedError, ConfChangeError, UnknownPeerError)


#: Above the streams of the seed that the run itself uses.
_PRIORITIES = 16
#: After so many ticks in vain an application helps itself.
_PATIENCE = 400


class PowerCut(Exception):
    """The host of an event lost its power in the middle of it."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.id)
        self.host = host


class Host:
    """A machine of the run; it is up or down, and its disk outlives it."""

    node: WatchedNode

    def __init__(self, run: Simulation, host_id: int) -> None:
        profile = run.profile
        self.id = host_id
        self.disk = Disk()
        self.up = False
        self.store = Store()
        self.conf = ConfState()
        self.stopped_until = 0
        self.slow_until = 0
        #: What the invariants saw last.
        self.seen_term = self.seen_vote = self.seen_commit = self.led_term = 0
        self._run = run
        self._dice = run.host_dice
        self._asynchronous = bool(profile.asynchronous)
        self._period = TICK + run.host_dice.below(2 * profile.drift + 1) - profile.drift
        self._incarnation = 0
        self._kept: tuple[bytes, ConfState] | None = None
        self._forget()

    def _forget(self) -> None:
        self._busy = False
        self.lost = False
        self._asked = 0
        self._awaited: Ready | None = None
        self._appending: Message | None = None
        self._to_append: deque[Message] = deque()
        self._to_apply: deque[Message] = deque()
        self._writers: dict[tuple[int, int], Client] = {}
        self._readers: dict[bytes, tuple[Client, int]] = {}
        self._readable: list[tuple[int, bytes]] = []

    @property
    def is_witness(self) -> bool:
        """Say whether this host keeps no data."""
        return self.id in self._run.profile.witness_hosts

    @property
    def _has_state(self) -> bool:
        return not (self.lost or self.is_witness)

    @property
    def leads(self) -> bool:
        """Say whether this host believes that it leads."""
        return self.up and self.node.raft.role is Role.LEADER

    def mend(self) -> None:
        """Let the clock run true and the disk work, from now on."""
        self._period = TICK
        self.stopped_until = self.slow_until = 0

    # Power

    def start(self) -> None:
        """Start from what is on disk."""
        if self.up:
            return
        self._incarnation += 1
        self._forget()
        self._recover()
        profile, medium = self._run.profile, self.disk.visible
        leases = ReadOnlyOption.LEASE_BASED if profile.leases else ReadOnlyOption.SAFE
        config = Config(
            id=self.id,
            seed=profile.seed,
            applied=self.store.applied,
            election_tick=profile.election_tick,
            heartbeat_tick=profile.heartbeat_tick,
            pre_vote=bool(profile.pre_vote),
            check_quorum=bool(profile.check_quorum),
            read_only=leases,
            async_storage_writes=self._asynchronous,
            max_inflight_messages=profile.inflight,
            max_size_per_message=profile.message_size,
            max_committed_size_per_ready=profile.page_size,
            snapshot_timeout_tick=profile.snapshot_timeout,
            priority=Dice(profile.seed, _PRIORITIES + self.id).below(profile.priorities + 1),
            quiesce_tick=profile.quiesce_tick,
            max_snapshot_chunk=profile.snapshot_chunk,
            witness=self.is_witness,
        )
        self.node = WatchedNode(config, medium)
        if profile.sites:
            self.node.set_commit_groups(profile.site_of)
        self.up = True
        self._run.invariants.started(self)
        self._run.at(1 + self._dice.below(TICK), self._tick, self._incarnation)
        self.after()

    def _recover(self) -> None:
        """Take the later of the two states on disk: the snapshot, or the application's own."""
        medium = self.disk.visible
        snapshot = medium.latest_snapshot
        self.store = Store.decode(snapshot.data)
        self.store.applied = snapshot.index
        self.conf = snapshot.conf_state
        medium.conf_state = None
        if self._kept is not None:
            store = Store.decode(self._kept[0])
            if store.applied > snapshot.index:
                self.store, self.conf = store, self._kept[1]
                medium.conf_state = self.conf

    def crash(self) -> None:
        """Lose everything but what is on disk."""
        if not self.up:
            return
        self.up = False
        self._incarnation += 1
        self._run.count("crash")
        self.disk.lose_power(self._under_way(), self._dice)

    def _under_way(self) -> list[Operation]:
        if self._awaited is not None:
            ready = self._awaited
            return _operations(ready.snapshot, ready.entries, ready.hard_state)
        operations: list[Operation] = []
        for message in self._to_append:
            if message is not self._appending:
                operations += _requested(message)
        return operations

    # Input

    def _tick(self, incarnation: int) -> None:
        if incarnation != self._incarnation:
            return
        self._run.at(self._period, self._tick, incarnation)
        if self._run.now >= self.stopped_until:
            self.node.tick()
            self.after()

    def receive(self, message: Message) -> None:
        """Take a message from the network, or the answer of a storage thread."""
        self._run.coverage.note(self.node.raft, message)
        self.request(lambda: self.node.step(message))

    def request(self, action: Callable[[], None]) -> bool:
        """Do something that the node may refuse; say whether it did not."""
        try:
            action()
        except _REFUSALS:
            self._run.count("refused")
            return False
        self.after()
        return True

    def submit(self, client: Client, serial: int, data: bytes) -> None:
        """Propose a client's command; it is told the answer when that is applied here."""
        self._writers[client.id, serial] = client
        self.request(lambda: self.node.propose(data))

    def read(self, client: Client, context: bytes) -> None:
        """Read for a client, as soon as that may be done; a witness has nothing to read."""
        if self.is_witness:
            return
        self._readers[context] = (client, self._run.invariants.frontier)
        self.request(lambda: self.node.read_index(context))

    def burden(self, count: int) -> None:
        """Propose entries that mean nothing."""
        self.request(lambda: self.node.propose_batch([b""] * count))

    def change_members(self, change: AnyConfChange) -> None:
        """Propose to change who belongs to the group."""
        self.request(lambda: self.node.propose_conf_change(change))

    def compact(self) -> None:
        """Put a snapshot in place of some of the log."""
        store, medium = self.store, self.disk.visible
        if self.lost or not medium.latest_snapshot.index < store.applied <= medium.last_index():
            return
        index = store.applied
        data = b"" if self.is_witness else store.encode()
        snapshot = Snapshot(index, medium.term(index), self.conf, data)
        low = medium.first_index() - 1
        up_to = index if self._dice.below(2) else low + self._dice.below(index - low + 1)
        self.disk.write(Compaction(snapshot, up_to))
        self._run.invariants.check_snapshot(self, snapshot)
        self._run.count("compaction")

    def lose_state(self) -> None:
        """Lose what the application has made of the log, and have the leader's in its place."""
        self.store.table, self.store.sessions = {-1: -1}, {}
        self.lost = True
        self.node.request_snapshot()
        self.after()

    def serve_requests(self) -> None:
        """Make the snapshot that another host's application waits for, as leader.

        Who waits for one itself and has nobody to ask begins anew from its disk.
        """
        self._asked = self._asked + 1 if self.lost else 0
        if self.lost and (self.leads or self._asked > _PATIENCE):
            self.crash()
            self.start()
            return
        if not self.leads:
            return
        progress = self.node.raft.tracker.progress.values()
        wanted = max((one.wanted_snapshot for one in progress), default=0)
        if wanted > self.disk.visible.latest_snapshot.index:
            if self.store.applied < wanted:
                self.burden(1)
            else:
                self.compact()

    def keep(self) -> None:
        """Let the application write its own state, where it does so."""
        if self._run.profile.durable_application and self._has_state:
            self._kept = (self.store.encode(), self.conf)

    # Output

    def after(self) -> None:
        """Check what happened, and do what the node wants done, at once or a little later."""
        self._run.step(self)
        if self._run.profile.lazy and self._dice.chance(self._run.laziness):
            self._run.at(1 + self._dice.below(TICK), self._wake, self._incarnation)
        else:
            self._work()

    def _wake(self, incarnation: int) -> None:
        if incarnation == self._incarnation:
            self._work()

    def _work(self) -> None:
        node = self.node
        while not self._busy and node.has_ready():
            ready = node.ready()
            for read in ready.read_states:
                self._readable.append((read.index, read.context))
            for message in ready.messages:
                if message.to < APPLY_THREAD:
                    self._run.send(self, message)
                else:
                    self._enqueue(message)
            if not self._asynchronous:
                self._write(ready)
        if self._readable:
            self._answer_reads()

    def _delay(self) -> int:
        slow = self._run.now < self.slow_until
        longest = (self._run.disk_delay + 10) * 8 if slow else self._run.disk_delay
        return self._dice.below(longest + 1)

    def _sync(self) -> None:
        if self._dice.chance(self._run.disk_failures):
            # What is on disk now nobody knows. The only way to find out is to start again.
            self._run.count("failed sync")
            raise PowerCut(self)
        self.disk.sync()

    def _install(self, snapshot: Snapshot) -> None:
        self.store = Store.decode(snapshot.data)
        self.store.applied = snapshot.index
        self.conf = snapshot.conf_state
        self._run.invariants.check_snapshot(self, snapshot)
        self._run.count("state replaced" if self.lost else "snapshot installed")
        self.lost = False

    def _apply(self, entries: Sequence[Entry]) -> None:
        invariants = self._run.invariants
        for entry in entries:
            if entry.index <= self.store.applied:
                continue  # a snapshot came first
            invariants.check_applied(self, entry)
            if self._has_state:
                self._execute(entry)
            self.store.applied = entry.index
            if entry.type:
                self._apply_change(entry)

    def _execute(self, entry: Entry) -> None:
        outcome = self.store.apply(entry)
        if outcome is not None:
            command, answer = outcome
            self._run.invariants.check_answer(self, command.client, answer)
            client = self._writers.pop((command.client, command.serial), None)
            if client is not None:
                client.written(self, answer)

    def _apply_change(self, entry: Entry) -> None:
        change = decode_conf_change(entry)
        if change is not None:
            self.conf = self.node.apply_conf_change(change, entry.index)
            self._run.invariants.check_conf(self, entry.index, self.conf)
            self._run.count("joint" if self.conf.is_joint else "configuration")
            self._run.step(self)

    def _answer_reads(self) -> None:
        waiting: list[tuple[int, bytes]] = []
        for index, context in self._readable:
            if self.lost or index > self.store.applied:
                waiting.append((index, context))
                continue
            client, frontier = self._readers.pop(context, (None, 0))
            if client is not None:
                client.has_read(self, context, index, frontier)
        self._readable = waiting

    # Storage writes that are waited for

    def _write(self, ready: Ready) -> None:
        delay = self._delay() if ready.must_sync or ready.snapshot else 0
        if not delay:
            self._finish(ready)
            return
        self._busy = True
        self._awaited = ready
        self._run.at(delay, self._written, self._incarnation)

    def _written(self, incarnation: int) -> None:
        ready = self._awaited
        if incarnation != self._incarnation or ready is None:
            return
        self._busy = False
        self._finish(ready)
        self._work()

    def _finish(self, ready: Ready) -> None:
        self._awaited = None
        for operation in _operations(ready.snapshot, ready.entries, ready.hard_state):
            self.disk.write(operation)
        if ready.must_sync or ready.snapshot is not None:
            self._sync()
        for message in ready.persisted_messages:
            self._run.send(self, message)
        if ready.snapshot is not None:
            self._install(ready.snapshot)
        if ready.committed_entries:
            self._apply(ready.committed_entries)
        self.node.advance()
        self._run.step(self)

    # Storage writes that are messages

    def _enqueue(self, message: Message) -> None:
        queue = self._to_append if message.to == APPEND_THREAD else self._to_apply
        queue.append(message)
        if len(queue) == 1:
            self._run.at(self._delay(), self._serve, (self._incarnation, queue))

    def _serve(self, work: tuple[int, deque[Message]]) -> None:
        incarnation, queue = work
        if incarnation != self._incarnation:
            return
        message = queue[0]
        if message.type is MessageType.STORAGE_APPEND:
            self._append(message)
        else:
            self._apply(message.entries)
        queue.popleft()
        if queue:
            self._run.at(self._delay(), self._serve, work)
        for response in message.responses:
            if response.to == self.id:
                self.receive(response)
            else:
                self._run.send(self, response)
        self._work()

    def _append(self, message: Message) -> None:
        self._appending = message
        for operation in _requested(message):
            self.disk.write(operation)
        if message.entries or message.snapshot is not None or message.responses:
            self._sync()
        if message.snapshot is not None:
            self._install(message.snapshot)


def _operations(
    snapshot: Snapshot | None, entries: tuple[Entry, ...], hard_state: HardState | None
) -> list[Operation]:
    """Return the writes of one batch, in their order."""
    operations: list[Operation] = []
    if snapshot is not None:
        operations.append(Replacement(snapshot, entries) if entries else snapshot)
    elif entries:
        operations.append(entries)
    if hard_state is not None:
        operations.append(hard_state)
    return operations


def _requested(message: Message) -> list[Operation]:
    state = HardState(message.term, message.vote, message.commit) if message.term else None
    return _operations(message.snapshot, message.entries, state)
