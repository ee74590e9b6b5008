"""Clients of the simulated group: one operation at a time, tried until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core.simulation._invariants import broken
from raft_core.simulation._linearizability import Operation
from raft_core.simulation._profile import TICK
from raft_core.simulation._store import Answer, Command, Kind, encode_command
from raft_core.simulation._violation import Invariant

if TYPE_CHECKING:
    from raft_core.simulation._host import Host
    from raft_core.simulation._simulation import Simulation

_KINDS = (Kind.GET, Kind.GET, Kind.PUT, Kind.PUT, Kind.SWAP)


class Client:
    """Somebody with a session, who goes from host to host until there is an answer."""

    def __init__(self, run: Simulation, client_id: int) -> None:
        self.id = client_id
        self.answered = 0
        """How many operations came to an end."""
        self._run = run
        self._dice = run.client_dice
        self._serial = 0
        self._attempts = 0
        self._operation: Operation | None = None
        self._context = b""
        self._known: dict[int, int] = {}
        self._think = self._dice.pick((TICK // 5, TICK, 3 * TICK))

    @property
    def idle(self) -> bool:
        """Say whether nothing is asked for."""
        return self._operation is None

    def act(self, attempt: int) -> None:
        """Begin something, or try again what was not answered in time."""
        if attempt != self._attempts:
            return  # it was answered
        if self._operation is not None:
            self._attempt(self._operation)
        elif not self._run.closing:
            self.begin(self._dice.pick(_KINDS), 1 + self._dice.below(self._run.profile.keys))

    def begin(self, kind: Kind, key: int) -> None:
        """Ask for something."""
        self._serial += 1
        operation = Operation(
            client=self.id,
            kind=kind,
            key=key,
            value=0 if kind is Kind.GET else self._run.stamp(),
            expected=self._known.get(key, 0) if kind is Kind.SWAP else 0,
            invoked=self._run.stamp(),
        )
        self._operation = operation
        self._run.operations.append(operation)
        self._attempt(operation)

    def _attempt(self, operation: Operation) -> None:
        self._attempts += 1
        self._run.at(TICK * (1 + self._dice.below(8)), self.act, self._attempts)
        host = self._run.choose_host(self._dice)
        if host is None:
            return
        if operation.kind is Kind.GET:
            self._context = b"%d.%d" % (self.id, self._attempts)
            host.read(self, self._context)
            return
        command = Command(
            self.id,
            self._serial,
            operation.kind,
            operation.key,
            operation.value,
            operation.expected,
        )
        host.submit(self, self._serial, encode_command(command))

    def written(self, _host: Host, answer: Answer) -> None:
        """Take the answer to a write, unless it gets lost on the way."""
        operation = self._operation
        if operation is None or answer.serial != self._serial or self._lost():
            return
        operation.position = answer.index
        operation.done = answer.done
        if answer.done:
            self._known[operation.key] = operation.value
        self._end(operation)

    def has_read(self, host: Host, context: bytes, index: int, frontier: int) -> None:
        """Take what a read is to see; all that was committed when it was asked must be in it."""
        if index < frontier:
            raise broken(
                Invariant.LINEARIZABLE,
                f"host {host.id} may read at {index}, {frontier} was committed before it was asked",
            )
        operation = self._operation
        if operation is None or context != self._context or self._lost():
            return
        operation.position = host.store.applied
        operation.value = self._known[operation.key] = host.store.table.get(operation.key, 0)
        self._end(operation)

    def _lost(self) -> bool:
        return not self._run.closing and self._dice.chance(self._run.profile.loss)

    def _end(self, operation: Operation) -> None:
        operation.returned = self._run.stamp()
        self._operation = None
        self._context = b""
        self.answered += 1
        self._attempts += 1
        self._run.at(1 + self._dice.below(self._think), self.act, self._attempts)
