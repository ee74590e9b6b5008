"""RocksDB through rocksdict, in its raw mode: bytes in, bytes out.

rocksdict raises bare `Exception` for everything that RocksDB reports, so this module, and no other,
catches that.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from toka.store.sled._engine import BLOOM_BITS, CACHE, WRITE_BUFFER, EngineDamaged, EngineError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from rocksdict import RdictIter, Snapshot

    from toka.store.sled._engine import Batch, EngineName

_FIRST_ENTRIES: Final = 8
_MOST_ENTRIES: Final = 512
_MOST_BYTES: Final = 1024 * 1024
"""What a scan takes at a time: few at first, for most scans end soon."""

_TORN_ENTRIES: Final = 64
"""Entries at the end of the list of files that may be cut off; nobody waits for so many."""

_BLOCK: Final = 32 * 1024
_RECORD_HEADER: Final = 7
_PARTS: Final = (1, 2, 3, 4)
_LAST_PARTS: Final = (1, 4)

_DAMAGE: Final = ("Corruption", "No such file", "does not exist")


@contextmanager
def _translated() -> Generator[None, None, None]:
    try:
        yield
    except Exception as error:
        raise _translate(error) from error


def _translate(error: Exception) -> EngineError:
    text = f"RocksDB: {error}"
    if any(sign in str(error) for sign in _DAMAGE):
        return EngineDamaged(text)
    return EngineError(text)


def _open(folder: Path, options: Options) -> Rdict:
    with _translated():
        return Rdict(str(folder), options)


def _open_leniently(folder: Path, options: Options) -> Rdict:
    """Open a database whose list of files ends in what a power cut left of a write.

    RocksDB waits for the list (MANIFEST) before it relies on an entry, so an end that is torn was
    relied on by nobody. Its recovery modes leave out such an end of its log, but not of its list;
    so entries are cut off here, the last first, until it can be read.
    """
    try:
        manifest = folder / (folder / "CURRENT").read_text().strip()
        ends = islice(_record_ends(manifest.read_bytes()), _TORN_ENTRIES)
    except (OSError, ValueError):  # it does not even name a file
        return _open(folder, options)
    while True:
        try:
            return _open(folder, options)
        except EngineDamaged:
            end = next(ends, None)
            if end is None:
                raise
            os.truncate(manifest, end)


def _record_ends(data: bytes) -> Iterator[int]:
    """Yield where whole records of a log file end, the last first; checksums are not looked at.

    The format is LevelDB's: blocks of 32 KiB, in them records of a checksum of 4 bytes, a length of
    2, a type of 1 (the whole, the first, a middle or the last part of an entry) and the data.
    """
    ends: list[int] = []
    place = 0
    while place + _RECORD_HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _RECORD_HEADER:
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        end = place + _RECORD_HEADER + length
        if kind not in _PARTS or end > min(len(data), place + left):
            break
        if kind in _LAST_PARTS:
            ends.append(end)
        place = end
    return reversed(ends)


class RocksDB:
    """An `Engine` on RocksDB."""

    def __init__(self, folder: Path, *, create: bool, sync: bool, paranoid: bool) -> None:
        self._closed = False
        self._merging = threading.Lock()
        self._options = WriteOptions()
        self._options.sync = sync
        open_here = _open if paranoid else _open_leniently
        self._db = open_here(folder, _options(create=create, paranoid=paranoid))

    @property
    def name(self) -> EngineName:
        return "rocksdb"

    def batch(self) -> Batch:
        return WriteBatch(raw_mode=True)

    def write(self, batch: Batch) -> None:
        with _translated():
            self._db.write(cast("WriteBatch", batch), self._options)

    def view(self) -> RocksView:
        with _translated():
            return RocksView(self._db.snapshot())

    def compact(self) -> None:
        with self._merging, _translated():
            self._db.flush()
            self._db.compact_range(None, None)

    def close(self) -> None:
        with self._merging, _translated():
            if not self._closed:
                self._closed = True
                self._db.close()


class RocksView:
    """A `View` of RocksDB, which verifies checksums unless told otherwise.

    The iterators of a rocksdict snapshot are frozen when they are made, not with the snapshot. So
    one is made with it, and all scans of the view share it, each for some entries at a time.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot: Snapshot | None = snapshot
        self._entries: RdictIter | None = snapshot.iter()

    def get(self, key: bytes) -> bytes | None:
        if self._snapshot is None:
            raise _closed()
        try:
            return self._snapshot[key]  # type: ignore[no-any-return]  # bytes in raw mode
        except KeyError:
            return None
        except Exception as error:
            if str(error) == "key not found":
                return None
            raise _translate(error) from error

    def scan(
        self, start: bytes, stop: bytes, *, backward: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        count = _FIRST_ENTRIES
        while entries := self._some(start, stop, count, backward=backward):
            yield from entries
            last = entries[-1][0]
            start, stop = (start, last) if backward else (last + b"\0", stop)
            count = min(2 * count, _MOST_ENTRIES)

    def _some(
        self, start: bytes, stop: bytes, count: int, *, backward: bool
    ) -> list[tuple[bytes, bytes]]:
        """Return the first entries of a range, fewer than `count` if they are large."""
        entries = self._entries
        if entries is None:
            raise _closed()
        found: list[tuple[bytes, bytes]] = []
        room = _MOST_BYTES
        with _translated():
            if backward:
                entries.seek_for_prev(stop)
                if entries.valid() and entries.key() == stop:
                    entries.prev()
            else:
                entries.seek(start)
            step = entries.prev if backward else entries.next
            valid, key, value = entries.valid, entries.key, entries.value
            while room > 0 and len(found) < count and valid():
                name: bytes = key()
                if not start <= name < stop:
                    return found
                data: bytes = value()
                found.append((name, data))
                room -= len(data)
                step()
            entries.status()  # what ends an iteration may be the end, or damage
        return found

    def close(self) -> None:
        # Either holds the database open, lock included, for as long as it lives.
        self._snapshot = self._entries = None


def _closed() -> EngineError:
    return EngineError("RocksDB: the view is closed")


def repair(folder: Path) -> None:
    """Put together what can be read; see `salvage`."""
    with _translated():
        Rdict.repair(str(folder), _options(create=False, paranoid=False))


def _options(*, create: bool, paranoid: bool) -> Options:
    tables = BlockBasedOptions()
    tables.set_bloom_filter(BLOOM_BITS, block_based=False)
    tables.set_block_cache(Cache(CACHE))
    options = Options(raw_mode=True)
    options.create_if_missing(create)
    options.set_paranoid_checks(paranoid)
    options.set_write_buffer_size(WRITE_BUFFER)
    options.set_block_based_table_factory(tables)
    options.set_keep_log_file_num(2)
    options.set_wal_recovery_mode(
        DBRecoveryMode.tolerate_corrupted_tail_records()
        if paranoid
        else DBRecoveryMode.point_in_time()
    )
    return options
