"""The application: a table of values and lists. It knows nothing of logs, sessions or disks."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from raft_core import MalformedSnapshotError, StateMachine

if TYPE_CHECKING:
    from raft_core import Command


class Machine(StateMachine[bytes], Protocol):
    """What is replicated: a state machine that can also be asked."""

    def query(self, question: bytes) -> bytes:
        """Answer without changing anything."""
        ...


class Operation(IntEnum):
    """What a write does."""

    PUT = 1
    APPEND = 2
    """Append to a list; the answer is its length."""
    COMPARE_AND_SET = 3
    """Put if the value is the expected one; the answer says whether it was."""


class Write(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A write, as it stands in the log."""

    operation: Operation
    key: str
    value: bytes
    expected: bytes = b""


class Result(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The answer to a write."""

    value: int = 0
    error: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode_write = msgspec.msgpack.Decoder(Write).decode
_decode_table = msgspec.msgpack.Decoder(dict[str, bytes | list[bytes]]).decode
_DONE = _encode(Result())


class Table:
    """A `Machine` of values and lists by key."""

    def __init__(self) -> None:
        self._table: dict[str, bytes | list[bytes]] = {}

    def apply(self, command: Command) -> bytes:
        """Do a write; what makes no sense is answered, the same on every node."""
        try:
            write = _decode_write(command.data)
        except (msgspec.MsgspecError, ValueError) as error:
            return _encode(Result(error=f"no write: {error}"))
        if write.operation is Operation.PUT:
            self._table[write.key] = write.value
            return _DONE
        if write.operation is Operation.COMPARE_AND_SET:
            swaps = self._table.get(write.key, b"") == write.expected
            if swaps:
                self._table[write.key] = write.value
            return _encode(Result(int(swaps)))
        items = self._table.setdefault(write.key, [])
        if not isinstance(items, list):
            return _encode(Result(error=f"{write.key} is no list"))
        items.append(write.value)
        return _encode(Result(len(items)))

    def query(self, question: bytes) -> bytes:
        """Return the value of a key as MessagePack: bytes, a list, or nothing."""
        return _encode(self._table.get(question.decode(errors="replace")))

    def snapshot(self) -> bytes:
        """Return the table; keys stand in the order they came in, on every node alike."""
        return _encode(self._table)

    def restore(self, data: bytes) -> None:
        """Take over a table."""
        try:
            self._table = _decode_table(data) if data else {}
        except (msgspec.MsgspecError, ValueError) as error:
            raise MalformedSnapshotError(f"no table: {error}") from error
