"""What happens on a disk, as records: the language between the file system and the power cut.

A file has a number, because names come and go. A record is written before the call that it is of
returns, so the order of records is the order in which a program saw its calls succeed; a call that
failed has no record.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Record(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The base of all records."""


class Write(Record, frozen=True, array_like=True, tag="write"):
    file: int
    offset: int
    data: bytes


class Truncate(Record, frozen=True, array_like=True, tag="truncate"):
    file: int
    size: int


class Sync(Record, frozen=True, array_like=True, tag="sync"):
    """A file was synchronised."""

    file: int


class SyncFolder(Record, frozen=True, array_like=True, tag="sync folder"):
    path: str


class Create(Record, frozen=True, array_like=True, tag="create"):
    """A file got a name; its first, or another one."""

    path: str
    file: int


class Remove(Record, frozen=True, array_like=True, tag="remove"):
    path: str


class Rename(Record, frozen=True, array_like=True, tag="rename"):
    """A file, or a folder with all in it, got another name."""

    path: str
    target: str
    file: int | None
    """None for a folder."""


class MakeFolder(Record, frozen=True, array_like=True, tag="make folder"):
    path: str


class RemoveFolder(Record, frozen=True, array_like=True, tag="remove folder"):
    path: str


class Mark(Record, frozen=True, array_like=True, tag="mark"):
    """A program said something, as that an append was acknowledged."""

    text: str


Content: TypeAlias = Write | Truncate
Naming: TypeAlias = Create | Remove | Rename | MakeFolder | RemoveFolder
AnyRecord: TypeAlias = Content | Sync | SyncFolder | Naming | Mark

_LENGTH: Final = struct.Struct(">I")
_encode: Final = msgspec.msgpack.Encoder().encode


def frame(record: AnyRecord) -> bytes:
    """Return a record as it is appended to a recording."""
    data = _encode(record)
    return _LENGTH.pack(len(data)) + data


def read_records(path: Path) -> list[AnyRecord]:
    """Return all whole records of a recording, which may still be written to.

    Raises:
        OSError: It cannot be read.
    """
    data, start = memoryview(path.read_bytes()), 0
    decode = msgspec.msgpack.Decoder(AnyRecord).decode
    records: list[AnyRecord] = []
    while start + _LENGTH.size <= len(data):
        end = start + _LENGTH.size + _LENGTH.unpack_from(data, start)[0]
        if end > len(data):
            break
        records.append(decode(data[start + _LENGTH.size : end]))
        start = end
    return records
