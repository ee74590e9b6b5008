"""The walk over everything that is stored, in steps that leave the loop free.

The chain covers every byte of every event. What is derived from the events is compared as a whole:
the walk adds up a hash of each key and value that the events call for, then of each that is there,
and only where the sums differ looks for which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.store.core import ChainCheck, Damaged, pack_id
from toka.store.sled._engine import EngineError
from toka.store.sled._inspection import check_recorded
from toka.store.sled._keys import (
    CAUSE,
    DERIVED,
    EVENT,
    ID,
    INTENT,
    KIND,
    PAYLOAD,
    REFERENCE,
    STREAM,
    TAG,
    ZONE,
    ZONE_BITS,
    beyond,
    event_key,
    last_number,
    number,
    pair,
    text,
)
from toka.store.sled._reader import Reader, read_snapshot
from toka.store.sled._records import DIGEST_BYTES, SHARED, compacted, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.store.core import Event, VerifyReport
    from toka.store.core.backend import Recorded
    from toka.store.sled._engine import View

STEP: Final = 1_000
"""Events of one step."""

_NAMES: Final = {
    ID: "identifiers",
    STREAM: "streams",
    KIND: "kinds",
    INTENT: "intents",
    TAG: "tags",
    CAUSE: "causes",
    ZONE: "times",
    REFERENCE: "shared payloads",
}


def derived_keys(event: Event, parents: list[int], place: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield what an event calls for beside its record, the times of its zone excepted.

    Args:
        event: The event.
        parents: The positions of its parents.
        place: Where its payload is.
    """
    position = number(event.position)
    yield ID + pack_id(event.id), position
    yield text(STREAM, event.stream) + number(event.version), position
    yield text(KIND, event.kind) + position, b""
    if event.intent:
        yield text(INTENT, event.intent) + position, b""
    for tag in set(event.tags):
        yield text(TAG, tag) + position, b""
    for parent in parents:
        yield CAUSE + pair(parent, event.position), b""
    if place == SHARED:
        yield REFERENCE + event.payload_digest + position, b""


class Verification:
    """One walk over one view."""

    def __init__(self, location: str, recorded: Recorded | None) -> None:
        """Begin.

        Args:
            location: Of the store.
            recorded: The head from the second place, read before the view was made.
        """
        self._location = location
        self._recorded = recorded
        self._check = ChainCheck(location)
        self._sums: dict[bytes, int] = dict.fromkeys(DERIVED, 0)
        self._zone: tuple[int, int, int] | None = None
        self._end = 0

    @property
    def walked(self) -> int:
        """Return the position that the walk has reached."""
        return self._check.head.position

    @property
    def total(self) -> int:
        """Return the position at which it will end."""
        return self._end

    def begin(self, reader: Reader) -> None:
        """Check the view as a whole."""
        try:
            head = reader.head()
            self._end = head.position
            self._check.compacted = compacted(reader.view)
            check_recorded(reader, self._location, head, self._recorded)
        except Damaged as error:
            self._check.problem(error.position, str(error.details["what"]))
        except EngineError as error:
            self._check.problem(None, f"it cannot be read: {error}")

    def step(self, reader: Reader) -> bool:
        """Walk the next events; say whether there are more."""
        start, walked = event_key(self.walked + 1), 0
        try:
            for key, data in reader.view.scan(start, beyond(EVENT)):
                self._walk(reader, last_number(key), data)
                walked += 1
                if walked == STEP:
                    break
        except EngineError as error:
            self._check.problem(self.walked + 1, f"what follows cannot be read: {error}")
            return False
        return walked == STEP and self.walked < self._end

    def _walk(self, reader: Reader, position: int, data: bytes) -> None:
        try:
            event = reader.event(position, data)
        except Damaged as error:
            self._check.skip(position, data[:DIGEST_BYTES], str(error.details["what"]))
            return
        self._check.add(event)
        for key, value in derived_keys(event, self._parents(reader, event), place_of(data)):
            self._add(key, value)
        self._add_time(event)

    def _parents(self, reader: Reader, event: Event) -> list[int]:
        places: list[int] = []
        for parent in event.parents:
            place = reader.position(pack_id(parent))
            if place is None or place >= event.position:
                self._check.problem(event.position, f"its parent {parent} is not before it")
            else:
                places.append(place)
        return places

    def _add(self, key: bytes, value: bytes) -> None:
        self._sums[key[:2]] += hash((key, value))

    def _add_time(self, event: Event) -> None:
        zone = event.position >> ZONE_BITS
        if self._zone is not None and self._zone[0] == zone:
            _, low, high = self._zone
            self._zone = (zone, min(low, event.time), max(high, event.time))
            return
        self._end_zone()
        self._zone = (zone, event.time, event.time)

    def _end_zone(self) -> None:
        if self._zone is not None:
            zone, low, high = self._zone
            self._add(ZONE + number(zone), pair(low, high))

    def finish(self, reader: Reader) -> VerifyReport:
        """Check what is derived from the events, and report."""
        self._end_zone()
        try:
            for prefix, expected in self._sums.items():
                found = sum(map(hash, reader.view.scan(prefix, beyond(prefix))))
                if found != expected:
                    what = f"the index of {_NAMES[prefix]} is not what the events call for"
                    self._check.problem(None, what)
            self._check_payloads(reader)
            for name in sorted(reader.snapshot_names()):
                self._check_snapshots(reader, name)
        except EngineError as error:
            self._check.problem(None, f"what is derived cannot be read: {error}")
        return self._check.report()

    def _check_payloads(self, reader: Reader) -> None:
        """Find shared payloads that no event has; those that some have were read with them."""
        for key, _ in reader.view.scan(PAYLOAD, beyond(PAYLOAD)):
            prefix = REFERENCE + key[len(PAYLOAD) :]
            if next(reader.view.scan(prefix, beyond(prefix + b"\x80")), None) is None:
                self._check.problem(None, "a shared payload belongs to no event")

    def _check_snapshots(self, reader: Reader, name: str) -> None:
        for position, data in reader.snapshots(name):
            snapshot = read_snapshot(name, position, data)
            if snapshot is None or position > self._end:
                what = f"the snapshot {name!r} of position {position} is not as written"
                self._check.problem(None, what)


def whole(view: View, location: str, recorded: Recorded | None) -> bool:
    """Say whether a view holds all that was recorded, every byte as it was written."""
    reader = Reader(view, location)
    walk = Verification(location, recorded)
    try:
        walk.begin(reader)
        while walk.step(reader):
            pass
        return walk.finish(reader).ok
    finally:
        view.close()
