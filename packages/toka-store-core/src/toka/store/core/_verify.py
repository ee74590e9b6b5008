"""Walking the chain: the one definition of a sound log, the same for every backend."""

from __future__ import annotations

from typing import Final

import attrs

from toka.store.core._errors import Damaged
from toka.store.core._event import (
    EMPTY,
    NO_PAYLOAD,
    Event,
    Head,
    header_digest,
    payload_digest,
)

MAX_PROBLEMS: Final = 100
"""Problems that a report lists; further ones are only counted."""


@attrs.frozen
class Problem:
    """One thing that is not as it was written."""

    position: int | None
    """The event concerned, or None where it is not one event."""
    what: str


@attrs.frozen
class VerifyReport:
    """What a walk over the whole log found."""

    location: str
    events: int
    """Events that were walked."""
    head: Head
    """Where the walk ended."""
    problems: tuple[Problem, ...]
    """The first problems, at most 100."""
    problem_count: int

    @property
    def ok(self) -> bool:
        """Say whether every byte is as it was written."""
        return not self.problem_count

    def raise_if_damaged(self) -> None:
        """Turn the first problem into an error.

        Raises:
            Damaged: There is a problem.
        """
        if self.ok:
            return
        first = self.problems[0]
        more = self.problem_count - 1
        what = f"{first.what} (and {more} more)" if more else first.what
        raise Damaged(self.location, what, position=first.position)


class ChainCheck:
    """Takes the events of a log in order and collects what is wrong with them.

    After a broken link the walk goes on from what is there, so that one damaged event is one
    problem and not a problem of every event after it.
    """

    def __init__(self, location: str, start: Head = EMPTY, compacted: int = 0) -> None:
        """Begin a walk.

        Args:
            location: Of the store, for the report.
            start: The head after which the walk begins; versions are then checked only to rise.
            compacted: The position up to which payloads were dropped.
        """
        self.compacted = compacted
        """The position up to which payloads were dropped; may rise while the walk goes on."""
        self._location = location
        self._head = start
        self._from_origin = start.position == 0
        self._versions: dict[str, int] = {}
        self._problems: list[Problem] = []
        self._count = 0
        self._events = 0

    @property
    def head(self) -> Head:
        """Return where the walk stands."""
        return self._head

    def add(self, event: Event) -> None:
        """Check the next event."""
        self._events += 1
        for what in self._faults(event):
            self.problem(event.position, what)
        self._versions[event.stream] = event.version
        self._head = Head(event.position, event.digest)

    def skip(self, position: int, digest: bytes, what: str) -> None:
        """Note that the next event cannot even be read, and go on after it."""
        self._events += 1
        self.problem(position, what)
        self._head = Head(position, digest)

    def _faults(self, event: Event) -> list[str]:
        faults: list[str] = []
        if event.position != self._head.position + 1:
            faults.append(f"position {self._head.position + 1} is missing")
        elif event.previous != self._head.digest:
            faults.append("the link to the event before does not hold")
        known = self._versions.get(event.stream, 0 if self._from_origin else None)
        if known is not None and event.version != known + 1:
            faults.append(f"version {event.version} of its stream follows version {known}")
        if event.compacted != self._must_be_compacted(event):
            faults.append(
                "the payload is missing" if event.compacted else "the payload was to be dropped"
            )
        elif not event.compacted and event.payload_digest != payload_digest(event.payload):
            faults.append("the payload does not have its digest")
        if event.digest != _digest_of(event):
            faults.append("the header or the payload is not what was written")
        return faults

    def _must_be_compacted(self, event: Event) -> bool:
        return event.position <= self.compacted and event.payload_digest != NO_PAYLOAD

    def problem(self, position: int | None, what: str) -> None:
        """Note a problem that the backend found."""
        self._count += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(position, what))

    def report(self, expected: Head | None = None) -> VerifyReport:
        """End the walk.

        Args:
            expected: The head as it is kept in a second place; a log that ends before it, or
                elsewhere, was cut.
        """
        if expected is not None and expected != self._head:
            if self._head.position < expected.position:
                what = f"the events {self._head.position + 1} to {expected.position} are missing"
            else:
                what = f"the log does not end in the head that was recorded at {expected.position}"
            self.problem(None, what)
        return VerifyReport(
            self._location, self._events, self._head, tuple(self._problems), self._count
        )


def _digest_of(event: Event) -> bytes:
    return header_digest(event, event.position, event.version, event.previous, event.payload_digest)
