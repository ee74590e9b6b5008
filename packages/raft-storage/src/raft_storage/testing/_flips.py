"""Flipping bits, to see whether a store notices.

A store of a few kilobytes, with everything in it that a store can have, is written once. Then, for
each flip, one bit of one of its files is changed, and the store is opened and read from end to
end. A flip is *silent* if something that was acknowledged comes back otherwise than it was
written, or not at all, without an error of this package.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import attrs

from raft_core import ConfState, Entry, EntryType, HardState
from raft_storage._checksum import ChecksumKind, best_kind
from raft_storage._errors import RaftStorageError
from raft_storage._files import FileStorage
from raft_storage._opening import Settings
from raft_storage.testing._disk import SimulatedDisk
from raft_storage.testing._workload import Contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLOCK: Final = 4096


@attrs.define
class FlipReport:
    """What became of the flips."""

    flips: int = 0
    refused: int = 0
    """So many times an error said that something is damaged."""
    harmless: int = 0
    """So many times everything acknowledged was there: the bit belonged to an old note."""
    silent: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    """The file and bit of each flip that was not noticed and did harm. There must be none."""


def flip_bits(count: int, *, seed: int = 0, checksum: ChecksumKind | None = None) -> FlipReport:
    """Flip so many single bits, each in a fresh copy, and report what the store made of it."""
    settings = Settings(segment_size=700, checksum=checksum or best_kind())
    files, written = _sample(settings)
    chance = Random(seed)  # noqa: S311 - it shall be repeatable
    places = [place for name in files for place in _places(name, files[name])]
    weights = [size for _, _, size in places]
    report = FlipReport()
    for name, start, size in chance.choices(places, weights, k=count):
        bit = start + chance.randrange(size)
        report.flips += 1
        found = _read_flipped(files, name, bit, settings)
        if found is None:
            report.refused += 1
        elif found == written:
            report.harmless += 1
        else:
            report.silent.append((name, bit))
    return report


def _places(name: str, content: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the stretches of bits that mean something, and a few of the zeros after each."""
    for start in range(0, len(content), _BLOCK):
        used = len(content[start : start + _BLOCK].rstrip(b"\0"))
        yield name, start * 8, min(used + 8, len(content) - start) * 8


def _read_flipped(
    files: Mapping[str, bytes], name: str, bit: int, settings: Settings
) -> Contents | None:
    disk = SimulatedDisk(files)
    disk.flip(name, bit)
    try:
        return Contents.of(FileStorage.open(disk.folder(), settings))
    except RaftStorageError:
        return None


def _sample(settings: Settings) -> tuple[dict[str, bytes], Contents]:
    """Return the files of a store, as they are when its process is killed, and what it holds."""
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), settings, store_id=UUID(int=7))
    for term in range(1, 7):
        first = store.last_index() + 1
        entries = [
            Entry(term, index, bytes([index]) * (index % 5 * 9), EntryType(index % 2))
            for index in range(first, first + 3)
        ]
        store.save(entries=entries, hard_state=HardState(term, term % 3, first - 1))
    store.create_snapshot(7, ConfState((1, 2, 3), (4,)), b"the state of the application")
    store.compact(4)
    replaced = store.last_index()
    store.save(entries=[Entry(8, replaced, b"instead")], hard_state=HardState(8, 2, replaced - 1))
    return {name: data for name, data in disk.files().items() if name != "lock"}, Contents.of(store)
