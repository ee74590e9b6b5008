"""Time that all replicas agree on (dissertation section 6.3).

Replicas must not read their own clocks: they would decide differently. So the leader stamps what
it proposes, and the stamp is part of the entry. Three rules make that time safe to end sessions
and leases by:

- It never falls, whoever stamps.
- It runs as fast as the *ticks of a leader* and stands still while nobody leads: a new leader
  starts from the log's own time. A wrong clock, or an hour without a leader, ends nothing.
- A stamp counts only in an entry of the term it was made for. A leader that was stuck, was deposed
  and then wakes up still passes its proposals on to the new leader, but moves no time by them.

So time may be late and is never early: what ends by it ends late.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from raft_core._entries import EntryType
from raft_core._errors import MalformedCommandError, MalformedSnapshotError
from raft_core._layers._machine import Command, StateMachine

if TYPE_CHECKING:
    from raft_core._entries import Entry

Result = TypeVar("Result")

_stamp = Struct(">QQ")
_time = Struct(">Q")


@attrs.define
class LeaderClock:
    """What a leader stamps its proposals with.

    Make one whenever the node becomes leader, from its term and the `LogClock.time` of its own
    replica, and call `tick` whenever the node's `tick` is called. A proposer that does not lead
    uses one that was never made for any term, `LeaderClock()`: its stamps move no time.
    """

    term: int = 0
    time: int = 0

    def tick(self, amount: int = 1) -> None:
        """Let time pass, in whatever unit all nodes of the group have agreed on."""
        self.time += amount

    def stamp(self, command: bytes = b"") -> bytes:
        """Return the data to propose for a command; for none, what only lets time pass."""
        return _stamp.pack(self.term, self.time) + command


@attrs.define
class LogClock(Generic[Result]):
    """The outermost layer: it reads the stamps and tells the time to what it wraps."""

    machine: StateMachine[Result]
    time: int = attrs.field(default=0, init=False)
    """The latest time that a leader of its own term has put into the log."""

    def apply(self, entry: Entry) -> Result | None:
        """Apply a committed entry; return its result, or nothing if it holds no command.

        Raises:
            MalformedCommandError: The entry bears no stamp. Every replica raises this and none has
                changed: the caller tells the proposer and goes on with the next entry.

        """
        if entry.type is not EntryType.NORMAL or not entry.data:
            return None
        if len(entry.data) < _stamp.size:
            raise MalformedCommandError(f"entry {entry.index} bears no stamp of a leader's clock")
        term, time = _stamp.unpack_from(entry.data)
        if term == entry.term and time > self.time:
            self.time = time
        data = entry.data[_stamp.size :]
        if not data:
            return None
        return self.machine.apply(Command(entry.index, entry.term, self.time, data))

    def snapshot(self) -> bytes:
        """Return the whole state, for a Raft snapshot at the entry applied last."""
        return _time.pack(self.time) + self.machine.snapshot()

    def restore(self, data: bytes) -> None:
        """Take over the state that a Raft snapshot holds; empty bytes: that before everything.

        Raises:
            MalformedSnapshotError: The bytes are no such state. The own one stays.

        """
        if data and len(data) < _time.size:
            raise MalformedSnapshotError("too few bytes for the log's time")
        self.machine.restore(data[_time.size :])
        self.time = _time.unpack_from(data)[0] if data else 0
