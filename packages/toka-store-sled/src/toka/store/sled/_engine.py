"""The seam between the store and the ordered key-value engine below it.

The store needs little of an engine: atomic batches that are on disk when the call returns, frozen
views, ranges in both directions, and a word when stored bytes are not what was written. LevelDB
(`_leveldb`) serves where plyvel has a wheel, RocksDB (`_rocksdb`) everywhere else. The keys and
values are the same, the files are not: a folder belongs to the engine that made it.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EngineName: TypeAlias = Literal["leveldb", "rocksdb"]

MODULES: Final[dict[EngineName, str]] = {"leveldb": "plyvel", "rocksdb": "rocksdict"}
"""The engines, the preferred one first, and the module that each needs."""

WRITE_BUFFER: Final = 8 * 1024 * 1024
"""Bytes of recent writes in memory; a reopened store replays at most about so much of its log."""

BLOOM_BITS: Final = 10

FIRST: Final = b"a"
"""Before all keys of a store."""

LAST: Final = b"~"
"""After them."""

CACHE: Final = 16 * 1024 * 1024


class EngineError(Exception):
    """An engine could not read or write; only this package sees it."""


class EngineDamaged(EngineError):
    """An engine found bytes that are not what it wrote, or missed a file."""


class Batch(Protocol):
    """Changes that are written together or not at all."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove a key."""
        ...


class View(Protocol):
    """The contents of an engine at one moment; of one thread, and to be closed."""

    def get(self, key: bytes) -> bytes | None:
        """Return a value, its checksum verified, or None.

        Raises:
            EngineError: It cannot be read.
        """
        ...

    def scan(
        self, start: bytes, stop: bytes, *, backward: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys from `start` to before `stop` with their values, checksums verified.

        Raises:
            EngineError: They cannot be read.
        """
        ...

    def close(self) -> None:
        """Let the engine forget the moment."""
        ...


class Engine(Protocol):
    """An open engine; its methods may be called from any thread."""

    @property
    def name(self) -> EngineName:
        """Return which engine this is."""
        ...

    def batch(self) -> Batch:
        """Return an empty batch for `write`."""
        ...

    def write(self, batch: Batch) -> None:
        """Apply a batch; in an engine opened with `sync`, it is on disk when this returns.

        Raises:
            EngineError: It cannot be written; what is on disk then, only a new open can tell.
        """
        ...

    def view(self) -> View:
        """Return the contents as they are now."""
        ...

    def compact(self) -> None:
        """Write what is in memory to sorted files and give back the room of what was removed.

        Raises:
            EngineError: It cannot be done.
        """
        ...

    def close(self) -> None:
        """Close the files when `compact` is done with them; doing so again does nothing."""
        ...


def installed(name: EngineName) -> bool:
    """Say whether the module that an engine needs can be imported."""
    return importlib.util.find_spec(MODULES[name]) is not None


def preferred() -> EngineName | None:
    """Return the engine for a new store, or None where there is none."""
    return next((name for name in MODULES if installed(name)), None)


def open_engine(
    name: EngineName, folder: Path, *, create: bool, sync: bool = True, paranoid: bool = True
) -> Engine:
    """Open the files of an engine.

    Args:
        name: Which engine.
        folder: Where its files are.
        create: Make them if there are none.
        sync: Wait for the disk in each write; otherwise `compact` makes what was written durable.
        paranoid: Refuse to open where any byte of the engine's log or index is not as written;
            otherwise leave out what cannot be read.

    Raises:
        EngineDamaged: The files are not as they were written.
        EngineError: They cannot be opened.
    """
    if name == "leveldb":
        from toka.store.sled._leveldb import LevelDB  # noqa: PLC0415 - only the engine in use

        return LevelDB(folder, create=create, sync=sync, paranoid=paranoid)
    from toka.store.sled._rocksdb import RocksDB  # noqa: PLC0415 - only the engine in use

    return RocksDB(folder, create=create, sync=sync, paranoid=paranoid)


def salvage(name: EngineName, folder: Path) -> None:
    """Have an engine put together again what it can read of its files, without a word on the rest.

    Raises:
        EngineError: It cannot be done.
    """
    if name == "leveldb":
        from toka.store.sled._leveldb import repair  # noqa: PLC0415 - only the engine in use
    else:
        from toka.store.sled._rocksdb import repair  # noqa: PLC0415 - only the engine in use
    repair(folder)
