"""The folder of a store: what is in it, and what is checked before it is used.

================ ==================================================================
`X/store.json`   the format, and the engine that made the folder; written last
`X/head`         where the log ends, as last acknowledged (`HeadFile`)
`X/lock`         who writes (`_lock`)
`X/leveldb/`     the engine's files, or `X/rocksdb/`
`X.damaged`      what a repair found, kept
`X.repairing`    what a repair makes; only there while it does, or when it was cut short
================ ==================================================================
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.store.core import Damaged, ForeignFile, NewerFormat, OpenRefused
from toka.store.core.backend import sync_directory
from toka.store.sled._engine import MODULES, EngineName, installed, preferred

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1

_MARKER_BYTES: Final = 4_096


class _Marker(msgspec.Struct, frozen=True):
    toka: str
    format: int
    engine: str = ""


_KIND: Final = "event store"


@attrs.frozen
class Folder:
    """The paths of a store."""

    path: Path

    @property
    def marker(self) -> Path:
        return self.path / "store.json"

    @property
    def head(self) -> Path:
        return self.path / "head"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def damaged(self) -> Path:
        return self.path.with_name(f"{self.path.name}.damaged")

    @property
    def repairing(self) -> Path:
        return self.path.with_name(f"{self.path.name}.repairing")

    @property
    def torn_apart(self) -> bool:
        """Say whether a repair was cut short when it had moved the damaged folder away."""
        return not self.path.exists() and self.repairing.exists() and self.damaged.exists()

    def data(self, engine: EngineName) -> Path:
        """Return where an engine's files are."""
        return self.path / engine

    def location(self, engine: EngineName) -> str:
        """Return the address that opens the store, which says what is in it."""
        return f"sled:{self.path}?engine={engine}"

    def stored_bytes(self, engine: EngineName) -> int:
        """Return what the engine's files take."""
        total = 0
        for entry in os.scandir(self.data(engine)):
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                continue  # merged into another since
        return total


def identify(folder: Folder) -> EngineName | None:
    """Return the engine that made a store, or None where there is no store yet.

    Raises:
        ForeignFile: There is something else.
        NewerFormat: It is of a later release.
        Damaged: It was a store, and its marker is missing or cannot be read, or a repair was cut
            short.
        OSError: It cannot be read.
    """
    path = folder.path
    if path.exists() and not path.is_dir():
        raise ForeignFile(str(path), "it is a file, and a store of this kind is a folder")
    if folder.torn_apart:
        raise Damaged(
            str(path),
            f"a repair was cut short, and all it had is in {folder.damaged}",
            hint="Run `python -m toka.store.sled repair` again.",
        )
    try:
        with folder.marker.open("rb") as file:
            data = file.read(_MARKER_BYTES)
    except FileNotFoundError:
        _refuse_strangers(folder)
        return None
    return _read_marker(folder, data)


def _refuse_strangers(folder: Folder) -> None:
    """Let pass what a creation that was cut short leaves behind, and an empty folder."""
    names = {each.name for each in folder.path.iterdir()} if folder.path.exists() else set[str]()
    strangers = names - {folder.head.name, folder.lock.name, _partial(folder).name, *MODULES}
    if strangers:
        raise ForeignFile(str(folder.path), f"it holds {min(strangers)!r} and no {_NAME}")


def _read_marker(folder: Folder, data: bytes) -> EngineName:
    location = str(folder.path)
    try:
        marker = msgspec.json.decode(data, type=_Marker)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(location, f"its {_NAME} cannot be read: {error}") from error
    if marker.toka != _KIND or marker.format < 1:
        raise ForeignFile(location, f"its {_NAME} is not that of an event store")
    if marker.format > FORMAT:
        raise NewerFormat(location, marker.format, FORMAT)
    for name in MODULES:
        if marker.engine == name:
            return name
    raise Damaged(location, f"its {_NAME} names the unknown engine {marker.engine!r}")


def choose(folder: Folder, found: EngineName | None, wanted: EngineName | None) -> EngineName:
    """Return the engine to open a folder with.

    Args:
        folder: Of the store.
        found: The engine that made it, if it was made.
        wanted: The engine that the address asks for, if it does.

    Raises:
        OpenRefused: Another engine made the folder, or the engine is not installed.
    """
    if found is not None and wanted not in {None, found}:
        raise OpenRefused(
            f"{folder.path} was made by {found} and cannot be opened with {wanted}.",
            code="store.other_engine",
            hint=f"Open it without engine={wanted}; copy its events to change the engine.",
            details={"location": str(folder.path), "found": found, "wanted": wanted},
        )
    engine = found or wanted or preferred()
    if engine is None or not installed(engine):
        module = MODULES[engine or "rocksdb"]
        raise OpenRefused(
            f"{folder.path} needs the engine {engine or 'leveldb or rocksdb'}, and the module"
            f" {module} is not installed.",
            code="store.engine_missing",
            hint=f"Install {module}, or open the store where it is installed.",
            details={"location": str(folder.path), "engine": engine, "module": module},
        )
    return engine


def write_marker(folder: Folder, engine: EngineName) -> None:
    """Declare the folder a store; the last step of making one.

    Raises:
        OSError: It cannot be written.
    """
    partial = _partial(folder)
    with partial.open("wb") as file:
        file.write(msgspec.json.encode(_Marker(_KIND, FORMAT, engine)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder.marker)
    sync_directory(folder.path)
    sync_directory(folder.path.absolute().parent)


def _partial(folder: Folder) -> Path:
    return folder.marker.with_name(_NAME + ".partial")


_NAME: Final = "store.json"
