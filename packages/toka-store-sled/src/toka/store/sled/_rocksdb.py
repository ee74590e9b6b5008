"""RocksDB through rocksdict, in its raw mode: bytes in, bytes out.

rocksdict raises bare `Exception` for everything that RocksDB reports, so this module, and no other,
catches that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from toka.store.sled._engine import BLOOM_BITS, CACHE, WRITE_BUFFER, EngineDamaged, EngineError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from rocksdict import Snapshot

    from toka.store.sled._engine import Batch, EngineName

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


class RocksDB:
    """An `Engine` on RocksDB."""

    def __init__(self, folder: Path, *, create: bool, sync: bool, paranoid: bool) -> None:
        self._options = WriteOptions()
        self._options.sync = sync
        with _translated():
            self._db = Rdict(str(folder), _options(create=create, paranoid=paranoid))

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
        with _translated():
            self._db.flush()
            self._db.compact_range(None, None)

    def close(self) -> None:
        with _translated():
            self._db.close()


class RocksView:
    """A `View` of RocksDB, which verifies checksums unless told otherwise."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot: Snapshot | None = snapshot

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._open()[key]  # type: ignore[no-any-return]  # bytes in raw mode
        except KeyError:
            return None
        except Exception as error:
            if str(error) == "key not found":
                return None
            raise _translate(error) from error

    def scan(
        self, start: bytes, stop: bytes, *, backward: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        options = ReadOptions()
        options.set_verify_checksums(True)
        with _translated():
            found = self._open().iter(options)
            valid, key, value = found.valid, found.key, found.value
            if backward:
                found.seek_for_prev(stop)
                step = found.prev
                if valid() and key() == stop:
                    step()
            else:
                found.seek(start)
                step = found.next
            while valid():
                name: bytes = key()
                if not start <= name < stop:
                    return
                yield name, value()
                step()
            found.status()  # what ends an iteration may be the end, or damage

    def _open(self) -> Snapshot:
        if self._snapshot is None:
            raise EngineError("RocksDB: the view is closed")
        return self._snapshot

    def close(self) -> None:
        # A snapshot holds the database open, lock included, for as long as it lives.
        self._snapshot = None


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
