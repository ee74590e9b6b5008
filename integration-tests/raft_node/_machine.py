"""The application: a table of values and lists. It knows nothing of logs, sessions or disks."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from raft_core import MalformedSnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raft_core import Command

#: What a piece of a table's state has at least, but for the last one.
_PIECE: Final = 2**20


class Machine(Protocol):
    """What is replicated: a state machine that can be asked, and gives its state in pieces."""

    def apply(self, command: Command) -> bytes:
        """Change the state as a command says, the same on every node; return the answer."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Return the state as of now; the pieces are made later, one by one, in any thread."""
        ...

    def load(self, pieces: Iterable[bytes]) -> None:
        """Take over a state in place of the own one; no piece: the state before everything.

        Raises:
            MalformedSnapshotError: The pieces are no such state.

        """
        ...

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
_decode_rows = msgspec.msgpack.Decoder(list[tuple[str, bytes | list[bytes]]]).decode
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

    def pieces(self) -> Iterator[bytes]:
        """Return the table; keys stand in the order they came in, on every node alike."""
        # Values do not change, and lists only grow: a copy of the references is a copy of it all.
        rows = [
            (key, value if isinstance(value, bytes) else tuple(value))
            for key, value in self._table.items()
        ]
        return _pieces(rows)

    def load(self, pieces: Iterable[bytes]) -> None:
        """Take over a table."""
        table: dict[str, bytes | list[bytes]] = {}
        try:
            for piece in pieces:
                table.update(_decode_rows(piece))
        except (msgspec.MsgspecError, ValueError) as error:
            raise MalformedSnapshotError(f"no table: {error}") from error
        self._table = table


def _pieces(rows: list[tuple[str, bytes | tuple[bytes, ...]]]) -> Iterator[bytes]:
    some: list[tuple[str, bytes | tuple[bytes, ...]]] = []
    size = 0
    for key, value in rows:
        some.append((key, value))
        size += len(key) + (len(value) if isinstance(value, bytes) else sum(map(len, value)))
        if size >= _PIECE:
            yield _encode(some)
            some, size = [], 0
    if some:
        yield _encode(some)
