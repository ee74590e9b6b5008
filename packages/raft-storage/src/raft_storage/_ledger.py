"""The file `store`: whose log this is, and how far it is known to be durable.

The identity is written once. Beside it are two slots, written in turn *after* each sync, without a
sync of their own: a note that is on disk proves that its batch was. So damage to the last batch can
be told from a torn write, which nothing inside the log could prove. A power cut may take the
newest notes away, or tear one; then there is just less proof.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING, Final
from uuid import UUID

import attrs

from raft_storage._errors import DamagedError, FormatError
from raft_storage._frames import VERSION

if TYPE_CHECKING:
    from raft_storage._folder import File, Folder

LEDGER: Final = "store"
TEMPORARY: Final = ".tmp"
_MAGIC: Final = b"raftlog\n"
_IDENTITY: Final = Struct("<8sI16s")
_SLOT: Final = Struct("<QQQQ")
_CHECKSUM: Final = Struct("<I")
#: Each part has a sector of its own, so that a torn slot takes nothing with it.
_SECTOR: Final = 4096
_SLOTS: Final = 2


@attrs.frozen(order=True)
class Note:
    """What was known to be durable when this was written."""

    batch: int
    segment: int
    end: int
    """Where the batch ends in its segment."""
    last_index: int


@attrs.define
class Ledger:
    """The open file."""

    _file: File
    store_id: UUID
    note: Note | None
    """The newest note that can be read."""
    unreadable: int = 0
    """How many slots hold neither a note nor nothing."""

    @classmethod
    def create(cls, folder: Folder, store_id: UUID) -> Ledger:
        """Write the file aside and give it its name, durably."""
        file = folder.open(LEDGER + TEMPORARY, create=True)
        try:
            identity = _with_checksum(_IDENTITY.pack(_MAGIC, VERSION, store_id.bytes))
            file.write(0, identity.ljust(_SECTOR * (1 + _SLOTS), b"\0"))
            file.sync()
            folder.rename(LEDGER + TEMPORARY, LEDGER)
            folder.sync()
        except OSError:
            file.close()
            raise
        return cls(file, store_id, None)

    @classmethod
    def open(cls, folder: Folder) -> Ledger:
        """Read the file.

        Raises:
            DamagedError: Its identity is not sound.
            FormatError: It has another format.

        """
        file = folder.open(LEDGER)
        identity = _without_checksum(file.read(0, _CHECKSUM.size + _IDENTITY.size))
        if identity is None or not identity.startswith(_MAGIC):
            file.close()
            raise DamagedError("the identity of the store is not sound", file=LEDGER)
        _, version, store_id = _IDENTITY.unpack(identity)
        if version != VERSION:
            file.close()
            raise FormatError(f"the store has format {version}; this is {VERSION}")
        size = _CHECKSUM.size + _SLOT.size
        slots = [file.read(_SECTOR * (1 + slot), size) for slot in range(_SLOTS)]
        notes = [_read_note(slot) for slot in slots]
        unreadable = sum(
            note is None and any(slot) for note, slot in zip(notes, slots, strict=True)
        )
        newest = max((note for note in notes if note is not None), default=None)
        return cls(file, UUID(bytes=store_id), newest, unreadable)

    def write(self, note: Note) -> None:
        """Note that a batch is durable."""
        slot = _SECTOR * (1 + note.batch % _SLOTS)
        fields = _SLOT.pack(note.batch, note.segment, note.end, note.last_index)
        self._file.write(slot, _with_checksum(fields))
        self.note = note

    def sync(self) -> None:
        """Make the notes durable."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _with_checksum(data: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(data)) + data


def _without_checksum(data: bytes) -> bytes | None:
    """Return the data of bytes that are as they were written."""
    if len(data) <= _CHECKSUM.size:
        return None
    body = data[_CHECKSUM.size :]
    return body if _CHECKSUM.unpack_from(data) == (zlib.crc32(body),) else None


def _read_note(slot: bytes) -> Note | None:
    body = _without_checksum(slot)
    return Note(*_SLOT.unpack(body)) if body else None
