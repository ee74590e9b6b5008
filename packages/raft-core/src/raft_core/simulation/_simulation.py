"""One run: hosts, network, disks, clocks and clients in one thread, from one profile.

Time is a number that jumps from event to event. Everything that happens is an event in one queue,
in an order that the seed determines; a hash of what each step led to names the run.
"""

from __future__ import annotations

from hashlib import blake2b
from heapq import heappop, heappush
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeVar

from raft_core._messages import Message, MessageType
from raft_core._states import ConfState, HardState, Snapshot
from raft_core._wire import decode_message, encode_message
from raft_core.simulation._clients import Client
from raft_core.simulation._coverage import Coverage
from raft_core.simulation._dice import Dice
from raft_core.simulation._faults import Faults
from raft_core.simulation._healing import heal
from raft_core.simulation._host import Host, PowerCut
from raft_core.simulation._invariants import BOOTSTRAP, Invariants
from raft_core.simulation._network import Network
from raft_core.simulation._profile import TICK
from raft_core.simulation._store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from raft_core.simulation._linearizability import Operation
    from raft_core.simulation._profile import Profile

    T = TypeVar("T")

_moment = Struct("<QBQQQQB")

_PROMISES: Final = frozenset({MessageType.VOTE_RESP, MessageType.APP_RESP})


class Simulation:
    """A run of a group under a profile's faults."""

    def __init__(self, profile: Profile, narrate: Callable[[str], None] | None = None) -> None:
        self.profile = profile
        self.now = 0
        self.steps = 0
        self.closing = False
        """Faults are over, and clients begin nothing new."""
        self.host_dice = Dice(profile.seed, 1)
        self.client_dice = Dice(profile.seed, 2)
        self.network = Network(profile, Dice(profile.seed, 3))
        self.coverage = Coverage()
        self.operations: list[Operation] = []
        self.laziness = profile.lazy
        self.disk_delay = profile.disk_delay
        self.disk_failures = profile.disk_failures
        self.hosts = {host_id: Host(self, host_id) for host_id in profile.hosts}
        self.invariants = Invariants(self.hosts, profile.site_of)
        self.clients = [Client(self, number) for number in range(1, profile.clients + 1)]
        # The argument of an event belongs to its action; `at` sees to that.
        self._queue: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._sequence = 0
        self._stamp = 0
        self._moments: list[bytes] = []
        self._narrate = narrate
        self._dice = Dice(profile.seed, 4)
        self._faults = Faults(self, Dice(profile.seed, 5))

    # Running

    def run(self) -> None:
        """Let everything happen, then heal and see what is left.

        Raises:
            InvariantViolationError: A promise was broken.

        """
        self._found()
        for host in self.hosts.values():
            host.start()
        for client in self.clients:
            self.at(self._dice.below(10 * TICK), client.act, 0)
        self.at(5 * TICK, self._faults.disturb, None)
        for _ in range(self.profile.steps):
            self.advance()
        heal(self)

    def _found(self) -> None:
        voters = tuple(range(1, self.profile.nodes + 1))
        learners = tuple(range(len(voters) + 1, len(voters) + self.profile.learners + 1))
        store = Store()
        store.applied = BOOTSTRAP
        witnesses = tuple(self.profile.witness_hosts)
        conf = ConfState(voters=voters, learners=learners, witnesses=witnesses)
        for host_id in (*voters, *learners):
            disk = self.hosts[host_id].disk
            disk.write(Snapshot(BOOTSTRAP, 1, conf, store.encode()))
            disk.write(HardState(1, 0, BOOTSTRAP))
            disk.sync()

    def advance(self) -> None:
        """Let the next event happen."""
        self.now, _, action, argument = heappop(self._queue)
        try:
            action(argument)
        except PowerCut as cut:
            self._faults.crash(cut.host)

    def at(self, delay: int, action: Callable[[T], None], argument: T) -> None:
        """Let something happen after a time."""
        self._sequence += 1
        heappush(self._queue, (self.now + delay, self._sequence, action, argument))

    def restart(self, host: Host) -> None:
        """Give a host its power back."""
        host.start()

    # What a run notes

    def step(self, host: Host) -> None:
        """Check a host after a step, and note what the step led to."""
        self.invariants.check(host)
        self.steps += 1
        raft = host.node.raft
        self._moments.append(
            _moment.pack(
                self.now,
                host.id,
                raft.term,
                raft.vote,
                raft.log.committed,
                raft.log.last_index(),
                raft.role,
            )
        )
        if self._narrate is not None:
            self._narrate(
                f"{self.now:>7} host {host.id} {raft.role.name.lower()} of {raft.lead} in "
                f"{raft.term}, vote {raft.vote}, applied {host.store.applied}, committed "
                f"{raft.log.committed} of {raft.log.last_index()}"
            )

    def count(self, event: str) -> None:
        """Count an event for the coverage."""
        self.coverage.count(event)
        if self._narrate is not None:
            self._narrate(f"{self.now:>7} {event}")

    def stamp(self) -> int:
        """Return a moment in the order of what clients see."""
        self._stamp += 1
        return self._stamp

    def trace_hash(self) -> str:
        """Return the name of all that happened."""
        return blake2b(b"".join(self._moments), digest_size=16).hexdigest()

    # The network

    def send(self, host: Host, message: Message) -> None:
        """Send a message; it may never arrive, or twice."""
        if message.type in _PROMISES and not message.reject:
            self.invariants.check_reply(host, message)
        if self.profile.wire:
            seed = self.profile.seed
            message = decode_message(encode_message(message, cluster=seed), cluster=seed)
        delays = self.network.delays()
        for delay in delays:
            self.at(delay, self._deliver, message)
        if message.type is MessageType.SNAP and self._dice.below(2):
            self.at(TICK + self._dice.below(4 * TICK), self._report, (message, bool(delays)))

    def _deliver(self, message: Message) -> None:
        host = self.hosts.get(message.to)
        if host is None or not host.up:
            return
        if self.network.is_cut(message.sender, message.to, self.now):
            sender = self.hosts[message.sender]
            if sender.up and not self._dice.below(8):
                sender.node.report_unreachable(message.to)
                sender.after()
            return
        if self._narrate is not None:
            self._narrate(f"{self.now:>7} {message}")
        host.receive(message)

    def _report(self, outcome: tuple[Message, bool]) -> None:
        message, success = outcome
        sender = self.hosts[message.sender]
        if sender.up:
            sender.node.report_snapshot(message.to, success=success)
            sender.after()

    def choose_host(self, dice: Dice) -> Host | None:
        """Return a host for a client to turn to: one that leads, more often than not."""
        if dice.below(3):
            leaders = [host for host in self.hosts.values() if host.leads]
            if leaders:
                return dice.pick(leaders)
        host = self.hosts[dice.pick(self.profile.hosts)]
        return host if host.up else None
