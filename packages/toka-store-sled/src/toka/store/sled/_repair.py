"""Putting together what is left of a damaged store, and saying exactly what is not.

The engines have a repair of their own. It keeps what it can read and does not say what it could
not, and a log with a hole is worth no more than its beginning. So theirs is run on a copy, for its
records only; each record has to prove itself, and what makes an unbroken chain from the first event
on is written to a new store with all its indexes. The damaged folder is kept, whatever comes of it.

The new store takes the place of the damaged one in two steps, as folders cannot change places in
one. Where the second fails the first is undone; where the process dies between them the store is
not opened until a repair has undone it.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import attrs

from toka.store.core import EMPTY, Damaged, Head, OpenRefused, StoreMissing
from toka.store.core.backend import WriterLock, read_head, sync_directory
from toka.store.sled._backup import rebuild
from toka.store.sled._engine import MODULES, EngineError, open_engine, salvage
from toka.store.sled._failures import TROUBLE, failure
from toka.store.sled._folder import Folder, choose, identify
from toka.store.sled._keys import EVENT, beyond, last_number
from toka.store.sled._reader import Reader
from toka.types import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from toka.store.sled._engine import EngineName

Range = tuple[int, int]
"""The first and the last of some positions."""


@attrs.frozen
class RepairReport:
    """What a repair found, and what the store holds now."""

    kept: str
    """Where the damaged folder is now, untouched."""
    head: Head
    """Where the repaired log ends: it holds every event up to there."""
    acknowledged: int | None
    """The position that the log had reached, as far as is on record."""
    missing: tuple[Range, ...]
    """Positions of which no record was found, up to the last known one."""
    damaged: tuple[Range, ...]
    """Positions whose record is not what was written."""
    stranded: tuple[Range, ...]
    """Positions whose event is sound, and lies behind the first that is missing or damaged. They
    are not in the repaired log, only in the folder that was kept."""

    @property
    def lost(self) -> tuple[Range, ...]:
        """Return all positions up to the last known one that the repaired log does not hold."""
        ends = [
            last for ranges in (self.missing, self.damaged, self.stranded) for _, last in ranges
        ]
        end = max([self.head.position, self.acknowledged or 0, *ends])
        return ((self.head.position + 1, end),) if end > self.head.position else ()


def repair(path: Path) -> RepairReport:
    """Replace a damaged store by what can be proved of it, and keep the damaged one beside it.

    Where nothing is wrong the store is written anew all the same.

    Args:
        path: Of the store's folder.

    Raises:
        OpenRefused: There is no store, it is open for writing, of a newer format, or something
            stands where the damaged folder would be kept.
        Damaged: Its `store.json` is lost, and it cannot be seen which engine made it.
        StoreFailed: Input or output failed; the folder is as it was.
    """
    folder = Folder(path.absolute())
    try:
        if folder.torn_apart:
            folder.damaged.rename(folder.path)
        engine = _engine_of(folder)
        lock = WriterLock(folder.lock, f"sled:{folder.path}", SystemClock().now())
        try:
            return _repair(folder, engine)
        finally:
            lock.release()
    except TROUBLE as error:
        raise failure(f"sled:{path}", "Repairing", error) from error


def _engine_of(folder: Folder) -> EngineName:
    try:
        found = identify(folder)
    except Damaged:
        found = None
    if found is None:
        there: list[EngineName] = [name for name in MODULES if folder.data(name).is_dir()]
        if not there and not folder.head.exists():
            raise StoreMissing(str(folder.path))
        if len(there) != 1:
            what = "its store.json is lost, and it cannot be seen which engine made it"
            raise Damaged(str(folder.path), what)
        found = there[0]
    return choose(folder, found, None)


def _repair(folder: Folder, engine: EngineName) -> RepairReport:
    kept, work = folder.damaged, Folder(folder.repairing)
    if kept.exists():
        raise OpenRefused(
            f"There is something at {kept}, where the damaged folder would be kept.",
            code="store.exists",
            hint="Move it away: it may be all that is left of an earlier damage.",
            details={"location": str(kept)},
        )
    shutil.rmtree(work.path, ignore_errors=True)
    work.path.mkdir()
    try:
        report = _salvage(folder, engine, work, kept)
        _exchange(folder, work.path / "store")
    finally:
        shutil.rmtree(work.path, ignore_errors=True)
    return report


def _exchange(folder: Folder, repaired: Path) -> None:
    """Put a repaired store in the place of the damaged one, which is kept."""
    folder.path.rename(folder.damaged)
    try:
        repaired.rename(folder.path)
    except OSError:
        folder.damaged.rename(folder.path)
        raise
    sync_directory(folder.path.parent)


def _salvage(folder: Folder, engine: EngineName, work: Folder, kept: Path) -> RepairReport:
    copy = work.data(engine)
    if folder.data(engine).is_dir():
        shutil.copytree(folder.data(engine), copy, ignore=shutil.ignore_patterns("LOCK"))
    else:
        copy.mkdir()
    recorded = read_head(folder.head)
    salvage(engine, copy)
    opened = open_engine(engine, copy, create=True, sync=False, paranoid=False)
    try:
        view = opened.view()
        reader = Reader(view, f"sled:{folder.path}")
        survey = _Survey()
        survey.walk(reader)
        target = Folder(work.path / "store")
        target.path.mkdir()
        head = rebuild(reader, target, engine, survey.head.position)
        view.close()
    finally:
        opened.close()
    acknowledged = recorded.head.position if recorded else None
    survey.end(acknowledged or 0)
    return RepairReport(
        str(kept),
        head,
        acknowledged,
        tuple(survey.missing),
        tuple(survey.damaged),
        tuple(survey.stranded),
    )


class _Survey:
    """Sorts the positions of a log by what is left of them."""

    def __init__(self) -> None:
        self.head = EMPTY
        self.missing: list[Range] = []
        self.damaged: list[Range] = []
        self.stranded: list[Range] = []
        self._seen = 0

    def walk(self, reader: Reader) -> None:
        """Look at every record that can be read."""
        try:
            for key, data in reader.view.scan(EVENT, beyond(EVENT)):
                self._look(reader, last_number(key), data)
        except EngineError:
            return  # what follows cannot be read, and counts as missing

    def _look(self, reader: Reader, position: int, data: bytes) -> None:
        if position > self._seen + 1:
            self.missing.append((self._seen + 1, position - 1))
        self._seen = position
        try:
            event = reader.event(position, data)
        except Damaged:
            _extend(self.damaged, position)
            return
        if position == self.head.position + 1 and event.previous == self.head.digest:
            self.head = Head(position, event.digest)
        else:
            _extend(self.stranded, position)

    def end(self, acknowledged: int) -> None:
        """Count as missing what was acknowledged and not seen."""
        if acknowledged > self._seen:
            self.missing.append((self._seen + 1, acknowledged))


def _extend(ranges: list[Range], position: int) -> None:
    if ranges and ranges[-1][1] == position - 1:
        ranges[-1] = (ranges[-1][0], position)
    else:
        ranges.append((position, position))
