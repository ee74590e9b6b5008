"""What a store keeps beside its log, and what it gives up: snapshots, and payloads below them.

Each function is the action of a `Job`: it looks at what is committed and fills a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.store.core import Compaction, Damaged, UnknownSnapshot, check_snapshot
from toka.store.sled._engine import FIRST, LAST
from toka.store.sled._keys import (
    COMPACTED,
    PAYLOAD,
    REFERENCE,
    SNAPSHOT,
    event_key,
    number,
    span,
    text,
)
from toka.store.sled._reader import pack_snapshot, read_snapshot
from toka.store.sled._records import DROPPED, SHARED, compacted, record, split_record

if TYPE_CHECKING:
    from toka.store.core import Event, Snapshot
    from toka.store.sled._engine import Batch
    from toka.store.sled._reader import Reader
    from toka.store.sled._writer import Change

SNAPSHOTS_KEPT: Final = 2

_STEP_EVENTS: Final = 1_000
_STEP_BYTES: Final = 4 * 1024 * 1024


def write_snapshot(snapshot: Snapshot, change: Change) -> None:
    """Keep a snapshot and drop the oldest of its name.

    Raises:
        InvalidSnapshot: It has no name, or leads the log.
    """
    reader, batch = change.reader, change.batch
    check_snapshot(snapshot, reader.head().position)
    prefix = text(SNAPSHOT, snapshot.name)
    batch.put(prefix + number(snapshot.position), pack_snapshot(snapshot))
    kept = {position for position, _ in reader.snapshots(snapshot.name)} | {snapshot.position}
    for position in sorted(kept)[:-SNAPSHOTS_KEPT]:
        batch.delete(prefix + number(position))


def touch_ends(change: Change) -> None:
    """Write the first and the last key once more, as they are."""
    for backward in (False, True):
        for key, value in change.reader.view.scan(FIRST, LAST, backward=backward):
            change.batch.put(key, value)
            break


@attrs.define(eq=False)
class Compacting:
    """The dropping of payloads, in steps between which others write."""

    name: str
    location: str
    end: int = -1
    events: int = 0
    dropped_bytes: int = 0

    def step(self, change: Change) -> bool:
        """Drop the next payloads; say whether there are more.

        Raises:
            UnknownSnapshot: None of this name is kept.
            Damaged: No kept snapshot, or an event below them, is what was written.
        """
        reader, batch = change.reader, change.batch
        if self.end < 0:
            self.end = self._oldest(reader)
        position = start = compacted(reader.view)
        size, shared = 0, set[bytes]()
        for event in reader.chain(start, self.end):
            position = event.position
            if event.payload and self._drop(reader, batch, event) == SHARED:
                shared.add(event.payload_digest)
            size += len(event.payload)
            if position - start >= _STEP_EVENTS or size >= _STEP_BYTES:
                break
        for digest in shared:
            later = reader.view.scan(*span(REFERENCE + digest, position, backward=False))
            if next(later, None) is None:
                batch.delete(PAYLOAD + digest)
        if position > start:
            batch.put(COMPACTED, number(position))
        return position < self.end

    def _oldest(self, reader: Reader) -> int:
        kept = list(reader.snapshots(self.name))
        if not kept:
            raise UnknownSnapshot(self.name, self.location)
        if all(read_snapshot(self.name, *each) is None for each in kept):
            raise Damaged(self.location, f"no snapshot {self.name!r} is what was saved")
        return kept[-1][0]

    def _drop(self, reader: Reader, batch: Batch, event: Event) -> int:
        """Leave a record its header only; return where the payload was."""
        key = event_key(event.position)
        place, header = split_record(reader.view.get(key) or b"")
        batch.put(key, record(event.digest, header, DROPPED, b""))
        if place == SHARED:
            batch.delete(REFERENCE + event.payload_digest + number(event.position))
        self.events += 1
        self.dropped_bytes += len(event.payload)
        return place

    def result(self, reader: Reader) -> Compaction:
        """Return what was done.

        Raises:
            Damaged: The last event below the snapshot is missing.
        """
        position = compacted(reader.view)
        digest = reader.digest_at(position)
        if digest is None:
            raise Damaged(self.location, "an event is missing", position=position)
        return Compaction(position, digest, self.events, self.dropped_bytes)
