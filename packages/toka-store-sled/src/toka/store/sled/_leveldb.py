"""LevelDB through plyvel.

Its defaults would lose data without a word, so: `paranoid_checks` refuses a damaged log where the
default drops what follows in the block, and `verify_checksums` refuses a damaged block where the
default returns it. It maps up to 1,000 sorted files into memory and leaves them there, so that a
long log seems to fill it; `max_open_files` keeps that at 100 MiB.
"""

from __future__ import annotations

import importlib
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, cast

from toka.store.sled._engine import (
    BLOOM_BITS,
    CACHE,
    FIRST,
    LAST,
    WRITE_BUFFER,
    EngineDamaged,
    EngineError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from toka.store.sled._engine import Batch, EngineName

_OPEN_FILES: Final = 64
"""Of 2 MiB each, less ten for its own use. To open one again takes less than to ask a thread."""

_MISSING: Final = ("does not exist", "No such file", "missing files")


class _WriteBatch(Protocol):
    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None: ...
    def write(self) -> None: ...


class _Snapshot(Protocol):
    def get(self, key: bytes, *, verify_checksums: bool) -> bytes | None: ...
    def iterator(
        self, *, start: bytes, stop: bytes, reverse: bool, verify_checksums: bool
    ) -> Iterator[tuple[bytes, bytes]]: ...
    def close(self) -> None: ...


class _DB(Protocol):
    def write_batch(self, *, sync: bool) -> _WriteBatch: ...
    def snapshot(self) -> _Snapshot: ...
    def compact_range(self, *, start: bytes, stop: bytes) -> None: ...
    def close(self) -> None: ...


class _Plyvel(Protocol):
    """The part of plyvel that is used; it has no types of its own."""

    Error: type[Exception]
    CorruptionError: type[Exception]

    def DB(  # noqa: N802 - plyvel's name
        self,
        name: str,
        *,
        create_if_missing: bool,
        paranoid_checks: bool,
        write_buffer_size: int,
        max_open_files: int,
        bloom_filter_bits: int,
        lru_cache_size: int,
    ) -> _DB: ...
    def repair_db(self, name: str, *, paranoid_checks: bool) -> None: ...


_plyvel: Final = cast("_Plyvel", importlib.import_module("plyvel"))


@contextmanager
def _translated() -> Generator[None, None, None]:
    try:
        yield
    except (_plyvel.Error, OSError, RuntimeError) as error:
        raise _translate(error) from error


def _translate(error: Exception) -> EngineError:
    text = f"LevelDB: {error}"
    missing = any(sign in str(error) for sign in _MISSING)
    if isinstance(error, _plyvel.CorruptionError) or missing:
        return EngineDamaged(text)
    return EngineError(text)


class LevelDB:
    """An `Engine` on LevelDB."""

    def __init__(self, folder: Path, *, create: bool, sync: bool, paranoid: bool) -> None:
        self._sync = sync
        self._merging = threading.Lock()
        with _translated():
            self._db = _plyvel.DB(
                str(folder),
                create_if_missing=create,
                paranoid_checks=paranoid,
                write_buffer_size=WRITE_BUFFER,
                max_open_files=_OPEN_FILES,
                bloom_filter_bits=BLOOM_BITS,
                lru_cache_size=CACHE,
            )

    @property
    def name(self) -> EngineName:
        return "leveldb"

    def batch(self) -> Batch:
        with _translated():
            return self._db.write_batch(sync=self._sync)

    def write(self, batch: Batch) -> None:
        with _translated():
            cast("_WriteBatch", batch).write()

    def view(self) -> LevelView:
        with _translated():
            return LevelView(self._db.snapshot())

    def compact(self) -> None:
        with self._merging, _translated():
            # Without bounds plyvel asks for an empty range, and LevelDB merges nothing.
            self._db.compact_range(start=FIRST, stop=LAST)

    def close(self) -> None:
        with self._merging, _translated():
            self._db.close()


class LevelView:
    """A `View` of LevelDB."""

    def __init__(self, snapshot: _Snapshot) -> None:
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._snapshot.get(key, verify_checksums=True)
        except (_plyvel.Error, OSError, RuntimeError) as error:
            raise _translate(error) from error

    def scan(
        self, start: bytes, stop: bytes, *, backward: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        with _translated():
            yield from self._snapshot.iterator(
                start=start, stop=stop, reverse=backward, verify_checksums=True
            )

    def close(self) -> None:
        self._snapshot.close()


def repair(folder: Path) -> None:
    """Put together what can be read; see `salvage`."""
    with _translated():
        _plyvel.repair_db(str(folder), paranoid_checks=False)
