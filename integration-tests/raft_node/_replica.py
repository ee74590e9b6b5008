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
    Entry,
    EntryType,
    LeaderClock,
    LogClock,
    MalformedCommandError,
    Message,
    MessageError,
    Node,
    ProposalDroppedError,
    ReadDroppedError,
    Role,
    Sessions,
    decode_conf_change,
)

from ._frames import Status
from ._writer import make_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raft_core import Config, ReadState, SessionReply
    from raft_storage import FileStorage

    from ._machine import Machine
    from ._writer import Writer

    #: Called once, with what became of a request.
    Answer: TypeAlias = Callable[[Status, bytes], None]

_encode = msgspec.msgpack.Encoder().encode
_log = logging.getLogger("raft_node")
#: How many requests may wait; more are told to come again.
MAX_WAITING: Final = 65_536


@attrs.frozen
class Limits:
    """When a snapshot is made, and how much log is kept behind it for followers that lag."""

    snapshot_every: int = 100_000
    keep: int = 10_000


@attrs.define(eq=False)
class Replica:
    """A node, its disk and its machine.

    Whoever owns it calls `step`, `propose` and `read` as often as there is something, then `wake`;
    and `tick` at even intervals. All of them belong to one thread, that of the event loop.
    """

    id: int
    node: Node
    store: FileStorage
    log: LogClock[SessionReply]
    """The sessions of clients around the machine, and the time that they end by."""
    machine: Machine
    send: Callable[[Sequence[Message]], None]
    flush: Callable[[], None]
    """Called when answers were given, and no others follow at once."""
    fail: Callable[[BaseException], None]
    """Called when the disk failed; nothing may be done or said after that."""
    limits: Limits
    applied: int
    writer: Writer = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(init=False)
    _scheduled: bool = attrs.field(init=False, default=False)
    _proposals: list[tuple[bytes, Answer]] = attrs.field(init=False, factory=list)
    _reads: list[tuple[bytes, Answer]] = attrs.field(init=False, factory=list)
    _waiting: dict[int, tuple[int, Answer]] = attrs.field(init=False, factory=dict)
    """Who waits for the entry at an index, and the term it must have to be theirs."""
    _asked: dict[bytes, list[tuple[bytes, Answer]]] = attrs.field(init=False, factory=dict)
    """Reads whose index the leader has not confirmed, by the context that it is asked with."""
    _due: deque[tuple[int, list[tuple[bytes, Answer]]]] = attrs.field(init=False, factory=deque)
    """Reads that wait until their index is applied."""
    _read_number: int = attrs.field(init=False, default=0)
    _snapshot_index: int = attrs.field(init=False, default=0)
    _compacting: bool = attrs.field(init=False, default=False)
    _leads: bool = attrs.field(init=False, default=False)
    _clock: LeaderClock = attrs.field(init=False, factory=LeaderClock)
    leader: int = attrs.field(init=False, default=0)

    @classmethod
    def start(
        cls,
        config: Config,
        store: FileStorage,
        machine: Machine,
        send: Callable[[Sequence[Message]], None],
        flush: Callable[[], None],
        fail: Callable[[BaseException], None],
        *,
        limits: Limits,
        writer: str,
    ) -> Replica:
        """Bring a machine to where its store's snapshot is, and begin."""
        snapshot = store.snapshot()
        log = LogClock(Sessions(machine))
        log.restore(snapshot.data)
        config = attrs.evolve(config, applied=snapshot.index, async_storage_writes=True)
        node = Node(config, store)
        replica = cls(
            config.id, node, store, log, machine, send, flush, fail, limits, snapshot.index
        )
        replica._loop = asyncio.get_running_loop()
        replica._snapshot_index = snapshot.index
        replica.writer = make_writer(writer, store, replica._written, replica._is_busy)
        replica.wake()
        return replica

    # What others ask

    def step(self, message: Message) -> None:
        """Take a message from another node."""
        try:
            self.node.step(message)
        except (ProposalDroppedError, ReadDroppedError):
            pass  # whoever sent it asks again
        except MessageError as error:
            _log.warning("refused %s from %s: %s", message.type.name, message.sender, error)

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

    def read(self, query: bytes, answer: Answer) -> None:
        """Answer from the machine, with all that was acknowledged before this call."""
        if len(self._reads) >= MAX_WAITING:
            answer(Status.BUSY, b"")
            return
        self._reads.append((query, answer))

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
            self._make_snapshot()
        except Exception as error:  # noqa: BLE001 - the outermost loop: the process ends with it
            self.fail(error)
            return
        self._scheduled = False
        self.flush()

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

    def _refuse(self, requests: list[tuple[bytes, Answer]]) -> None:
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
            self.send(remote)
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
        if message.to == APPEND_THREAD:
            self.writer.write(message)
        else:
            self._apply_all(message)
            self.flush()

    def _learn_leader(self, leader: int, role: Role) -> None:
        self.leader, self._leads = leader, role is Role.LEADER
        if self._leads:
            self._clock = LeaderClock(self.node.term, self.log.time)
            return
        # What was proposed may be in the log of the next leader, or not: only the log can tell.
        waiting, self._waiting = self._waiting, {}
        for _, answer in waiting.values():
            answer(Status.UNKNOWN, b"")
        for reads in self._asked.values():
            self._refuse(reads)
        self._asked.clear()

    # The disk

    def _written(self, messages: Sequence[Message], error: BaseException | None) -> None:
        if error is not None:
            self.fail(error)
            return
        for message in messages:
            if message.snapshot is not None:
                self.log.restore(message.snapshot.data)
                self.applied = self._snapshot_index = message.snapshot.index
                self._answer_reads()
            self._deliver(message.responses)
        self.wake()

    def _deliver(self, responses: Sequence[Message]) -> None:
        remote = [response for response in responses if response.to != self.id]
        if remote:  # first, since somebody waits for it
            self.send(remote)
        for response in responses:
            if response.to == self.id:
                self.node.step(response)

    # The machine

    def _apply_all(self, message: Message) -> None:
        for entry in message.entries:
            self._apply(entry)
        self.applied = message.entries[-1].index
        self._answer_reads()
        self._deliver(message.responses)

    def _apply(self, entry: Entry) -> None:
        result = b""
        if entry.type is not EntryType.NORMAL:
            change = decode_conf_change(entry)
            if change is not None:
                self.node.apply_conf_change(change, entry.index)
        else:
            result = self._answer_to(entry)
        waits = self._waiting.pop(entry.index, None)
        if waits is not None:
            term, answer = waits
            # Another entry in its place: that of a later leader, and this one is lost for good.
            answer(*((Status.DONE, result) if term == entry.term else (Status.BUSY, b"")))

    def _answer_to(self, entry: Entry) -> bytes:
        try:
            reply = self.log.apply(entry)
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
            for query, answer in self._due.popleft()[1]:
                answer(Status.DONE, self.machine.query(query))

    def _make_snapshot(self) -> None:
        if self._compacting or self.applied - self._snapshot_index < self.limits.snapshot_every:
            return
        index, data = self.applied, self.log.snapshot()
        conf_state = self.node.status().conf_state
        oldest = max(index - self.limits.keep, 0)
        self._compacting = True

        def job() -> None:
            if index > self.store.snapshot_index:  # else the leader has sent a later one
                self.store.create_snapshot(index, conf_state, data)
            if self.store.first_index() <= oldest:
                self.store.compact(oldest)
            self._snapshot_index, self._compacting = index, False

        self.writer.run(job)
