"""Making a store, and opening one again: the only place that mends anything."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import attrs

from raft_core import ConfState
from raft_storage._checksum import ChecksumKind, best_kind
from raft_storage._errors import (
    DamagedError,
    ExistsError,
    LockedError,
    NoSpaceError,
    NotFoundError,
    ReadOnlyError,
    WriteFailedError,
)
from raft_storage._ledger import LEDGER, Ledger
from raft_storage._log import SegmentedLog
from raft_storage._recovery import Found, Recovery, scan, segment_numbers
from raft_storage._scan import LogState
from raft_storage._segment import segment_name
from raft_storage._terms import Terms
from raft_storage._writer import Room, SegmentWriter, create_segment, is_full, new_head

if TYPE_CHECKING:
    from collections.abc import Generator

    from raft_storage._folder import Folder, Lock

_LOCK: Final = "lock"
_CUT: Final = "cut-"
#: How many copies of torn tails are kept.
_CUTS: Final = 4
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@attrs.frozen
class Settings:
    """How a store is written. What is written already stays as it is."""

    segment_size: int = attrs.field(default=64 * 2**20, validator=attrs.validators.ge(1))
    """A segment takes no more batches once it has as many bytes."""
    room: int = attrs.field(default=2**20, validator=attrs.validators.ge(0))
    """So many bytes of zeros are written ahead at once, for batches to come; 0: none."""
    checksum: ChecksumKind = attrs.field(factory=best_kind)
    """CRC32C if google-crc32c is installed, else CRC32."""


@attrs.frozen
class Opened:
    """What an open store consists of."""

    folder: Folder
    lock: Lock
    log: SegmentedLog
    conf_state: ConfState
    recovery: Recovery


def create_store(folder: Folder, settings: Settings, store_id: UUID | None) -> Opened:
    """Make a store where there is none.

    The ledger comes first and the first segment second: what has a ledger without a note, and no
    segment, was never finished, and nobody was told that it exists.
    """
    with _disk():
        folder.make()
    lock = take_lock(folder)
    try:
        with _disk():
            _refuse_existing(folder)
            ledger = Ledger.create(folder, store_id or uuid4())
            head = new_head(1, ledger.store_id, settings.checksum, 0)
            writer = create_segment(folder, head, LogState(), 0, 0, _room(settings))
            ledger.write(writer.note())
            ledger.sync()
    except BaseException:
        lock.release()
        raise
    log = SegmentedLog(
        folder, ledger, settings.checksum, _room(settings), writer, [], Terms(), LogState()
    )
    return Opened(folder, lock, log, ConfState(), Recovery(1, 0, 1, 0))


def _room(settings: Settings) -> Room:
    return Room(settings.room, settings.segment_size)


def _refuse_existing(folder: Folder) -> None:
    names = list(folder.names())
    if segment_numbers(names):
        raise ExistsError("there is a store here already")
    if LEDGER not in names:
        return
    ledger = Ledger.open(folder)
    ledger.close()
    if ledger.note is not None or ledger.unreadable:
        raise ExistsError("there is a store here already, without its log")


def open_store(folder: Folder, settings: Settings) -> Opened:
    """Open a store that is there."""
    names = list(folder.names())
    if LEDGER not in names:
        if not segment_numbers(names):
            raise NotFoundError("there is no store here; make one with create()")
        raise DamagedError("the identity of the store is missing", file=LEDGER)
    lock = take_lock(folder)
    try:
        with _disk():
            ledger = Ledger.open(folder)
            try:
                return _open_log(folder, lock, ledger, settings)
            except BaseException:
                ledger.close()
                raise
    except BaseException as error:
        if not isinstance(error, WriteFailedError):
            lock.release()
        raise


def _open_log(folder: Folder, lock: Lock, ledger: Ledger, settings: Settings) -> Opened:
    numbers = segment_numbers(list(folder.names()))
    if not numbers and ledger.note is None and not ledger.unreadable:
        raise NotFoundError("a store was begun here and not finished; call create() again")
    _settle(folder, ledger, numbers)
    found = scan(folder, ledger)
    cut = _save_tail(folder, found) if found.tail else None
    file = folder.open(found.walk.segment().name)
    if found.tail:
        file.truncate(found.walk.end)
        file.sync()
    for name in found.leftovers:
        folder.remove(name)
    writer = SegmentWriter.resume(file, found.walk, _room(settings))
    log = SegmentedLog(
        folder,
        ledger,
        settings.checksum,
        _room(settings),
        writer,
        found.sealed,
        found.terms,
        found.state,
    )
    ledger.write(writer.note())
    recovery = Recovery(
        log.state.base + 1,
        log.last_index(),
        len(log.sealed) + 1,
        found.bytes_read,
        cut,
        ledger.unreadable,
    )
    return Opened(folder, lock, log, found.conf_state, recovery)


def _settle(folder: Folder, ledger: Ledger, numbers: list[int]) -> None:
    """Judge by what is on the disk.

    The process before may have been killed between a write and its sync. Then the system has what
    the disk may never get, and a vote read from there must not be counted on. Or its sync failed,
    and the system has what the disk has not. So: sync, forget, read.
    """
    for number in numbers[-1:]:
        file = folder.open(segment_name(number))
        try:
            file.sync()
            file.forget()
        finally:
            file.close()
    ledger.sync()
    folder.sync()


def _save_tail(folder: Folder, found: Found) -> str:
    name = f"{_CUT}{found.walk.head.number:012d}-{found.walk.end:012d}"
    file = folder.open(name, create=True)
    try:
        file.write(0, found.tail)
        file.sync()
    finally:
        file.close()
    folder.sync()
    cuts = [other for other in folder.names() if other.startswith(_CUT)]
    for other in cuts[:-_CUTS]:
        folder.remove(other)
    return name


def take_lock(folder: Folder) -> Lock:
    """Let nobody else use a store.

    Raises:
        LockedError: Somebody does.

    """
    try:
        with _disk():
            return folder.lock(_LOCK)
    except BlockingIOError as error:
        raise LockedError(f"the store is in use: {error.strerror}") from error


@contextmanager
def _disk() -> Generator[None]:
    """Say what a failure of the disk means for opening."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in _READ_ONLY:
            raise ReadOnlyError(f"the folder cannot be written to: {error}") from error
        if is_full(error):
            raise NoSpaceError(f"no room to open the store: {error}") from error
        raise WriteFailedError(f"the disk failed: {error}") from error
