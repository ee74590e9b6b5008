"""Old versions of events, read as the newest: the log is never rewritten.

A kind ends in its version, as in `order.placed.v2`. An upcaster is a pure function from the payload
of one version to that of the next; a reader applies as many as it takes. Position, identity and
digests stay those of the event that was written, so proofs hold for what is read.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs
import msgspec

from toka.store.core._errors import InvalidUpcaster, UpcastFailed
from toka.store.core._query import EVERYTHING, Query, fits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from toka.store.core._event import Event
    from toka.store.core._protocol import EventStore
    from toka.types import EventId, JsonObject

Upcaster: TypeAlias = "Callable[[bytes], bytes]"
"""From the payload of one version to the payload of the next."""

_KIND: Final = re.compile(r"(.+)\.v([1-9][0-9]*)")


def json_upcaster(change: Callable[[JsonObject], JsonObject]) -> Upcaster:
    """Return the upcaster that changes a payload which is a JSON object."""

    def upcast(payload: bytes) -> bytes:
        value: object = msgspec.json.decode(payload)
        if not isinstance(value, dict):
            raise TypeError("The payload is not a JSON object.")
        return msgspec.json.encode(change(cast("JsonObject", value)), order="deterministic")

    return upcast


class Upcasters:
    """The steps from old kinds to new ones, checked as a whole."""

    def __init__(self, steps: Iterable[tuple[str, str, Upcaster]] = ()) -> None:
        """Register all steps.

        Args:
            steps: The old kind, the new one, and the function between their payloads. The version
                rises by one; or the name changes, which begins another row of versions.

        Raises:
            InvalidUpcaster: A kind has no version, there are two steps from one kind, a step skips
                a version or goes back, versions are missing in between, or steps form a circle.
        """
        found: dict[str, tuple[str, Upcaster]] = {}
        for old, new, function in steps:
            _check_step(old, new)
            if old in found:
                raise InvalidUpcaster(old, f"there are steps to {found[old][0]} and to {new}")
            found[old] = (new, function)
        for kind in found:
            _check_circle(kind, found)
        _check_gaps(found)
        self._steps: Mapping[str, tuple[str, Upcaster]] = found

    def newest(self, kind: str) -> str:
        """Return the kind as which events of a kind are read."""
        while kind in self._steps:
            kind = self._steps[kind][0]
        return kind

    def table(self) -> dict[str, Callable[[bytes], tuple[str, bytes]]]:
        """Return the steps as functions from a payload to the next kind and payload, by old kind.

        This is the form that `toka.kernel.decode_body` takes.
        """
        return {
            old: functools.partial(_step, new, function)
            for old, (new, function) in self._steps.items()
        }

    def upcast(self, event: Event) -> Event:
        """Return an event with its newest kind and payload, and all else as it was written.

        An event whose payload was dropped stays as it is.

        Raises:
            UpcastFailed: A function does not take the payload.
        """
        kind, payload = event.kind, event.payload
        if kind not in self._steps or event.compacted:
            return event
        while kind in self._steps:
            new, function = self._steps[kind]
            try:
                payload = function(payload)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise UpcastFailed(event.id, event.position, kind, new) from error
            kind = new
        return attrs.evolve(event, kind=kind, payload=payload)

    def widen(self, where: Query) -> Query:
        """Return a query that also selects the old kinds which are read as those it asks for."""
        old = [
            kind
            for kind in self._steps
            if any(fits(wanted, self.newest(kind)) for wanted in where.kinds)
            and not any(fits(wanted, kind) for wanted in where.kinds)
        ]
        return attrs.evolve(where, kinds=(*where.kinds, *old)) if old else where


def _step(new: str, function: Upcaster, payload: bytes) -> tuple[str, bytes]:
    return new, function(payload)


def _version(kind: str) -> tuple[str, int]:
    match = _KIND.fullmatch(kind)
    if match is None:
        raise InvalidUpcaster(kind, "the kind does not end in a version, as in `order.placed.v1`")
    return match[1], int(match[2])


def _check_step(old: str, new: str) -> None:
    (name, number), (new_name, new_number) = _version(old), _version(new)
    if name == new_name and new_number != number + 1:
        raise InvalidUpcaster(old, f"the next version is v{number + 1}, and the step is to {new}")


def _check_circle(kind: str, steps: Mapping[str, tuple[str, Upcaster]]) -> None:
    seen = [kind]
    while seen[-1] in steps:
        seen.append(steps[seen[-1]][0])
        if seen[-1] in seen[:-1]:
            raise InvalidUpcaster(kind, f"the steps form a circle: {' -> '.join(seen)}")


def _check_gaps(steps: Mapping[str, tuple[str, Upcaster]]) -> None:
    versions: dict[str, set[int]] = {}
    for kind in {*steps, *(new for new, _ in steps.values())}:
        name, number = _version(kind)
        versions.setdefault(name, set()).add(number)
    for name, numbers in versions.items():
        for number in range(min(numbers), max(numbers)):
            if f"{name}.v{number}" not in steps:
                raise InvalidUpcaster(
                    f"{name}.v{number}", f"there is no step from it, but v{max(numbers)} is known"
                )


@attrs.frozen
class UpcastReader:
    """Reads a store as if every event had been written in its newest version.

    The methods are those of `EventStore` and raise what they raise, and `UpcastFailed`.
    """

    store: EventStore
    upcasters: Upcasters

    def read(
        self,
        after: int = 0,
        *,
        limit: int | None = None,
        where: Query = EVERYTHING,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Iterate over the log; a query for a kind selects its old versions, too."""
        where = self.upcasters.widen(where)
        events = self.store.read(after, limit=limit, where=where, backward=backward)
        return self._all(events)

    def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Iterate over one stream."""
        events = self.store.read_stream(
            stream, after_version=after_version, limit=limit, backward=backward
        )
        return self._all(events)

    def subscribe(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Iterate over what is stored, then over what comes."""
        return self._all(self.store.subscribe(after))

    async def get(self, event_id: EventId) -> Event | None:
        """Return one event, or None."""
        event = await self.store.get(event_id)
        return None if event is None else self.upcasters.upcast(event)

    async def ancestors(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        """Return the causes of an event, the newest first."""
        found = await self.store.ancestors(event_id, limit=limit)
        return [self.upcasters.upcast(event) for event in found]

    async def descendants(self, event_id: EventId, *, limit: int | None = None) -> list[Event]:
        """Return what an event caused, the oldest first."""
        found = await self.store.descendants(event_id, limit=limit)
        return [self.upcasters.upcast(event) for event in found]

    async def _all(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        try:
            async for event in events:
                yield self.upcasters.upcast(event)
        finally:
            await events.aclose()
