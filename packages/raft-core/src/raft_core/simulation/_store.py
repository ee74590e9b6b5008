"""The application of a run: a key-value store with sessions.

A session is a client's last command and its answer, kept in the store itself, so that a command
that arrives twice in the log is done once and answered the same both times (dissertation, 6.3).
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from raft_core._entries import Entry


class Kind(IntEnum):
    """What a client does."""

    GET = 0
    PUT = 1
    SWAP = 2
    """Compare and swap."""


class Command(msgspec.Struct, frozen=True, array_like=True):
    """A write, as it stands in the log."""

    client: int
    serial: int
    kind: Kind
    key: int
    value: int
    expected: int = 0


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What became of a write: where in the log it was done first, and whether it took effect."""

    serial: int
    index: int
    done: bool


class State(msgspec.Struct, frozen=True, array_like=True):
    """A store as a snapshot holds it."""

    applied: int
    table: tuple[tuple[int, int], ...]
    sessions: tuple[tuple[int, Answer], ...]


_encode = msgspec.msgpack.Encoder().encode
_state_decoder = msgspec.msgpack.Decoder(State)
_command_decoder = msgspec.msgpack.Decoder(Command)


def encode_command(command: Command) -> bytes:
    """Return a command as an entry's data."""
    return _encode(command)


@lru_cache(maxsize=512)
def decode_command(data: bytes) -> Command:
    """Return the command that an entry holds; every host decodes the same ones."""
    return _command_decoder.decode(data)


class Store:
    """A table of numbers by number; what is not there reads as 0."""

    __slots__ = ("applied", "sessions", "table")

    def __init__(self) -> None:
        self.applied = 0
        self.table: dict[int, int] = {}
        self.sessions: dict[int, Answer] = {}

    def apply(self, entry: Entry) -> tuple[Command, Answer] | None:
        """Apply an entry; return the answer if it was a command that somebody may wait for."""
        self.applied = entry.index
        if entry.type or not entry.data:
            return None
        command = decode_command(entry.data)
        last = self.sessions.get(command.client)
        if last is not None and last.serial >= command.serial:
            # Done already. Of a command before the last one nobody waits for the answer any more.
            return (command, last) if last.serial == command.serial else None
        answer = Answer(command.serial, entry.index, self._write(command))
        self.sessions[command.client] = answer
        return command, answer

    def _write(self, command: Command) -> bool:
        if command.kind is Kind.SWAP and self.table.get(command.key, 0) != command.expected:
            return False
        self.table[command.key] = command.value
        return True

    def state(self) -> State:
        """Return all of it, in a form that two stores can be compared by."""
        return State(
            self.applied, tuple(sorted(self.table.items())), tuple(sorted(self.sessions.items()))
        )

    def encode(self) -> bytes:
        """Return a snapshot's data."""
        return _encode(self.state())

    @classmethod
    def decode(cls, data: bytes) -> Store:
        """Return the store that a snapshot holds."""
        store = cls()
        if data:
            state = _state_decoder.decode(data)
            store.applied = state.applied
            store.table = dict(state.table)
            store.sessions = dict(state.sessions)
        return store
