"""What a disk holds after the power failed: one of the states that its records allow.

What is synchronised is there. Of everything else, any part may be there or not:

- contents by sectors of 512 bytes, in any selection (a later write to one may be there without an
  earlier one to another), or in order up to a byte in the middle of a write;
- the length of a file without its contents: what is missing then reads as zeros, or as the garbage
  that was in those blocks before;
- names: creating, renaming and removing. On the usual file systems (ext4, XFS, btrfs) these survive
  in their order, and `fsync` of any file makes all that came before durable. POSIX promises
  less, that only `fsync` of the folder does, each folder for itself; `strict` is that disk.

SIGKILL is the case where all is there up to one record, for the page cache survives it.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from random import Random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from toka.store.core.testing._record import (
    Create,
    MakeFolder,
    Mark,
    Remove,
    RemoveFolder,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toka.store.core.testing._record import AnyRecord, Content, Naming

SECTOR: Final = 512

Fate: TypeAlias = Literal["kept", "lost", "torn"]
"""Of what is not synchronised: all there, nothing there, or as the seed says."""

_HIDDEN: Final = ".fuse_hidden"  # the name of a file that was removed while it was open


@attrs.frozen
class DiskImage:
    """What a disk holds."""

    files: dict[str, bytes] = attrs.field(repr=lambda files: f"<{len(files)} files>")
    """By path, relative and with slashes."""
    folders: frozenset[str] = frozenset()

    def write_to(self, folder: Path) -> Path:
        """Write all files into a folder, which is made, and return it.

        Raises:
            OSError: There is something already, or it cannot be written.
        """
        folder.mkdir(parents=True)
        for name in sorted(self.folders):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder


@attrs.frozen
class Recording:
    """Everything that happened on a disk, from its first record on."""

    records: Sequence[AnyRecord] = attrs.field(repr=lambda records: f"<{len(records)} records>")

    def marks(self, before: int | None = None) -> list[str]:
        """Return what programs had said before a record, by default at the end."""
        return [each.text for each in self.records[:before] if isinstance(each, Mark)]

    def index(self, mark: str) -> int:
        """Return the number of the first record of a mark.

        Raises:
            ValueError: There is no such mark.
        """
        for number, record in enumerate(self.records):
            if isinstance(record, Mark) and record.text == mark:
                return number
        raise ValueError(f"There is no mark {mark!r}.")

    def names(self, at: int) -> dict[int, str]:
        """Return the path of each file as programs saw it before a record; one of several."""
        paths, _ = _Cut(self.records[:at], "kept", Random(0), strict=False).names()  # noqa: S311
        return {file: path for path, file in paths.items()}

    def cut(
        self, at: int, fate: Fate = "torn", *, seed: int = 0, strict: bool = False
    ) -> DiskImage:
        """Return what the disk holds if the power fails.

        Args:
            at: The number of the first record that did not happen, from 0 to all of them.
            fate: Of what is not synchronised by then.
            seed: Decides what is left; one seed gives one image, byte for byte.
            strict: Let only the `fsync` of a folder keep its names.
        """
        return _Cut(self.records[:at], fate, Random(seed), strict).image()  # noqa: S311 - a test

    def kill(self, at: int, torn: int | None = None) -> DiskImage:
        """Return what the disk holds after the death of the process: all that it wrote.

        Args:
            at: The number of the first record that did not happen.
            torn: If that record is a write, this many of its bytes happened all the same.
        """
        done = list(self.records[:at])
        if torn is not None:
            last = self.records[at]
            if isinstance(last, Write):
                done.append(Write(last.file, last.offset, last.data[:torn]))
        return _Cut(done, "kept", Random(0), strict=False).image()  # noqa: S311 - unused here


class _Cut:
    """One power cut in the making."""

    def __init__(
        self, records: Sequence[AnyRecord], fate: Fate, chance: Random, strict: bool
    ) -> None:
        self._records = records
        self._fate = fate
        self._chance = chance
        self._strict = strict

    def image(self) -> DiskImage:
        names, folders = self.names()
        contents = self._contents(set(names.values()))
        files = {path: bytes(contents.get(file, b"")) for path, file in names.items()}
        return DiskImage(files, frozenset(folders))

    # ---- names

    def names(self) -> tuple[dict[str, int], set[str]]:
        happened = [
            (record, safe) for record, safe in self._namings() if safe or self._fate != "lost"
        ]
        if self._fate == "torn":
            happened = self._torn_names(happened)
        names: dict[str, int] = {}
        folders: set[str] = set()
        for record, _ in happened:
            _apply_name(record, names, folders)
        hidden = [path for path in names if PurePosixPath(path).name.startswith(_HIDDEN)]
        for path in hidden:
            del names[path]
        return names, folders

    def _namings(self) -> list[tuple[Naming, bool]]:
        """Return every change of a name, and whether it was synchronised."""
        safe: list[tuple[Naming, bool]] = []
        for record in self._records:
            if isinstance(record, Create | Remove | Rename | MakeFolder | RemoveFolder):
                safe.append((record, False))
            elif isinstance(record, SyncFolder) and self._strict:
                safe = [(each, done or record.path in _folders_of(each)) for each, done in safe]
            elif isinstance(record, SyncFolder) or (isinstance(record, Sync) and not self._strict):
                safe = [(each, True) for each, _ in safe]
        return safe

    def _torn_names(self, happened: list[tuple[Naming, bool]]) -> list[tuple[Naming, bool]]:
        if self._strict:
            return [each for each in happened if each[1] or self._chance.getrandbits(1)]
        synchronised = sum(safe for _, safe in happened)
        return happened[: self._chance.randint(synchronised, len(happened))]

    # ---- contents

    def _contents(self, alive: set[int]) -> dict[int, bytearray]:
        synchronised: dict[int, int] = {}
        for number, record in enumerate(self._records):
            if isinstance(record, Sync):
                synchronised[record.file] = number
        contents: dict[int, bytearray] = {file: bytearray() for file in alive}
        pending: list[Content] = []
        for number, record in enumerate(self._records):
            if not isinstance(record, Write | Truncate) or record.file not in alive:
                continue
            if self._fate == "kept" or number < synchronised.get(record.file, -1):
                _apply(record, contents[record.file])
            else:
                pending.append(record)
        if self._fate == "torn":
            self._tear(pending, contents)
        return contents

    def _tear(self, pending: list[Content], contents: dict[int, bytearray]) -> None:
        style = self._chance.randrange(4)
        if style == 0:
            self._keep_beginning(pending, contents)
            return
        likely = self._chance.choice((0.1, 0.5, 0.9))
        for record in pending:
            self._keep_sectors(record, contents[record.file], likely)
        if style > 1:  # the lengths reached the disk, and not all that is in them
            for record in pending:
                if isinstance(record, Write):
                    data, end = contents[record.file], record.offset + len(record.data)
                    data.extend(self._filling(end - len(data), garbage=style == 3))  # noqa: PLR2004

    def _keep_beginning(self, pending: list[Content], contents: dict[int, bytearray]) -> None:
        """Keep what came first, up to a byte in the middle of a write."""
        count = self._chance.randint(0, len(pending))
        for record in pending[:count]:
            _apply(record, contents[record.file])
        last = pending[count] if count < len(pending) else None
        if isinstance(last, Write):
            part = last.data[: self._chance.randint(0, len(last.data))]
            _apply(Write(last.file, last.offset, part), contents[last.file])

    def _keep_sectors(self, record: Content, data: bytearray, likely: float) -> None:
        if isinstance(record, Truncate):
            if self._chance.random() < likely:
                _apply(record, data)
            return
        start, end = record.offset, record.offset + len(record.data)
        while start < end:
            border = min(end, (start // SECTOR + 1) * SECTOR)
            if self._chance.random() < likely:
                part = record.data[start - record.offset : border - record.offset]
                _apply(Write(record.file, start, part), data)
            start = border

    def _filling(self, size: int, *, garbage: bool) -> bytes:
        if size <= 0:
            return b""
        return self._chance.randbytes(size) if garbage else bytes(size)


def _apply(record: Content, data: bytearray) -> None:
    if isinstance(record, Truncate):
        del data[record.size :]
        data.extend(bytes(record.size - len(data)))
        return
    if record.data:
        data.extend(bytes(max(0, record.offset - len(data))))
        data[record.offset : record.offset + len(record.data)] = record.data


def _apply_name(record: Naming, names: dict[str, int], folders: set[str]) -> None:
    if isinstance(record, Create):
        names[record.path] = record.file
    elif isinstance(record, Remove):
        names.pop(record.path, None)
    elif isinstance(record, MakeFolder):
        folders.add(record.path)
    elif isinstance(record, RemoveFolder):
        folders.discard(record.path)
    elif record.file is not None:
        names.pop(record.path, None)
        names[record.target] = record.file
    else:
        _rename_folder(record, names, folders)


def _rename_folder(record: Rename, names: dict[str, int], folders: set[str]) -> None:
    inside = f"{record.path}/"
    for path in [path for path in names if path.startswith(inside)]:
        names[record.target + path[len(record.path) :]] = names.pop(path)
    for path in [path for path in folders if path == record.path or path.startswith(inside)]:
        folders.discard(path)
        folders.add(record.target + path[len(record.path) :])


def _folders_of(record: Naming) -> set[str]:
    paths = (record.path, record.target) if isinstance(record, Rename) else (record.path,)
    return {"" if (parent := str(PurePosixPath(each).parent)) == "." else parent for each in paths}
