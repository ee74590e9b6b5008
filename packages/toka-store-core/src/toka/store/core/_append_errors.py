"""What refuses an append: it is at fault, and the store is as it was before.

The whole tree is drawn in `_errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.store.core._errors import StoreError

if TYPE_CHECKING:
    from toka.store.core._expected import Expected
    from toka.store.core._query import Absent, Query
    from toka.types import Json


class AppendRefused(StoreError):
    """An append cannot be accepted; nothing of it was stored."""

    default_code = "store.refused"


class InvalidEvent(AppendRefused, ValueError):
    """A field of an event breaks a rule: its type, its length or its form."""

    default_code = "store.invalid_event"


class PayloadTooLarge(AppendRefused):
    """A payload is longer than any store accepts."""

    default_code = "store.payload_too_large"

    def __init__(self, size: int, limit: int, event_id: str) -> None:
        super().__init__(
            f"The payload of event {event_id} has {size} bytes; the limit is {limit}.",
            hint="Store the data elsewhere and keep a reference and its digest in the event.",
            details={"event": event_id, "size": size, "limit": limit},
        )


class WrongVersion(AppendRefused):
    """A stream is not at the version that the caller expected: someone else appended."""

    default_code = "store.wrong_version"

    def __init__(self, stream: str, expected: Expected, actual: int) -> None:
        name = expected if isinstance(expected, int) else expected.value
        super().__init__(
            f"Stream {stream!r} is at version {actual}; expected was {name}.",
            hint="Read the stream's new events, decide again, append again.",
            details={"stream": stream, "expected": name, "actual": actual},
        )


class WrongHead(AppendRefused):
    """The log does not end at the position that the caller expected: another writer was here."""

    default_code = "store.wrong_head"

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"The log ends at position {actual}; expected was {expected}.",
            hint="Another writer appended; read its events before going on.",
            details={"expected": expected, "actual": actual},
        )


class ConditionFailed(AppendRefused):
    """An event is in the log that the append demands to be absent: more came in since it read."""

    default_code = "store.condition_failed"

    def __init__(self, demand: Absent, position: int) -> None:
        """Say what was demanded, and what is in its way.

        Args:
            demand: Of the append.
            position: Of the first event that is selected.
        """
        super().__init__(
            f"The event at position {position} is one that the append demands not to come after"
            f" position {demand.after}.",
            hint="Read what the decision depends on again, decide again, append again.",
            details={
                "query": _facts(demand.query),
                "after": demand.after,
                "position": position,
            },
        )


class UnknownParent(AppendRefused):
    """An event names a cause that is neither stored nor earlier in the same append."""

    default_code = "store.unknown_parent"

    def __init__(self, event_id: str, parent: str) -> None:
        super().__init__(
            f"Event {event_id} names the parent {parent}, which is not in this log.",
            hint="Append causes before their effects.",
            details={"event": event_id, "parent": parent},
        )


class DuplicateEvent(AppendRefused):
    """An event's identifier is taken, and this is not a repetition of the whole append."""

    default_code = "store.duplicate_event"

    def __init__(self, event_id: str, why: str) -> None:
        super().__init__(
            f"Event {event_id} {why}.",
            hint="Repeat an append exactly as it was, or give a new event a new identifier.",
            details={"event": event_id, "why": why},
        )


def _facts(query: Query) -> Json:
    return {
        "kinds": list(query.kinds),
        "tags": list(query.tags),
        "intent": query.intent,
        "since": query.since,
        "until": query.until,
    }
