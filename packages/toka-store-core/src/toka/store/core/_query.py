"""Which events: what a reader asks for, and what an append demands not to be there.

The condition of an append is the one of a dynamic consistency boundary (dcb.events): the writer
read what its decision depends on, and the store refuses where more of it has come in since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from toka.store.core._event import Event, NewEvent


@attrs.frozen
class Query:
    """Selects events; every part that is given must fit."""

    kinds: tuple[str, ...] = ()
    """Any of these: a whole kind, or a prefix that ends with a dot, as in `task.`."""
    tags: tuple[str, ...] = ()
    """All of these."""
    intent: str = ""
    since: int | None = None
    """Not before this time, in nanoseconds since the Unix epoch."""
    until: int | None = None
    """Before this time."""

    def __attrs_post_init__(self) -> None:
        """Refuse a text where several belong, for its characters would be taken for them.

        Raises:
            TypeError: The kinds or the tags are one text.
        """
        if isinstance(self.kinds, str) or isinstance(self.tags, str):
            raise TypeError("A query's kinds and tags are tuples of texts, not one text.")

    def matches(self, event: Event | NewEvent) -> bool:
        """Say whether an event is selected."""
        return (
            (not self.kinds or any(fits(kind, event.kind) for kind in self.kinds))
            and (not self.intent or event.intent == self.intent)
            and all(tag in event.tags for tag in self.tags)
            and (self.since is None or event.time >= self.since)
            and (self.until is None or event.time < self.until)
        )


EVERYTHING: Final = Query()
"""Selects every event."""


@attrs.frozen
class Absent:
    """The demand of an append that no event after a position is selected."""

    query: Query
    after: int = 0
    """The last position that the writer has seen."""


def fits(wanted: str, kind: str) -> bool:
    """Say whether a kind is the one wanted, or begins with the prefix wanted."""
    return kind.startswith(wanted) if wanted.endswith(".") else kind == wanted
