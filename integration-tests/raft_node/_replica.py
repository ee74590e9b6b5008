"""One member of the group: raft_core's node, a store and a machine, worked by one event loop.

Everything that arrived in one turn of the loop becomes one batch: one proposal, one message to each
follower, one write, one sync. The next batch gathers while the disk works. Storage writes are
messages that carry the answers they release, so no promise can leave before its sync.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from raft_core import (
    APPEND_THREAD,
    APPLY_THREAD,
    ConfChangeError,
    Entry,
    EntryType,
    HardState,
    LeaderClock,
    MalformedCommandError,
    Message,
    MessageError,
    Node,
    ProposalDroppedError,
    ReadDroppedError,
    Role,
    decode_conf_change,
)

from ._archive import Archive
from ._changes import in_force, lags, standings, to_propose
from ._frames import Status
from ._writer import make_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from raft_core import Config, Member, ReadState, Snapshot
    from raft_storage import SnapshotWriter, StreamedStorage

    from ._archive import Limits
    from ._changes import Change
    from ._state import State
    from ._writer import Writer

    #: Called once, with what became of a request.
    Answer: TypeAlias = Callable[[Status, bytes], None]
    #: What to ask when it may be asked, and who wants to know.
    Read: TypeAlias = tuple[Callable[[], bytes], Answer]

_encode = msgspec.msgpack.Encoder().encode
_log = logging.getLogger("raft_node")
#: How many requests may wait; more are told to come again.
MAX_WAITING: Final = 65_536


@attrs.frozen
class Around:
    """What a replica calls."""

    send: Callable[[Sequence[Message]], None]
    know: Callable[[Iterable[Member]], None]
    """Called when members have changed."""
    flush: Callable[[], None]
    """Called when answers were given, and no others follow at once."""
    fail: Callable[[BaseException], None]
    """Called when the disk failed; nothing may be done or said after that."""


@attrs.define(eq=False)
class Replica:
    """A node, its disk and its machine.

    Whoever owns it calls `step`, `propose` and `read` as often as there is something, then `wake`;
    and `tick` at even intervals. All of them belong to one thread, that of the event loop.
    """

    id: int
    node: Node
    store: StreamedStorage
    _make_state: Callable[[], State]
    state: State
    around: Around
    archive: Archive
    applied: int
    writer: Writer = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(init=False)
    _scheduled: bool = attrs.field(init=False, default=False)
    _proposals: list[tuple[bytes, Answer]] = attrs.field(init=False, factory=list)
    _reads: list[Read] = attrs.field(init=False, factory=list)
    _waiting: dict[int, tuple[int, Answer]] = attrs.field(init=False, factory=dict)
    """Who waits for the entry at an index, and the term it must have to be theirs."""
    _asked: dict[bytes, list[Read]] = attrs.field(init=False, factory=dict)
    """Reads whose index the leader has not confirmed, by the context that it is asked with."""
    _due: deque[tuple[int, list[Read]]] = attrs.field(init=False, factory=deque)
    """Reads that wait until their index is applied."""
    _read_number: int = attrs.field(init=False, default=0)
    _applied_term: int = attrs.field(init=False, default=0)
    _replacing: int = attrs.field(init=False, default=0)
    """Where the snapshot ends whose state is about to take the place of this one; 0: none."""
    _unapplied: list[Message] = attrs.field(init=False, factory=list)
    """What is to be applied after that."""
    _leads: bool = attrs.field(init=False, default=False)
    _clock: LeaderClock = attrs.field(init=False, factory=LeaderClock)
    _lead: int = attrs.field(init=False, default=0)
    _leaving: list[Answer] = attrs.field(init=False, factory=list)
    """Who waits for the end of a joint configuration."""

    @classmethod
    def start(
        cls,
        config: Config,
        store: StreamedStorage,
        make_state: Callable[[], State],
        around: Around,
        *,
        limits: Limits,
        writer: str,
    ) -> Replica:
        """Bring a state to where its store's snapshot is, and begin."""
        state = make_state()
        archive = Archive(store, limits, around.fail)
        applied = archive.load(state)
        config = attrs.evolve(config, applied=applied.index, async_storage_writes=True)
        node = Node(config, store)
        replica = cls(config.id, node, store, make_state, state, around, archive, applied.index)
        replica._applied_term = applied.term
        replica._loop = asyncio.get_running_loop()
        replica.writer = make_writer(writer, store, replica._written, replica._is_busy)
        around.know(state.members)
        replica.wake()
        return replica

    @property
    def leader(self) -> int:
        """Return the number of the node that leads, as far as this one knows; 0: nobody."""
        member = self.state.members.get(self._lead)
        return member.number if member is not None else 0

    def query(self, question: bytes) -> bytes:
        """Ask the machine, as it is now; see `read`."""
        return self.state.machine.query(question)

    def standings(self) -> bytes:
        """Return who belongs to the group, as far as it is applied; see `read`."""
        return standings(self.state.members)

    # What others ask

    def step(self, message: Message) -> None:
        """Take a message from another node."""
        try:
            self.node.step(message)
        except (ProposalDroppedError, ReadDroppedError):
            pass  # whoever sent it asks again
        except MessageError as error:
            _log.warning("refused %s from %s: %s", message.type.name, message.sender, error)

    def take_snapshot(self, message: Message, draft: SnapshotWriter) -> None:
        """Take a snapshot from another node whose data is on the disk already."""
        self.archive.take(draft)
        self.step(message)
        self.wake()

    def tick(self) -> None:
        """Let one tick pass."""
        self.node.tick()
        self._clock.tick()
        self.wake()

    def propose(self, data: bytes, answer: Answer) -> None:
        """Append to the log, and answer with what the machine says to it."""
        if len(self._waiting) + len(self._proposals) >= MAX_WAITING:
            answer(Status.BUSY, b"")
            return
        self._proposals.append((data, answer))

    def read(self, question: Callable[[], bytes], answer: Answer) -> None:
        """Ask when all is applied that was acknowledged before this call."""
        if len(self._reads) >= MAX_WAITING:
            answer(Status.BUSY, b"")
            return
        self._reads.append((question, answer))

    def change(self, change: Change, answer: Answer) -> None:
        """Change who belongs to the group, unless another change is under way."""
        members = self.state.members
        if not self._leads:
            self._refuse([(None, answer)])
        elif in_force(members, change):
            answer(Status.DONE, standings(members))
        elif members.conf.is_joint or self._leaving or lags(self.node, change):
            answer(Status.BUSY, b"")
        else:
            self._propose_change(change, answer)

    # One turn

    def wake(self) -> None:
        """Do what the calls since the last time have made possible, now or at the end of the turn.

        If more than one request is under way, others may have arrived in this turn of the loop, on
        other connections, and belong to the same batch. A single one need not wait for others.
        """
        if self._scheduled:
            return
        self._scheduled = True
        if self._is_busy():
            self._loop.call_soon(self._turn)
        else:
            self._turn()

    def _is_busy(self) -> bool:
        """Say whether more than one request is under way."""
        asked = len(self._asked) + len(self._reads)
        return asked + len(self._waiting) + len(self._proposals) > 1

    def _turn(self) -> None:
        try:
            if self._proposals:
                self._propose_all()
            if self._reads:
                self._ask_all()
            while self.node.has_ready():
                self._work()
            self.archive.drop(self.writer)
            if not self._replacing:
                self.archive.make_if_due(self.state, self.applied, self._applied_term, self.writer)
        except Exception as error:  # noqa: BLE001 - the outermost loop: the process ends with it
            self.around.fail(error)
            return
        self._scheduled = False
        self.around.flush()

    def _propose_all(self) -> None:
        proposals, self._proposals = self._proposals, []
        if not self._leads:
            self._refuse(proposals)
            return
        term, index = self.node.term, self.node.last_index
        try:
            self.node.propose_batch([self._clock.stamp(data) for data, _ in proposals])
        except ProposalDroppedError:
            for _, answer in proposals:
                answer(Status.BUSY, b"")
            return
        except MessageError as error:
            for _, answer in proposals:
                answer(Status.REFUSED, str(error).encode())
            return
        for _, answer in proposals:
            index += 1
            self._waiting[index] = (term, answer)

    def _propose_change(self, change: Change, answer: Answer) -> None:
        try:
            self.node.propose_conf_change(to_propose(self.state.members, change))
        except ConfChangeError as error:
            answer(Status.REFUSED, str(error).encode())
        except ProposalDroppedError:
            answer(Status.BUSY, b"")
        else:
            self._waiting[self.node.last_index] = (self.node.term, answer)

    def _ask_all(self) -> None:
        reads, self._reads = self._reads, []
        if not self._leads:
            self._refuse(reads)
            return
        self._read_number += 1
        context = self._read_number.to_bytes(8, "big")
        try:
            self.node.read_index(context)
        except ReadDroppedError:
            for _, answer in reads:
                answer(Status.BUSY, b"")
            return
        self._asked[context] = reads

    def _refuse(self, requests: Sequence[tuple[object, Answer]]) -> None:
        leader = b"%d" % self.leader
        for _, answer in requests:
            answer(Status.NOT_LEADER, leader)

    def _work(self) -> None:
        ready = self.node.ready()
        if ready.soft_state is not None:
            self._learn_leader(ready.soft_state.lead, ready.soft_state.role)
        messages = ready.messages
        remote = [message for message in messages if message.to < APPLY_THREAD]
        if remote:  # first, so that the followers' disks work while ours does
            self.around.send(remote)
        for read in ready.read_states:
            self._take_read(read)
        # Somebody waits for what comes first: clients for a leader's answers, which rest on earlier
        # writes, and the leader for a follower's write.
        order = (APPLY_THREAD, APPEND_THREAD) if self._leads else (APPEND_THREAD, APPLY_THREAD)
        for thread in order:
            for message in messages:
                if message.to == thread:
                    self._request(message)

    def _request(self, message: Message) -> None:
        if message.to == APPLY_THREAD:
            self._apply_all(message)
            self.around.flush()
        elif message.snapshot is None:
            self.writer.write(message)
        else:
            self._install(message, message.snapshot)

    def _install(self, message: Message, snapshot: Snapshot) -> None:
        draft = self.archive.taken(snapshot)
        state = HardState(message.term, message.vote, message.commit) if message.term else None

        def job() -> None:
            self.store.save(draft, message.entries, state)
            self._loop.call_soon_threadsafe(self._written, (message,), None)

        self._replacing = snapshot.index
        self.writer.run(job)

    def _learn_leader(self, leader: int, role: Role) -> None:
        self._lead, self._leads = leader, role is Role.LEADER
        if self._leads:
            self._clock = LeaderClock(self.node.term, self.state.log.time)
            return
        # What was proposed may be in the log of the next leader, or not: only the log can tell.
        waiting, self._waiting = self._waiting, {}
        leaving, self._leaving = self._leaving, []
        for answer in (*(answer for _, answer in waiting.values()), *leaving):
            answer(Status.UNKNOWN, b"")
        for reads in self._asked.values():
            self._refuse(reads)
        self._asked.clear()

    # The disk

    def _written(self, messages: Sequence[Message], error: BaseException | None) -> None:
        if error is not None:
            self.around.fail(error)
            return
        for message in messages:
            if message.snapshot is not None:
                self.archive.replace(self._make_state(), self._replaced)
            self._deliver(message.responses)
        self.wake()

    def _deliver(self, responses: Sequence[Message]) -> None:
        remote = [response for response in responses if response.to != self.id]
        if remote:  # first, since somebody waits for it
            self.around.send(remote)
        for response in responses:
            if response.to == self.id:
                self.node.step(response)

    # The machine

    def _apply_all(self, message: Message) -> None:
        if self._replacing:
            self._unapplied.append(message)
            return
        for entry in message.entries:
            if entry.index > self.applied:  # else a snapshot came first
                self._apply(entry)
                self.applied, self._applied_term = entry.index, entry.term
        self._answer_reads()
        self._deliver(message.responses)

    def _replaced(self, state: State, snapshot: Snapshot) -> None:
        """Go on from the state of a snapshot, unless a later one is on its way."""
        if snapshot.index < self._replacing:
            return
        self.state, self._replacing = state, 0
        self.applied, self._applied_term = snapshot.index, snapshot.term
        self.around.know(state.members)
        unapplied, self._unapplied = self._unapplied, []
        for message in unapplied:
            self._apply_all(message)
        self._answer_reads()
        self.wake()

    def _apply(self, entry: Entry) -> None:
        if entry.type is not EntryType.NORMAL:
            self._apply_change(entry)
            return
        result = self._answer_to(entry)
        waits = self._waiting.pop(entry.index, None)
        if waits is not None:
            term, answer = waits
            # Another entry in its place: that of a later leader, and this one is lost for good. Or
            # an empty one: of two changes of members at once, the later is done another time.
            mine = term == entry.term and entry.data
            answer(*((Status.DONE, result) if mine else (Status.BUSY, b"")))

    def _apply_change(self, entry: Entry) -> None:
        members = self.state.members
        change = decode_conf_change(entry)
        if change is not None:
            members.apply(self.node, change, entry.index)
            self.around.know(members)
        term, answer = self._waiting.pop(entry.index, (0, None))
        if answer is not None and term != entry.term:
            answer(Status.BUSY, b"")
        elif answer is not None:  # in joint consensus it is half done
            self._leaving.append(answer)
        if not members.conf.is_joint:
            leaving, self._leaving = self._leaving, []
            for answer in leaving:
                answer(Status.DONE, standings(members))

    def _answer_to(self, entry: Entry) -> bytes:
        try:
            reply = self.state.log.apply(entry)
        except MalformedCommandError as error:  # the same on every node, and nothing has changed
            _log.warning("%s", error)
            return b""
        # Most entries were proposed to another node, or before a restart: nobody waits here.
        return _encode(reply) if reply is not None and entry.index in self._waiting else b""

    def _take_read(self, read: ReadState) -> None:
        reads = self._asked.pop(read.context, None)
        if reads is not None:
            self._due.append((read.index, reads))
            self._answer_reads()

    def _answer_reads(self) -> None:
        while self._due and self._due[0][0] <= self.applied:
            for question, answer in self._due.popleft()[1]:
                answer(Status.DONE, question())
