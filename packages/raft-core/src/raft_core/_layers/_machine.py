"""What a layer is, and what it wraps."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

Result_co = TypeVar("Result_co", covariant=True)


class Command(msgspec.Struct, frozen=True, gc=False):
    """What one committed entry asks of a state machine."""

    index: int
    """The entry's: greater than that of every command before it, so good as a name or a token."""
    term: int
    time: int
    """What the log's clock shows; never falls. 0 where there is no `LogClock`."""
    data: bytes


class StateMachine(Protocol[Result_co]):
    """The application's state, or a layer around it.

    All replicas apply the same commands in the same order and must come to the same state and the
    same results: no clock, no random number, no order of a set. A command that makes no sense is
    answered, not raised: an exception would stop every replica, now and after each restart.
    """

    def apply(self, command: Command) -> Result_co:
        """Change the state as a command says; return the answer to whoever proposed it."""
        ...

    def snapshot(self) -> bytes:
        """Return the whole state; equal states give equal bytes."""
        ...

    def restore(self, data: bytes) -> None:
        """Take over a state in place of the own one; empty bytes: the state before everything.

        Raises:
            MalformedSnapshotError: The bytes are no such state. The own one stays.

        """
        ...
