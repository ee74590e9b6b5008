"""Between the kernel's events and the store's: the same facts, typed here and bytes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.kernel import KernelEvent, decode_body, encode_body
from toka.runtime._tracing import trace_in
from toka.store.core import NewEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from toka.store.core import Event, EventStore

PAGE = 1_000


@attrs.frozen
class Logged:
    """An event of the kernel at its place in the log."""

    position: int
    event: KernelEvent
    trace: str = ""
    """The `traceparent` of who asked for it, if that was recorded."""


def to_store(event: KernelEvent, tags: tuple[str, ...] = ()) -> NewEvent:
    """Encode an event that the kernel decided."""
    return NewEvent(
        id=event.id,
        stream=event.stream,
        kind=event.body.kind,
        payload=encode_body(event.body),
        time=event.time,
        parents=event.parents,
        intent=event.intent,
        actor=event.actor,
        token=event.token,
        tags=tags,
    )


def from_store(event: Event) -> Logged:
    """Decode an event that was read back.

    Raises:
        KernelError: The kind is unknown to this version, or the payload does not fit it.
    """
    return Logged(
        event.position,
        KernelEvent(
            id=event.id,
            stream=event.stream,
            body=decode_body(event.kind, event.payload),
            time=event.time,
            parents=event.parents,
            intent=event.intent,
            actor=event.actor,
            token=event.token,
        ),
        trace_in(event.tags),
    )


async def pages(
    store: EventStore, after: int, until: int | None = None
) -> AsyncIterator[list[Event]]:
    """Yield the events of positions `after + 1` to `until` (or the end) in pages."""
    while until is None or after < until:
        limit = PAGE if until is None else min(PAGE, until - after)
        page = await store.read_page(after, limit)
        if not page:
            return
        yield page
        after = page[-1].position
