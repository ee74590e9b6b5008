"""Leases that are entries of the log, with fencing tokens.

A lease is granted, renewed, released and ended by the order of the log and by the time in it, so
all replicas agree at every entry on who holds it; no leader decides by its own clock. That leaves
the holder, who may be slow and not know that its time is over. So each grant has a token, the index
of its entry, and what is done in the lease's name carries it: `fenced` commands are refused when
the token is not that of the lease, and a resource outside that remembers the greatest token it has
seen refuses smaller ones.
"""

from __future__ import annotations

import heapq
from typing import Final, Literal

import attrs
import msgspec

from raft_core._errors import MalformedSnapshotError
from raft_core._layers._lease_requests import (
    AcquireRequest,
    FencedRequest,
    LeaseReply,
    LeaseRequest,
    LeaseStatus,
    PlainRequest,
    ReleaseRequest,
    RenewRequest,
    RevokeRequest,
    decode,
    encode,
)
from raft_core._layers._machine import Command, StateMachine
from raft_core._layers._numbers import Count, Number  # noqa: TC001 - msgspec needs them


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """Who may do what its name stands for, and until when."""

    name: bytes
    holder: bytes
    token: Number
    ttl: Number
    deadline: Count
    """It has ended when the log's time reaches this."""


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: Literal[1]
    capacity: Number
    #: In the order they were granted.
    leases: list[Lease]
    machine: bytes


_LAST: Final = 2**64 - 1  # no stamp holds a later time
_SLACK: Final = 64

_decode_state: Final = msgspec.msgpack.Decoder(_State).decode


def _no_leases() -> dict[bytes, Lease]:
    return {}


def _no_ends() -> list[tuple[int, int, bytes]]:
    return []


@attrs.define
class Leases:
    """A layer that grants leases, and lets fenced commands through to a state machine.

    It needs a `LogClock` around it, directly or with `Sessions` in between: without one, no time
    passes and no lease ends by itself. `capacity` must be the same on all replicas of a new log;
    later it comes with the snapshots.
    """

    machine: StateMachine[bytes]
    capacity: int = 100_000
    _first_capacity: int = attrs.field(init=False)
    _leases: dict[bytes, Lease] = attrs.field(factory=_no_leases, init=False)
    #: One item (deadline, token, name) a lease, perhaps with a deadline from before a renewal: then
    #: it is put back when its turn comes. Those of leases given back are dropped the same way.
    _ends: list[tuple[int, int, bytes]] = attrs.field(factory=_no_ends, init=False)

    def __attrs_post_init__(self) -> None:
        """Remember what the empty state is."""
        self._first_capacity = self.capacity

    def __len__(self) -> int:
        """Return how many leases there are, by the entries applied so far."""
        return len(self._leases)

    def get(self, name: bytes, time: int) -> Lease | None:
        """Return who holds a lease at a time of the log, `LogClock.time` for now.

        It is as fresh as what this replica has applied; ask with `read_index` for more.
        """
        lease = self._leases.get(name)
        return lease if lease is not None and lease.deadline > time else None

    # The state machine

    def apply(self, command: Command) -> bytes:
        """Do what is asked if it may be done now; return a `LeaseReply` as bytes."""
        try:
            request = decode(command.data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return LeaseReply(LeaseStatus.MALFORMED).encode()
        self._end_overdue(command.time)
        return self._reply(command, request).encode()

    def _reply(self, command: Command, request: LeaseRequest) -> LeaseReply:
        if isinstance(request, PlainRequest):
            return self._pass_on(command, request.command)
        lease = self._leases.get(request.name)
        if isinstance(request, AcquireRequest):
            return _describe(LeaseStatus.HELD, lease) if lease else self._grant(command, request)
        if lease is None or lease.token != request.token:
            return LeaseReply(LeaseStatus.LOST)
        return self._in_its_name(command, request, lease)

    def _in_its_name(
        self,
        command: Command,
        request: RenewRequest | ReleaseRequest | RevokeRequest | FencedRequest,
        lease: Lease,
    ) -> LeaseReply:
        if isinstance(request, FencedRequest):
            return self._pass_on(command, request.command, lease)
        if isinstance(request, RenewRequest):
            return self._renew(lease, command.time)
        if isinstance(request, RevokeRequest) and request.term != command.term:
            return _describe(LeaseStatus.DEPOSED, lease)
        del self._leases[lease.name]
        return _describe(LeaseStatus.OK, lease)

    def _pass_on(self, command: Command, data: bytes, lease: Lease | None = None) -> LeaseReply:
        inner = Command(command.index, command.term, command.time, data)
        result = self.machine.apply(inner)
        if lease is None:
            return LeaseReply(LeaseStatus.OK, result=result)
        return LeaseReply(LeaseStatus.OK, lease.token, lease.holder, lease.deadline, result)

    def _grant(self, command: Command, request: AcquireRequest) -> LeaseReply:
        if len(self._leases) >= self.capacity:
            return LeaseReply(LeaseStatus.FULL)
        deadline = _deadline(command.time, request.ttl)
        lease = Lease(request.name, request.holder, command.index, request.ttl, deadline)
        self._leases[lease.name] = lease
        if len(self._ends) > 2 * len(self._leases) + _SLACK:
            self._ends = self._all_ends()  # else those given back long before their time pile up
        else:
            heapq.heappush(self._ends, (deadline, lease.token, lease.name))
        return _describe(LeaseStatus.OK, lease)

    def _renew(self, lease: Lease, time: int) -> LeaseReply:
        lease = msgspec.structs.replace(lease, deadline=_deadline(time, lease.ttl))
        self._leases[lease.name] = lease
        return _describe(LeaseStatus.OK, lease)

    def _end_overdue(self, time: int) -> None:
        while self._ends and self._ends[0][0] <= time:
            _, token, name = heapq.heappop(self._ends)
            lease = self._leases.get(name)
            if lease is None or lease.token != token:
                continue
            if lease.deadline <= time:
                del self._leases[name]
            else:
                heapq.heappush(self._ends, (lease.deadline, token, name))

    def _all_ends(self) -> list[tuple[int, int, bytes]]:
        return sorted((one.deadline, one.token, one.name) for one in self._leases.values())

    # Snapshots

    def snapshot(self) -> bytes:
        """Return the whole state: the leases, and what they guard."""
        return encode(
            _State(1, self.capacity, list(self._leases.values()), self.machine.snapshot())
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; empty bytes: the state before everything.

        Raises:
            MalformedSnapshotError: The bytes are no such state. The own one stays.

        """
        try:
            state = _decode_state(data) if data else _State(1, self._first_capacity, [], b"")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise MalformedSnapshotError(f"no state of leases: {error}") from error
        self.machine.restore(state.machine)
        self.capacity = state.capacity
        self._leases = {lease.name: lease for lease in state.leases}
        self._ends = self._all_ends()


def _describe(status: LeaseStatus, lease: Lease) -> LeaseReply:
    return LeaseReply(status, lease.token, lease.holder, lease.deadline)


def _deadline(time: int, ttl: int) -> int:
    return min(time + ttl, _LAST)
