"""Moving a log between any two stores.

A log is its events, and the digest of its last event proves all of them. So a copy needs no
comparison afterwards: each append to the target returns a digest that the target has computed by
itself, and if it is the source's, every event up to there is the same.

Snapshots are derived data, belong to a release of whoever made them, and stay behind. So does the
knowledge which events were one append; repeating an old append at the target returns the receipt
that its events have there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.store.core._errors import CopyRefused, Damaged, NotAPrefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core._event import Event, Head
    from toka.store.core._protocol import EventStore

_EVENTS: Final = 1_000
_BYTES: Final = 4 * 1024 * 1024
"""Of payloads in one append to the target, so that the copy of a large log needs little memory."""


@attrs.frozen
class CopyReport:
    """What a copy did; both logs now have this head."""

    head: Head
    copied: int
    """Events that this call copied; the others were there already."""


async def copy(
    source: EventStore, target: EventStore, *, progress: Callable[[int, int], None] | None = None
) -> CopyReport:
    """Append to the target what the source has and the target has not, up to the source's head now.

    If it is interrupted, the target holds a part of the log; the same call goes on from there.

    Args:
        source: May be open for reading only, and may be written to meanwhile.
        target: Empty, or holding the first events of the same log. Nobody else may write to it.
        progress: Called with the events that are there and the total, after each append.

    Raises:
        NotAPrefix: The target holds another log, or a longer one; it is as it was.
        CopyRefused: An event's payload was dropped by `compact`; the events before are copied.
        WrongHead: Somebody else writes to the target.
        Damaged: The source holds an event that is not what was written; those before are copied.
        StoreFull: The target is bounded.
        ReadOnlyStore: The target is open for reading.
        StoreClosed: A store was closed.
        StoreFailed: Input or output failed.
    """
    end, head = await source.head(), await target.head()
    await _check_prefix(source, target, end, head)
    start = head.position
    if progress is not None:
        progress(start, end.position)
    batch: list[Event] = []
    size = 0
    events = source.read(start, limit=end.position - start)
    try:
        async for event in events:
            batch.append(_whole(event, source))
            size += len(event.payload)
            if len(batch) >= _EVENTS or size >= _BYTES:
                await _append(source, target, batch)
                if progress is not None:
                    progress(event.position, end.position)
                batch, size = [], 0
    finally:
        await events.aclose()
    if batch:
        await _append(source, target, batch)
        if progress is not None:
            progress(end.position, end.position)
    return CopyReport(await _equal_head(source, target, end), end.position - start)


async def _check_prefix(source: EventStore, target: EventStore, end: Head, head: Head) -> None:
    if not head.position:
        return
    if head.position > end.position:
        raise NotAPrefix(source.location, target.location, end.position, head.position)
    (last,) = await source.read_page(head.position - 1, 1)
    if last.digest != head.digest:
        raise NotAPrefix(source.location, target.location, end.position, head.position)


def _whole(event: Event, source: EventStore) -> Event:
    if event.compacted:
        raise CopyRefused(
            f"The payload of the event at position {event.position} of {source.location} was"
            " dropped by compaction, and the event cannot be appended without it.",
            code="store.payload_dropped",
            hint="Copy a compacted store with `backup`, which keeps its backend.",
            details={"source": source.location, "position": event.position},
        )
    return event


async def _append(source: EventStore, target: EventStore, batch: list[Event]) -> None:
    first, last = batch[0], batch[-1]
    receipt = await target.append([event.new() for event in batch], head=first.position - 1)
    if receipt.head != last.digest:
        raise _differs(source, last.position)


async def _equal_head(source: EventStore, target: EventStore, end: Head) -> Head:
    head = await target.head()
    if head != end:
        raise _differs(source, end.position)
    return head


def _differs(source: EventStore, position: int) -> Damaged:
    return Damaged(
        source.location, "the same events have another digest elsewhere", position=position
    )
