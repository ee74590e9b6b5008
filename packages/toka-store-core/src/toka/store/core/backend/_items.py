"""What is handed to a writer, and what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import attrs

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from toka.store.core._errors import StoreError
    from toka.store.core._event import Head, NewEvent
    from toka.store.core._expected import Expected
    from toka.store.core._query import Absent

Context = TypeVar("Context")


@attrs.define(eq=False)
class Item:
    """Anything that waits for a writer."""

    future: asyncio.Future[object]
    """Where the answer goes."""
    size: int
    """Bytes of payload."""
    waits: bool = attrs.field(default=True, init=False)
    """Whether it counts as unanswered; the loop's to change."""


@attrs.define(eq=False)
class Append(Item):
    """One call of `append` on its way to the disk; its events are checked."""

    events: Sequence[NewEvent]
    ids: list[bytes]
    """Of the events, packed."""
    streams: Mapping[str, Expected]
    head: int | None
    absent: Sequence[Absent]


@attrs.define(eq=False)
class Job(Item, Generic[Context]):
    """Other work in the writer's order, in a transaction of its own."""

    action: Callable[[Context], object]
    """Gets what the backend's writer works with; what it raises, the caller gets."""


Outcome: TypeAlias = "tuple[Item, object, StoreError | None]"
"""An item, and its result or its error."""


@attrs.frozen
class Progress:
    """What a writer tells the loop: answers, and what was committed before them."""

    outcomes: list[Outcome]
    head: Head
    events: int = 0
    commits: int = 0
