"""A copy of a store, made from one view while others write, and checked as it is made.

Never copy the files of an open store: what is copied first and what is copied last belong to
different moments. Here every event is read, verified and written anew with all that is derived from
it, so that a copy has none of its source's damage; what is unsound ends the copying.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from toka.store.core import EMPTY, Head, OpenRefused, pack_id
from toka.store.core.backend import HeadFile, sync_directory
from toka.store.sled._engine import open_engine
from toka.store.sled._folder import Folder, write_marker
from toka.store.sled._keys import (
    COMPACTED,
    EVENT,
    ID,
    PAYLOAD,
    SNAPSHOT,
    ZONE,
    ZONE_BITS,
    event_key,
    number,
    pair,
    read_number,
    text,
)
from toka.store.sled._reader import read_snapshot
from toka.store.sled._records import SHARED, compacted, place_of
from toka.store.sled._verification import derived_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from toka.store.core import Event
    from toka.store.sled._engine import Engine, EngineName
    from toka.store.sled._reader import Reader

_PARTIAL: Final = ".partial"
_BATCH_BYTES: Final = 1024 * 1024


def back_up(reader: Reader, target: Path, engine: EngineName, check: Callable[[], None]) -> Head:
    """Copy what `reader` sees to `target`.

    Args:
        reader: Of one view.
        target: The folder to make.
        engine: Of the copy.
        check: Called now and then; what it raises ends the backup, and nothing of it is left.

    Raises:
        OpenRefused: There is something at `target`.
        Damaged: The source is not as it was written.
        EngineError: Input or output failed.
        OSError: Output failed.
    """
    target = target.absolute()
    if target.exists():
        raise OpenRefused(
            f"There is something at {target} already.",
            code="store.exists",
            hint="Name a path where there is nothing.",
            details={"location": str(target)},
        )
    partial = Folder(target.with_name(target.name + _PARTIAL))
    shutil.rmtree(partial.path, ignore_errors=True)
    partial.path.mkdir()
    try:
        head = rebuild(reader, partial, engine, check=check)
        # Until the folder has its name, there is no store to be found half done.
        partial.path.replace(target)
        sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(partial.path, ignore_errors=True)
        raise
    return head


def rebuild(
    reader: Reader,
    folder: Folder,
    engine: EngineName,
    end: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Head:
    """Write the events of `reader` to a new store, up to a position, and its sound snapshots.

    Raises:
        Damaged: An event is missing or not as it was written.
        EngineError: Input or output failed.
        OSError: Output failed.
    """
    copy = open_engine(engine, folder.data(engine), create=True, sync=False)
    try:
        head = _copy_events(reader, copy, end, check)
        _copy_snapshots(reader, copy, head)
        copy.compact()  # which waits for the disk, as the writes did not
    finally:
        copy.close()
    head_file = HeadFile(folder.head)
    head_file.rewrite(head)
    head_file.close()
    sync_directory(folder.data(engine))
    write_marker(folder, engine)
    return head


def _copy_events(reader: Reader, copy: Engine, end: int | None, check: Callable[[], None]) -> Head:
    head, target, zone = EMPTY, _Target(copy), _Zone()
    dropped = compacted(reader.view)
    if dropped:
        target.put(COMPACTED, number(dropped if end is None else min(dropped, end)))
    for event in reader.chain(0, end):
        check()
        data = reader.view.get(event_key(event.position)) or b""
        place = place_of(data)
        target.put(event_key(event.position), data)
        if place == SHARED:
            target.put(PAYLOAD + event.payload_digest, event.payload)
        for key, value in derived_keys(event, target.places(event), place):
            target.put(key, value)
        for key, value in zone.add(event):
            target.put(key, value)
        head = Head(event.position, event.digest)
    for key, value in zone.end():
        target.put(key, value)
    target.flush()
    return head


class _Target:
    """Writes to an engine in batches and finds there what it wrote, so that no index is trusted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._batch = engine.batch()
        self._size = 0
        self._drafted: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key, now or soon."""
        if key.startswith(EVENT) and self._size >= _BATCH_BYTES:
            self.flush()
        self._batch.put(key, value)
        self._size += len(key) + len(value)
        if key.startswith(ID):
            self._drafted[key] = value

    def places(self, event: Event) -> list[int]:
        """Return the positions of an event's parents."""
        keys = [ID + pack_id(each) for each in event.parents]
        if not keys:
            return []
        view = self._engine.view()
        try:
            found = [self._drafted.get(key) or view.get(key) for key in keys]
        finally:
            view.close()
        return [read_number(value) for value in found if value is not None]

    def flush(self) -> None:
        """Write what was put."""
        self._engine.write(self._batch)
        self._batch, self._size, self._drafted = self._engine.batch(), 0, {}


def _copy_snapshots(reader: Reader, copy: Engine, head: Head) -> None:
    batch = copy.batch()
    for name in reader.snapshot_names():
        for position, data in reader.snapshots(name):
            if position <= head.position and read_snapshot(name, position, data) is not None:
                batch.put(text(SNAPSHOT, name) + number(position), data)
    copy.write(batch)


class _Zone:
    """The earliest and the latest time of the zone in hand."""

    def __init__(self) -> None:
        self._number = -1
        self._low = self._high = 0

    def add(self, event: Event) -> Iterator[tuple[bytes, bytes]]:
        """Take the next event; yield the zone before, if it is over."""
        zone = event.position >> ZONE_BITS
        if zone == self._number:
            self._low, self._high = min(self._low, event.time), max(self._high, event.time)
            return
        yield from self.end()
        self._number, self._low, self._high = zone, event.time, event.time

    def end(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the zone in hand, if there is one."""
        if self._number >= 0:
            yield ZONE + number(self._number), pair(self._low, self._high)
